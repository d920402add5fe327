"""One space for all agents of a PettingZoo environment: observations are padded, actions mapped to each agent's Box."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from sb3_pr.algorithms.spec import said as algorithms

Spaces = Mapping[str, spaces.Space[Any]]
"""Agent -> its space, in the order of the columns."""


_OBSERVATIONS = (spaces.Box, spaces.Dict, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class UnsupportedActionSpace(AssertionError, ValueError):
    """The algorithms need continuous actions. An AssertionError, as SB3 raises here, that says what to do."""


class UnsupportedSpaces(AssertionError, ValueError):
    """Agents' spaces have no common space; the message names agents and spaces."""


def common_observations(own: Spaces) -> spaces.Space[Any]:
    """The space that all agents' observations fit into when padded with zeros; their own one where they agree.

    :raises UnsupportedSpaces: for a mixture of kinds, of numbers of dimensions or of types other than floats
    """
    found = list(own.values())
    for agent, space in own.items():
        if not isinstance(space, _OBSERVATIONS):
            raise UnsupportedSpaces(
                f"agent {agent!r} has the observation space {space}, which Stable-Baselines3 does not take: it must be "
                "a Box, Dict, Discrete, MultiDiscrete or MultiBinary. Wrap the environment so that it is one."
            )
    if all(space == found[0] for space in found):
        return found[0]
    if all(isinstance(space, spaces.Box) for space in found):
        _check_boxes(own, "observation")
        return _hull(own)
    if all(isinstance(space, spaces.Dict) for space in found):
        keys = [set(space.spaces) for space in found]  # type: ignore[attr-defined]
        if all(found_keys == keys[0] for found_keys in keys):
            parts = {key: {agent: space[key] for agent, space in own.items()} for key in sorted(keys[0])}  # type: ignore
            return spaces.Dict({key: common_observations(part) for key, part in parts.items()})
    raise UnsupportedSpaces(_disagree(own, "observation", "Box spaces of equal dtype and number of dimensions"))


def common_actions(own: Spaces) -> spaces.Box:
    """The ``Box`` that all agents' actions are drawn in; :class:`OwnActions` maps them to each agent's own.

    :raises UnsupportedActionSpace: unless every agent has a bounded ``Box`` of floats, of one number of dimensions
    """
    for agent, space in own.items():
        wrong = _not_continuous(space)
        if wrong:
            raise UnsupportedActionSpace(
                f"agent {agent!r} has the action space {space}, {wrong}: {algorithms()} need continuous actions of "
                "every agent, a gymnasium Box of floats with finite bounds. For PettingZoo's MPE pass "
                "continuous_actions=True; wrap the environment so that this agent has a Box, or leave the agent out. "
                "Agents with discrete actions and observations learn in tables: a study with host: tabular."
            )
    first = next(iter(own.values()))
    assert isinstance(first, spaces.Box)
    if all(space == first for space in own.values()):
        return first
    try:
        _check_boxes(own, "action")
    except UnsupportedSpaces as error:
        raise UnsupportedActionSpace(str(error)) from None
    return _hull(own)


class OwnActions:
    """Maps actions of the common ``Box`` to an agent's own: cut to its shape, scaled onto all of it and no further.

    :param own: the agent's action space
    :param common: see :func:`common_actions`
    """

    def __init__(self, own: spaces.Box, common: spaces.Box) -> None:
        self.own = own
        self._part = tuple(slice(0, size) for size in own.shape)
        low, high = common.low[self._part], common.high[self._part]
        self._same = bool((low == own.low).all() and (high == own.high).all())
        self._low = low
        self._scale = (own.high - own.low) / np.where(high > low, high - low, 1)

    def __call__(self, action: np.ndarray) -> np.ndarray:
        """(*common.shape) -> (*own.shape), inside the agent's bounds."""
        result = action[self._part]
        if not self._same:
            result = self.own.low + (result - self._low) * self._scale
        clipped: np.ndarray = np.clip(result, self.own.low, self.own.high).astype(self.own.dtype)
        return clipped

    def space(self, common: spaces.Box) -> spaces.Box:
        """The agent's bounds in the common shape: what a network that acts for this agent alone acts in."""
        low, high = common.low.copy(), common.high.copy()
        low[self._part], high[self._part] = self.own.low, self.own.high
        return spaces.Box(low, high, dtype=common.dtype.type)


class Fit:
    """Puts an agent's observations into the common space: checked against its own space, padded with zeros."""

    def __init__(self, agent: str, own: spaces.Space[Any], common: spaces.Space[Any]) -> None:
        self.agent, self.own, self.common = agent, own, common
        self._warned = False

    def __call__(self, observation: Any) -> Any:
        """:raises ValueError: for an observation of another shape, or that is not in a space other than ``Box``"""
        return self._fit(observation, self.own, self.common)

    def _fit(self, value: Any, own: Any, common: Any) -> Any:
        if isinstance(own, spaces.Dict):
            if not isinstance(value, Mapping) or not set(own.spaces) <= set(value):
                raise ValueError(f"agent {self.agent!r} was given the observation {value!r}; its space is {own}.")
            return {key: self._fit(value[key], own[key], common[key]) for key in own.spaces}
        if not isinstance(own, spaces.Box):
            if not own.contains(value):
                raise ValueError(f"agent {self.agent!r} was given the observation {value!r}; its space is {own}.")
            return value
        array = np.asarray(value, dtype=own.dtype)
        if array.shape != own.shape:
            raise ValueError(
                f"agent {self.agent!r} was given an observation of shape {array.shape}; its space is {own}, of shape "
                f"{own.shape}."
            )
        self._look(array, own)
        if array.shape == common.shape:
            return array
        return np.pad(array, [(0, wide - size) for wide, size in zip(common.shape, array.shape, strict=True)])

    def _look(self, array: np.ndarray, own: spaces.Box) -> None:
        """Bounds of observations are often only nearly true, and SB3 does not look at them: said, once."""
        outside = (array < own.low) | (array > own.high)
        if outside.any() and not self._warned:
            self._warned = True
            place = tuple(int(index) for index in np.argwhere(outside)[0])
            warnings.warn(
                f"agent {self.agent!r} was given an observation outside its space {own}: {array[place]} at {place}. It "
                "is used as it is. (Said once.)",
                stacklevel=2,
            )


def zeros(space: spaces.Space[Any]) -> Any:
    """An observation of zeros: of an agent that is not there."""
    if isinstance(space, spaces.Dict):
        return {key: zeros(part) for key, part in space.spaces.items()}
    return np.zeros(space.shape or (), dtype=space.dtype)


def stacked(rows: list[Any]) -> Any:
    """Observations of all agents as SB3 takes them: an array (n_agents, ...), or a dictionary of such."""
    if isinstance(rows[0], dict):
        return {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    return np.stack(rows)


def copied(row: Any) -> Any:
    """An agent's observation, or its dictionary of them, in memory of its own."""
    return {key: part.copy() for key, part in row.items()} if isinstance(row, dict) else row.copy()


def _not_continuous(space: spaces.Space[Any]) -> str:
    if not isinstance(space, spaces.Box):
        return "not a Box"
    if space.dtype is None or space.dtype.kind != "f":
        return f"whose actions are {space.dtype}"
    return "" if np.isfinite(space.low).all() and np.isfinite(space.high).all() else "which is not bounded"


def _check_boxes(own: Spaces, what: str) -> None:
    boxes: list[Any] = list(own.values())
    kinds = {(box.dtype if box.dtype.kind != "f" else "float", len(box.shape)) for box in boxes}
    if len(kinds) > 1:
        raise UnsupportedSpaces(_disagree(own, what, "Box spaces of equal dtype and number of dimensions"))


def _hull(own: Spaces) -> spaces.Box:
    """The smallest padded Box around all agents' boxes, with 0 in the padding; as SuperSuit's padding gives it."""
    boxes: list[Any] = list(own.values())
    shape = tuple(int(size) for size in np.max([box.shape for box in boxes], axis=0))
    low = [_wide(box.low, shape, min(0, box.low.min(initial=0))) for box in boxes]
    high = [_wide(box.high, shape, max(1e-5, box.high.max(initial=0))) for box in boxes]
    return spaces.Box(np.min(low, axis=0), np.max(high, axis=0), dtype=np.result_type(*(b.dtype for b in boxes)).type)


def _wide(bound: np.ndarray, shape: tuple[int, ...], value: float) -> np.ndarray:
    padding = [(0, wide - size) for wide, size in zip(shape, bound.shape, strict=True)]
    return np.pad(bound, padding, constant_values=value)


def _disagree(own: Spaces, what: str, expected: str) -> str:
    first, *others = own.items()
    agent, space = next((agent, space) for agent, space in others if not _alike(space, first[1]))
    return (
        f"agents {first[0]!r} and {agent!r} have {what} spaces without a common one: {first[1]} and {space}. Agents "
        f"are columns of one VecEnv, so their {what}s are padded to a common size, for which they must be {expected} "
        "(or Dict spaces of such with the same keys). Wrap the environment so that they are."
    )


def _alike(space: Any, first: Any) -> bool:
    if isinstance(space, spaces.Box) and isinstance(first, spaces.Box):
        floats = space.dtype.kind == first.dtype.kind == "f"
        return len(space.shape) == len(first.shape) and (floats or space.dtype == first.dtype)
    return bool(space == first)
