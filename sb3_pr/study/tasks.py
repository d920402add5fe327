"""Tasks of ``marl-pr train``: whether one can be made and learnt, and whose mistake it is when an environment fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from marl_pr_common.envs.names import is_ours
from marl_pr_common.reciprocity.guards import NonFiniteError
from sb3_pr.study.teams import check_team_task

logger = logging.getLogger("marl_pr")


class EnvironmentFailedError(ValueError):
    """The code of an environment raised something, or returned what is not gymnasium's API."""


def check_task(env_id: str) -> None:
    """Raise ValueError if the task cannot be made, or has spaces that TD3 and DDPG do not take."""
    if is_ours(env_id):
        check_team_task(env_id)
        return
    with blamed(env_id):
        try:
            env: gym.Env[Any, Any] = gym.make(env_id)
        except (gym.error.Error, ImportError) as error:
            teams = "Tasks with a team are CooperativeNavigation-N, CooperativeNavigation-N-maptf and PredatorPrey-N."
            raise ValueError(f"env={env_id!r} cannot be made: {str(error).rstrip('.')}. {teams}") from error
        except (Exception, SystemExit) as error:  # the user's own code may raise anything
            raise EnvironmentFailedError(f"env={env_id!r} cannot be made: {_said(error)}.") from error
    close(env)
    check_actions(env_id, env.action_space)
    check_observations(env_id, env.observation_space)


def check_actions(env_id: str, space: spaces.Space[Any]) -> None:
    """:raises ValueError: unless actions are real numbers between finite bounds"""
    said = f"env={env_id!r} has the action space {space}"
    if not isinstance(space, spaces.Box):
        raise ValueError(
            f"{said}; TD3 and DDPG need continuous actions (a Box). Choose such a task, for instance Pendulum-v1 or "
            "Hopper-v5."
        )
    if not np.issubdtype(space.dtype, np.floating):
        raise ValueError(
            f"{said} of type {space.dtype}; TD3 and DDPG act with real numbers, of which the replay buffer would keep "
            "the whole part only. Give the Box dtype=np.float32 and round in step()."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        width = space.high.astype(np.float32) - space.low.astype(np.float32)
    if space.low.size == 0 or not np.isfinite(width).all() or not (width > 0).all():
        raise ValueError(
            f"{said}; TD3 and DDPG need at least one action, each with finite bounds, the lower one below the upper "
            "one: actions are scaled to them. Wrap the task in gymnasium.wrappers.RescaleAction or give such bounds."
        )


def check_observations(env_id: str, space: spaces.Space[Any]) -> None:
    """:raises ValueError: unless SB3's policies can take the observations"""
    parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
    for key, part in parts.items():
        said = f"env={env_id!r} has the observation space {space}" + (f", and {key!r} in it is {part}" if key else "")
        if not isinstance(part, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
            raise ValueError(
                f"{said}; Stable-Baselines3 takes Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these, not "
                "nested. gymnasium.wrappers.FlattenObservation makes one Box of most others."
            )
        if isinstance(part, spaces.Discrete) and part.start != 0:
            raise ValueError(f"{said}; Stable-Baselines3 counts from 0. Subtract {part.start} in a wrapper.")
        if 0 in (part.shape or ()):
            raise ValueError(f"{said}; it has no element, so that there is nothing to learn from.")
    if not parts:
        raise ValueError(f"env={env_id!r} has the observation space {space}; it has no element.")


@contextmanager
def blamed(env_id: str) -> Iterator[None]:
    """What an environment's code raises becomes an :class:`EnvironmentFailedError` that says where; no other error.

    :raises EnvironmentFailedError: naming the task, the method, file and line
    """
    try:
        yield
    except (NonFiniteError, EnvironmentFailedError):
        raise
    except Exception as error:
        if place := _place(error.__traceback__):
            raise EnvironmentFailedError(f"env={env_id!r}: {place} {_said(error)}.") from error
        raise


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().rstrip('.') or 'without a word'}"


_CHECK = "stable_baselines3.common.env_checker.check_env names such mistakes"


def _place(trace: TracebackType | None) -> str:
    """What in an environment an error comes from; empty if it comes from elsewhere."""
    found = ""
    while trace is not None:
        frame, here = trace.tb_frame, trace.tb_frame.f_locals.get("self")
        method = frame.f_code.co_name
        if isinstance(here, gym.Env) and not hasattr(here, "num_envs"):
            file = Path(frame.f_code.co_filename).name
            found = f"{method}() of {type(here).__name__} ({file}, line {trace.tb_lineno}) raised"
        elif isinstance(here, DummyVecEnv) and method == "_save_obs":
            space = here.observation_space
            found = f"an observation does not fit the observation space {space} ({_CHECK}):"
        elif isinstance(here, DummyVecEnv) and method in ("step_wait", "reset"):
            found = f"{method.removesuffix('_wait')}() does not return what gymnasium's API says ({_CHECK}):"
        trace = trace.tb_next
    return found


def close(env: VecEnv | gym.Env[Any, Any]) -> None:
    """Close an environment that is not needed any more: what it raises now changes nothing."""
    try:
        env.close()
    except Exception as error:
        logger.warning("closing the environment: %s: %s", type(error).__name__, error)
