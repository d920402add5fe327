"""How large the observations and actions of a task are, for a plan."""

from __future__ import annotations

import functools
import json
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

from marl_pr_common.envs.factories import close, look
from marl_pr_common.envs.registry import is_ours
from sb3_pr.study.teams import team_env


class Sizes(NamedTuple):
    """What one agent sees and does of a task."""

    observed: int
    """Numbers of an observation, flattened."""
    observed_bytes: int
    """As the environment gives it, and a replay buffer keeps it."""
    acted: int
    """Numbers of an action."""
    image: bool
    """Whether observations hold an image, which a policy reads by convolutions."""


@functools.lru_cache
def sizes(env_id: str, options: str = "{}") -> Sizes:
    """Of a task that :func:`sb3_pr.study.tasks.check_task` has accepted; of agents that differ, the largest.

    :param options: its arguments, as JSON
    """
    own = look(env_id)
    if is_ours(env_id):
        env: Any = team_env(env_id, options=json.loads(options))
    else:
        env = None if own is not None else gym.make(env_id, **json.loads(options))
    seen = [env.observation_space] if own is None else list(own.observation_spaces.values())
    acted = [env.action_space] if own is None else list(own.action_spaces.values())
    if env is not None:
        close(env)
    flat = spaces.utils.flatdim
    return Sizes(
        max(map(flat, seen)),
        max(sum(_bytes(part) for part in _parts(space)) for space in seen),
        max(map(flat, acted)),
        any(is_image_space(part) for space in seen for part in _parts(space)),
    )


def _parts(space: spaces.Space[Any]) -> list[spaces.Space[Any]]:
    return list(space.values()) if isinstance(space, spaces.Dict) else [space]


def _bytes(space: spaces.Space[Any]) -> int:
    return int(np.prod(space.shape or (1,))) * np.dtype(space.dtype).itemsize
