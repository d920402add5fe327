"""Percentile bootstrap over seeds. The unit is the seed, that is the team: agents are averaged first.

Two ways to resample, and where they belong:
- curves of one task: whole seeds are drawn, so all points of a curve stay together (:func:`mean_interval`);
- scores of several tasks: seeds are drawn in each task on their own, as rliable's stratified bootstrap does
  (Agarwal et al. 2021, "Deep RL at the Edge of the Statistical Precipice"; :func:`stratified_draws`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marl_pr_common.config.arrays import Floats

_CELLS_AT_ONCE = 2_000_000
"""Numbers that a batch of resamples may hold: 16 MB."""


class Interval(NamedTuple):
    """An estimate with its bootstrap interval."""

    value: float
    low: float
    high: float


def check_level(level: float) -> None:
    """Raise ValueError unless ``level`` is in (0, 1)."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level!r}: expected a number in (0, 1), for instance 0.95.")


def check_seeds(scores: Floats) -> None:
    """Raise ValueError unless there is a seed and every score is finite.

    :param scores: (n_seeds, ...)
    """
    if scores.ndim < 1 or scores.shape[0] == 0:
        raise ValueError(f"scores of shape {scores.shape}: expected (n_seeds, ...) with at least one seed.")
    if not np.all(np.isfinite(scores)):
        raise ValueError("scores hold a value that is not finite; a mean over seeds would hide a diverged run.")


def quantiles(resampled: Floats, level: float) -> tuple[Floats, Floats]:
    """Low and high end of the percentile interval.

    :param resampled: (n_resamples, ...)
    :return: two of (...)
    """
    low, high = np.quantile(resampled, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    return np.asarray(low), np.asarray(high)


def bootstrap_means(scores: Floats, rng: np.random.Generator, n_resamples: int = 10_000) -> Floats:
    """Means of resamples of the seeds, drawn with replacement.

    :param scores: (n_seeds, ...) one score, or one curve, per seed
    :param rng: source of the resamples
    :return: (n_resamples, ...)
    :raises ValueError: if there is no seed or a score is not finite
    """
    check_seeds(scores)
    n_seeds = scores.shape[0]
    # How often each seed was drawn: the mean of a resample is then one matrix product, whatever the curve's length.
    counts = rng.multinomial(n_seeds, np.full(n_seeds, 1.0 / n_seeds), size=n_resamples) / n_seeds
    return np.tensordot(counts, scores, axes=(1, 0))


def mean_interval(
    scores: Floats, rng: np.random.Generator, level: float = 0.95, n_resamples: int = 10_000
) -> tuple[Floats, Floats, Floats]:
    """Mean over seeds with its percentile bootstrap interval, point by point.

    :param scores: (n_seeds, ...)
    :param level: coverage of the interval, in (0, 1)
    :return: mean, low and high, each of shape (...); with one seed all three are that seed's score
    """
    check_level(level)
    low, high = quantiles(bootstrap_means(scores, rng, n_resamples), level)
    return np.mean(scores, axis=0), low, high


Draws = npt.NDArray[np.intp]


def stratified_draws(
    n_seeds: Sequence[int], n_tasks: int, rng: np.random.Generator, n_resamples: int
) -> Iterator[tuple[Draws, ...]]:
    """Which seed stands in which place of a resample, drawn with replacement in each task on its own.

    :param n_seeds: of every arm; the arms are drawn independently
    :return: batches with one (some, n_seeds, n_tasks) per arm, ``n_resamples`` in all
    """
    batch = max(1, _CELLS_AT_ONCE // (max(n_seeds) * n_tasks))
    for start in range(0, n_resamples, batch):
        size = min(batch, n_resamples - start)
        yield tuple(rng.integers(n, size=(size, n, n_tasks)) for n in n_seeds)


def counted(draws: Draws) -> Draws:
    """How often each seed was drawn.

    :param draws: (n, n_seeds, n_tasks)
    :return: (n, n_seeds, n_tasks)
    """
    n, n_seeds, n_tasks = draws.shape
    cells = (np.arange(n)[:, None, None] * n_seeds + draws) * n_tasks + np.arange(n_tasks)
    return np.bincount(cells.ravel(), minlength=draws.size).reshape(draws.shape)
