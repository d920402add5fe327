"""Tasks of ``marl-pr train``: whether one can be made and learnt, and whose mistake it is when an environment fails."""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from marl_pr_common.envs.factories import Look, close, find_factory, look, make_own
from marl_pr_common.envs.imports import UnusableError
from marl_pr_common.envs.kinds import is_parallel_env
from marl_pr_common.envs.mujoco import log_warnings
from marl_pr_common.envs.registry import is_ours
from marl_pr_common.envs.values import as_flag
from marl_pr_common.reciprocity.guards import NonFiniteError
from marl_pr_common.runs.signals import Stopped
from sb3_pr.algorithms.spec import said as algorithms
from sb3_pr.bounds import EndlessEpisodeError
from sb3_pr.envs import padding
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.teams import check_team_task, unmade


class EnvironmentFailedError(ValueError):
    """The code of an environment raised something, or returned what is not gymnasium's API."""


def check_task(env_id: str, options: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Raise ValueError if the task cannot be made with these arguments, or has spaces that no algorithm takes."""
    log_warnings()
    if is_ours(env_id):
        check_team_task(env_id, options)
        return
    own = look(env_id)
    if own is not None:
        if options:
            raise ValueError(
                f"env_kwargs {dict(options)} with env={env_id!r}: a factory of your own is called without arguments. "
                "Give them there: make = functools.partial(Maze, size=5), and name that."
            )
        _check_own(env_id, own)
        return
    with blamed(env_id):
        try:
            env: gym.Env[Any, Any] = gym.make(env_id, **options)
        except (gym.error.Error, ImportError) as error:
            raise unmade(env_id, error) from error
        except (Exception, SystemExit) as error:  # the user's own code may raise anything
            given = f" with env_kwargs {dict(options)}" if options else ""
            raise EnvironmentFailedError(
                f"env={env_id!r} cannot be made{given}: {_said(error)}.{_hint(error)}"
            ) from error
    close(env)
    check_actions(env_id, env.action_space)
    check_observations(env_id, env.observation_space)


def _hint(error: BaseException) -> str:
    """What to do where gymnasium was given a PettingZoo environment, whose spaces are methods."""
    asked = "actual type: <class 'method'>" in str(error)
    return " A PettingZoo environment has no id: name its class, package.module:Class." if asked else ""


def source(config: TrainConfig) -> str | Callable[[], Any]:
    """What ``make_vec_env`` makes copies of a task from: its id, or a function that makes a new one each time."""
    factory = find_factory(config.env)
    if factory is None:
        return functools.partial(gym.make, config.env, **config.env_kwargs) if config.env_kwargs else config.env
    return functools.partial(make_own, config.env, factory)


def copies(config: TrainConfig, n_envs: int, seed: int | None = None) -> VecEnv:
    """A VecEnv of copies of the task, one for each agent, or of an evaluation."""
    return make_vec_env(source(config), n_envs=n_envs, seed=seed, wrapper_class=Flags)


class Flags(gym.Wrapper[Any, Any, Any, Any]):
    """An environment whose ends are True and False: NumPy takes NaN and "False" for an end, at every step."""

    keeps_no_state = True
    """Checkpoints hold what it wraps."""

    def step(self, action: Any) -> Any:
        found = super().step(action)
        for name, value in zip(("terminated", "truncated"), found[2:4], strict=False):
            if as_flag(value) is None:
                raise EnvironmentFailedError(
                    f"step() of {type(self.unwrapped).__name__} returned {name}={value!r} ({type(value).__name__}): "
                    "expected True or False."
                )
        return found


def _check_own(env_id: str, own: Look) -> None:
    """:raises ValueError: unless the algorithms can learn in the environments of a user's factory"""
    if own.agents is None:
        check_actions(env_id, own.action_spaces[None])
        check_observations(env_id, own.observation_spaces[None])
        return
    if not own.agents or len(set(own.agents)) < len(own.agents):
        raise ValueError(
            f"env={env_id!r}: possible_agents is {list(own.agents)}. List all agents that may ever act, once each."
        )
    try:
        check_actions(env_id, padding.common_actions(own.action_spaces))  # type: ignore[arg-type]
        check_observations(env_id, padding.common_observations(own.observation_spaces))  # type: ignore[arg-type]
    except (padding.UnsupportedSpaces, padding.UnsupportedActionSpace) as error:
        raise ValueError(f"env={env_id!r}: {error}") from error


def check_actions(env_id: str, space: spaces.Space[Any]) -> None:
    """:raises ValueError: unless actions are real numbers between finite bounds"""
    said = f"env={env_id!r} has the action space {space}"
    if not isinstance(space, spaces.Box):
        raise ValueError(
            f"{said}; {algorithms()} need continuous actions (a Box). Choose such a task, for instance Pendulum-v1 or "
            "Hopper-v5."
        )
    if not np.issubdtype(space.dtype, np.floating):
        raise ValueError(
            f"{said} of type {space.dtype}; {algorithms()} act with real numbers, of which the replay buffer would "
            "keep the whole part only. Give the Box dtype=np.float32 and round in step()."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        width = space.high.astype(np.float32) - space.low.astype(np.float32)
    if space.low.size == 0 or not np.isfinite(width).all() or not (width > 0).all():
        raise ValueError(
            f"{said}; {algorithms()} need at least one action, each with finite bounds, the lower one below the upper "
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
    except (NonFiniteError, EnvironmentFailedError, UnusableError, Stopped, KeyboardInterrupt):
        raise
    except EndlessEpisodeError as error:
        raise EnvironmentFailedError(f"env={env_id!r}: {error}") from error
    except BaseException as error:  # sys.exit, or a panic of a simulator in Rust
        if place := _place(error):
            raise EnvironmentFailedError(f"env={env_id!r}: {place} {_said(error)}.") from error
        if isinstance(error, SystemExit):  # else its code, 0 perhaps, would be the command's
            raise EnvironmentFailedError(f"env={env_id!r}: something called sys.exit({error.code!r}).") from error
        raise


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().rstrip('.') or 'without a word'}"


_CHECK = "stable_baselines3.common.env_checker.check_env names such mistakes"


_THEIRS = ("gymnasium.wrappers.", "gymnasium.utils.passive_env_checker", "stable_baselines3.common.monitor")
_OF_ANSWERS = (AssertionError, TypeError, ValueError)


def _place(error: BaseException) -> str:
    """What in an environment an error comes from; empty if it comes from elsewhere."""
    found, trace = "", error.__traceback__
    modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(trace)]
    theirs = isinstance(error, _OF_ANSWERS) and modules[-1].startswith(_THEIRS)
    while trace is not None:
        frame, code = trace.tb_frame, trace.tb_frame.f_code
        method = code.co_name
        first = code.co_varnames[0] if code.co_argcount else ""
        here = frame.f_locals.get(first)
        if first != "self" and not _has(here, code):  # a function that was given an environment
            here = None
        if _is_env(here):
            file = Path(code.co_filename).name
            found = f"{method}() of {type(here).__name__} ({file}, line {trace.tb_lineno}) raised"
        if theirs and isinstance(here, gym.Wrapper):  # what these say is about what they were given
            found = f"{method}() is not what gymnasium's API says ({_CHECK}):"
        elif isinstance(here, DummyVecEnv) and method == "_save_obs":
            space = here.observation_space
            found = f"an observation does not fit the observation space {space} ({_CHECK}):"
        elif isinstance(here, DummyVecEnv) and method in ("step_wait", "reset"):
            found = f"{method.removesuffix('_wait')}() does not return what gymnasium's API says ({_CHECK}):"
        trace = trace.tb_next
    return found


def _has(here: Any, code: CodeType) -> bool:
    """Whether it is the code of a method, whatever that calls its object."""
    methods = (vars(kind).get(code.co_name) for kind in type(here).__mro__)
    return any(getattr(inspect.unwrap(one), "__code__", None) is code for one in methods if callable(one))


def _is_env(here: Any) -> bool:
    """Whether a frame's ``self`` is an environment, and not one of ours around it."""
    if isinstance(here, gym.Env):
        return not hasattr(here, "num_envs")
    return not isinstance(here, VecEnv) and is_parallel_env(here)
