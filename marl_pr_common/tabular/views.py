"""What an agent of a user's environment sees, as an integer: its observation space, read once, and every observation
checked against it by type and value."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np

from marl_pr_common.envs.spaces import ObsSpace

OBSERVATION, MASK = "observation", "action_mask"
"""The keys of PettingZoo's observations that carry an action mask."""


@dataclass(frozen=True)
class View:
    """How the observations of one agent become state indices."""

    agent: Any
    space: ObsSpace
    features: tuple[tuple[int, int, int], ...]
    """(lowest value, number of values, stride) of each observed feature."""
    shape: tuple[int, ...] | None
    """Of an observation; None: any, with one number per feature."""
    masked: bool
    """Whether observations are ``Dict(observation=..., action_mask=...)``."""
    described: str
    """What the space is, for messages."""

    def state(self, observation: Any) -> int:
        """The state index, in 0 .. space.n_states - 1.

        :raises ValueError: if the observation is not of this space
        """
        state = 0
        for value, (lowest, size, stride) in zip(self._numbers(observation), self.features, strict=True):
            offset = value - lowest
            if not 0 <= offset < size or offset != int(offset):  # NaN fails the first comparison
                raise self._wrong(observation)
            state += int(offset) * stride
        return state

    def split(self, observation: Any) -> tuple[Any, Any]:
        """The observation proper, and the action mask that came with it (None: none).

        :raises ValueError: if the space has both and the observation has not
        """
        if not self.masked:
            return observation, None
        try:
            return observation[OBSERVATION], observation[MASK]
        except (KeyError, TypeError, IndexError) as error:
            raise self._wrong(observation) from error

    def _numbers(self, observation: Any) -> list[Any]:
        if type(observation) is int and len(self.features) == 1:
            return [observation]
        try:
            array = np.asarray(observation)
        except (TypeError, ValueError, RuntimeError) as error:  # ragged; a tensor of another device
            raise self._wrong(observation) from error
        right = self.shape is None or array.shape == self.shape or _squeezed(array.shape) == _squeezed(self.shape)
        if array.dtype.kind not in "iubf" or array.size != len(self.features) or not right:
            raise self._wrong(observation)
        found: list[Any] = array.ravel().tolist()
        return found

    def _wrong(self, observation: Any) -> ValueError:
        return ValueError(
            f"agent {self.agent!r}: the observation {observation!r} ({type(observation).__name__}) is not in its space "
            f"{self.described}. Make the space wide enough, or the environment keep to it: each value is one cell of a "
            "table."
        )


def view_of(env: Any, agent: Any, ordinal: bool) -> View:
    """The view of one agent: ``env.obs_space(agent)`` where that gives an ``ObsSpace``, else its observation space.

    :param ordinal: whether features of plain spaces are ordered
    :raises ValueError: if the space cannot be told cell by cell
    """
    given = env.observation_space(agent)
    space, masked = _without_mask(given)
    plain = _cells(space)
    own = _own_space(env, agent)
    if own is None and plain is None:
        raise ValueError(
            f"{agent} has the observation space {given} ({type(given).__module__}): tabular learning needs Discrete or "
            "MultiDiscrete or MultiBinary of gymnasium.spaces, or Dict(observation=one of these, action_mask=...). "
            "Discretise it with a wrapper, or use the deep learners (sb3_pr, epymarl_pr)."
        )
    if own is None:
        assert plain is not None
        lowest, sizes = plain
        own = ObsSpace(sizes, ordinal=(ordinal,) * len(sizes))
    else:
        sizes = tuple(size for size, kept in zip(own.sizes, own.keep, strict=True) if kept)
        lowest = plain[0] if plain else (0,) * len(sizes)
        if plain and (len(plain[1]) != len(sizes) or any(a > b for a, b in zip(plain[1], sizes, strict=True))):
            raise ValueError(
                f"{agent}: obs_space() says that it observes features of {sizes} values, its observation space is "
                f"{given}. Make them agree: one number per observed feature."
            )
    strides = own.strides[list(own.keep)].tolist()
    shape = tuple(space.shape) if plain else None
    described = f"{given}" if plain else f"{given}, features of {sizes} values by obs_space()"
    return View(agent, own, tuple(zip(lowest, sizes, strides, strict=True)), shape, masked, described)


def _without_mask(space: Any) -> tuple[Any, bool]:
    from gymnasium import spaces

    if isinstance(space, spaces.Dict) and set(space.spaces) == {OBSERVATION, MASK}:
        return space[OBSERVATION], True
    return space, False


def _cells(space: Any) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Lowest value and number of values of each feature of a discrete space; None for another space."""
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete):
        return (int(space.start),), (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete):
        sizes = np.ravel(space.nvec)
        start = np.broadcast_to(getattr(space, "start", 0), space.nvec.shape)
        return tuple(np.ravel(start).tolist()), tuple(sizes.tolist())
    if isinstance(space, spaces.MultiBinary):
        size = int(np.prod(space.shape))
        return (0,) * size, (2,) * size
    return None


def _own_space(env: Any, agent: Any) -> ObsSpace | None:
    """What the environment's method ``obs_space(agent)`` gives; other attributes of that name are not ours."""
    method = getattr(getattr(env, "unwrapped", env), "obs_space", None)
    if not callable(method):
        return None
    try:
        inspect.signature(method).bind(agent)
    except (TypeError, ValueError):
        return None
    found = method(agent)
    return found if isinstance(found, ObsSpace) else None


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
