"""Discrete features seen through an observation matrix Pi: one agent's states as integers 0 .. n_states - 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class ObsSpace:
    """The states s = Pi_s s_G of one agent (section III.B of arXiv 2304.05632).

    :param sizes: number of values of each of the d global features; feature k takes the values 0 .. sizes[k] - 1
    :param keep: which features the agent observes, d booleans; all of them by default
    :param ordinal: which features are ordered, so that values one apart are alike, d booleans; none by default
    :raises ValueError: if the lengths differ, a size is below 1, or no feature is observed
    """

    sizes: tuple[int, ...]
    keep: tuple[bool, ...] = ()
    ordinal: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        d = len(self.sizes)
        object.__setattr__(self, "sizes", tuple(int(size) for size in self.sizes))
        object.__setattr__(self, "keep", tuple(map(bool, self.keep)) or (True,) * d)
        object.__setattr__(self, "ordinal", tuple(map(bool, self.ordinal)) or (False,) * d)
        if d == 0 or min(self.sizes) < 1:
            raise ValueError(f"sizes={self.sizes}: expected at least one feature, each with at least one value.")
        for name in ("keep", "ordinal"):
            if len(getattr(self, name)) != d:
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} entries but sizes={self.sizes} has {d}. "
                    "Give one per feature."
                )
        if not any(self.keep):
            raise ValueError(f"keep={self.keep}: the agent observes no feature. Set at least one entry to True.")
        if self.n_states > np.iinfo(np.int64).max:
            raise ValueError(f"sizes={self.sizes}: more states than there are integers. Observe fewer features.")

    @property
    def d(self) -> int:
        """Number of global features."""
        return len(self.sizes)

    @property
    def n_states(self) -> int:
        """Number of states the agent can tell apart."""
        return math.prod(size for size, kept in zip(self.sizes, self.keep, strict=True) if kept)

    @property
    def matrix(self) -> NDArray[np.int64]:
        """Pi_s, shape (d_s, d): one 1 in each row (eq. 2)."""
        return np.eye(self.d, dtype=np.int64)[list(self.keep)]

    @cached_property
    def strides(self) -> NDArray[np.int64]:
        """Shape (d,): state index = strides @ features; 0 where a feature is not observed, last feature fastest."""
        strides = np.zeros(self.d, dtype=np.int64)
        step = 1
        for k in reversed(range(self.d)):
            if self.keep[k]:
                strides[k] = step
                step *= self.sizes[k]
        return strides

    def encode(self, features: ArrayLike) -> NDArray[np.int64]:
        """State indices, shape (...,), of global features, shape (..., d).

        :raises ValueError: if the last axis is not d, or a value lies outside its feature's range
        """
        array = np.asarray(features, dtype=np.int64)
        if array.shape[-1:] != (self.d,):
            raise ValueError(f"features of shape {array.shape}: expected (..., {self.d}), one value per feature.")
        if np.any((array < 0) | (array >= np.asarray(self.sizes))):
            raise ValueError(f"features outside 0 .. size - 1 with sizes={self.sizes}: {array.tolist()}.")
        return np.asarray(array @ self.strides)

    def decode(self, states: ArrayLike) -> NDArray[np.int64]:
        """Global features, shape (..., d), of state indices, shape (...,); -1 where a feature is not observed.

        :raises ValueError: if a state is not in 0 .. n_states - 1
        """
        index = np.asarray(states, dtype=np.int64)
        if np.any((index < 0) | (index >= self.n_states)):
            raise ValueError(f"states outside 0 .. {self.n_states - 1}: {index.tolist()}.")
        divisor = np.maximum(self.strides, 1)
        values = index[..., None] // divisor % np.asarray(self.sizes)
        return np.where(self.keep, values, -1)
