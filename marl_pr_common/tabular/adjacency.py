"""Adjacency spaces S# of Definition 2 for discrete states, as sparse matrices of the unnormalised weights of eq. 4."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from marl_pr_common.envs.spaces import ObsSpace

GridMetric = Literal["l0", "ordinal"]
Missing = Literal["ignore", "count"]
FeatureMetric = (
    Literal["euclidean", "cosine"] | Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
)


def adjacency(
    a: ObsSpace,
    b: ObsSpace,
    level: int = 1,
    temperature: float = 1.0,
    metric: GridMetric = "ordinal",
    missing: Missing = "ignore",
    include_self: bool = True,
) -> csr_array:
    """Weights exp(-rho_s# / temperature) of the states s# of ``b`` adjacent to each state s of ``a``.

    eq. 4 has exp(d - rho); the factor exp(d) cancels in its normalisation, so it is left out. Built by stride
    arithmetic, O(S_a |S#|), never over all pairs.

    :param level: adjacency level rho_#: states up to this distance are adjacent
    :param temperature: 1 is eq. 4, infinity gives equal weights (the paper's experiments)
    :param metric: "l0" counts the features that differ (Definition 2); "ordinal" adds up by how much ordered features
        differ, and never joins states that differ in an unordered one
    :param missing: features seen by only one of the two: "ignore" them, or "count" each as a difference (Remark 1)
    :param include_self: whether s belongs to its own adjacency space, where both see the same features
    :returns: shape (a.n_states, b.n_states)
    :raises ValueError: for spaces over different features, a negative level, or temperature <= 0
    """
    if a.sizes != b.sizes:
        raise ValueError(
            f"Features {a.sizes} and {b.sizes} differ: adjacency needs two views of the same global state."
        )
    if not (level >= 0 and (level == math.inf or level == int(level)) and temperature > 0):
        raise ValueError(f"level={level}, temperature={temperature}: expected an integer >= 0 and a number > 0.")
    level = sum(a.sizes) if level == math.inf else int(level)
    if metric not in get_args(GridMetric) or missing not in get_args(Missing):
        raise ValueError(
            f"metric={metric!r}, missing={missing!r}: expected one of {get_args(GridMetric)} and {get_args(Missing)}."
        )
    features = a.decode(np.arange(a.n_states))
    shared = np.array(a.keep) & np.array(b.keep)
    base = (features * (b.strides * shared)).sum(axis=-1)
    rows, columns, weights = [], [], []
    for offsets, filled, cost in _patterns(a, b, level, metric, missing):
        if not include_self and a.keep == b.keep and not offsets:
            continue
        valid = np.ones(a.n_states, dtype=np.bool_)
        for k, offset in offsets:
            moved = features[:, k] + offset
            valid &= (moved >= 0) & (moved < a.sizes[k])
        shift = sum(offset * int(b.strides[k]) for k, offset in (*offsets, *filled))
        rows.append(np.flatnonzero(valid))
        columns.append(base[valid] + shift)
        weights.append(np.full(len(rows[-1]), math.exp(-cost / temperature)))
    return _sparse(rows, columns, weights, (a.n_states, b.n_states))


Pattern = tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...], int]


def _patterns(a: ObsSpace, b: ObsSpace, level: int, metric: GridMetric, missing: Missing) -> Iterator[Pattern]:
    """All (offsets of common features, values of features only b sees, distance) with distance <= level."""

    def extend(
        k: int, offsets: tuple[tuple[int, int], ...], filled: tuple[tuple[int, int], ...], cost: int
    ) -> Iterator[Pattern]:
        if cost > level:
            return
        if k == a.d:
            yield offsets, filled, cost
        elif a.keep[k] and b.keep[k]:
            yield from extend(k + 1, offsets, filled, cost)
            reach = a.sizes[k] - 1 if metric == "l0" else min(level, a.sizes[k] - 1) * a.ordinal[k]
            for offset in (*range(-reach, 0), *range(1, reach + 1)):
                step = 1 if metric == "l0" else abs(offset)
                yield from extend(k + 1, (*offsets, (k, offset)), filled, cost + step)
        else:
            extra = int(missing == "count" and a.keep[k] != b.keep[k])
            for value in range(a.sizes[k]) if b.keep[k] else (0,):
                yield from extend(k + 1, offsets, (*filled, (k, value)) if b.keep[k] else filled, cost + extra)

    yield from extend(0, (), (), 0)


def adjacency_from_features(
    a: ArrayLike,
    b: ArrayLike,
    radius: float,
    temperature: float = 1.0,
    metric: FeatureMetric = "euclidean",
    include_self: bool = True,
) -> csr_array:
    """Adjacency of states given by real features, under a metric other than l0 (footnote 1 of the paper).

    :param a: (S_a, d) features of the states s
    :param b: (S_b, d) features of the states s#
    :param radius: states up to this distance are adjacent
    :param metric: "euclidean", "cosine" (1 - cosine similarity), or a function of (rows, d) and (S_b, d) arrays that
        returns (rows, S_b) distances
    :param include_self: whether pairs with equal index belong, where a and b have equally many states
    :returns: shape (S_a, S_b), weights exp(-distance / temperature)
    :raises ValueError: for a negative radius, temperature <= 0, or arrays that are not (S, d) with the same d
    """
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
        raise ValueError(f"features {left.shape} and {right.shape}: expected (S_a, d) and (S_b, d).")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("features: expected finite numbers only.")
    if not radius >= 0 or not temperature > 0:
        raise ValueError(f"radius={radius}, temperature={temperature}: expected radius >= 0 and temperature > 0.")
    rows, columns, weights = [], [], []
    for start in range(0, len(left), 512):  # blocks of rows keep the memory at 512 * S_b
        block = left[start : start + 512]
        distance = metric(block, right) if callable(metric) else cdist(block, right, metric)
        if np.shape(distance) != (len(block), len(right)) or np.isnan(distance).any():
            raise ValueError(
                f"metric {metric!r} returned an array of shape {np.shape(distance)}, or NaN: expected distances of "
                f"shape {(len(block), len(right))}. The cosine of a row of zeros is NaN."
            )
        near = distance <= radius + 1e-12
        if not include_self and left.shape == right.shape:
            near[np.arange(len(block)), start + np.arange(len(block))] = False
        i, j = np.nonzero(near)
        rows.append(i + start)
        columns.append(j)
        weights.append(np.exp(-distance[i, j] / temperature))
    return _sparse(rows, columns, weights, (len(left), len(right)))


def _sparse(
    rows: list[NDArray[np.int64]],
    columns: list[NDArray[np.int64]],
    weights: list[NDArray[np.float64]],
    shape: tuple[int, int],
) -> csr_array:
    if not rows:
        return csr_array(shape, dtype=np.float64)
    index = (np.concatenate(rows), np.concatenate(columns))
    return csr_array((np.concatenate(weights), index), shape=shape)
