"""What an object is that should be an environment: told by its class, without importing what it may come from."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from marl_pr_common.envs.imports import UnusableError


def is_parallel_env(env: Any) -> bool:
    """Whether ``env`` is a PettingZoo ParallelEnv, or has all that makes one."""
    if _descends(env, "pettingzoo.", "ParallelEnv"):
        return True
    parts = ("possible_agents", "observation_space", "action_space", "reset", "step")
    foreign = isinstance(env, type) or is_gymnasium_env(env) or hasattr(env, "agent_iter") or _vectorised(env)
    return not foreign and all(hasattr(env, part) for part in parts) and callable(env.action_space)


def is_gymnasium_env(env: Any) -> bool:
    """Whether ``env`` is a gymnasium env, or a wrapper of one."""
    return _descends(env, "gymnasium.", "Env")


def parallel_of(name: str, env: Any) -> Any:
    """What a factory returned, if it is an environment that can be learnt in: a gymnasium env or a ParallelEnv as they
    are; an AEC env as PettingZoo makes a ParallelEnv of it, where it says that it may be.

    :raises UnusableError: for anything else, named
    """
    if is_gymnasium_env(env) or is_parallel_env(env):
        return env
    if hasattr(env, "agent_iter") and hasattr(env, "last") and not isinstance(env, type):
        return _aec(name, env)
    raise UnusableError(f"env={name!r} cannot be made: its factory returned {_described(env)}.")


def _aec(name: str, env: Any) -> Any:
    if not getattr(env, "metadata", {}).get("is_parallelizable", False):
        raise UnusableError(
            f"env={name!r} cannot be made: its factory returned the AEC environment {_title(env)}, whose agents act in "
            "turn, and whose metadata don't say is_parallelizable. Here agents act at once: return a ParallelEnv."
        )
    from pettingzoo.utils.conversions import aec_to_parallel

    return aec_to_parallel(env)


def _described(env: Any) -> str:
    expected = "expected a new gymnasium env or PettingZoo ParallelEnv"
    if env is None:
        return f"None: {expected}. Does it lack a return?"
    if inspect.iscoroutine(env):
        env.close()  # else Python warns that nobody awaited it
        return f"a coroutine, since it is an async def: {expected}, from a plain function"
    if isinstance(env, type):
        return f"the class {env.__name__}: {expected}. Return {env.__name__}()"
    if _vectorised(env):
        return (
            f"{_title(env)}, a vector of environments: {expected}, of which n_agents copies are made here. A VecEnv "
            "of your own, such as VecNormalize, goes into TD3PR and the like in Python"
        )
    if _descends(env, "gym.", "Env"):
        return f"{_title(env)}, an environment of the package gym: {expected}. shimmy.GymV21CompatibilityV0 makes one"
    if callable(env):
        return f"{env!r:.80}, which is to be called once more: {expected}"
    if hasattr(env, "reset") and hasattr(env, "step"):
        return (
            f"{_title(env)}, which has reset and step, but is no gymnasium.Env, and has no possible_agents with "
            f"observation_space(agent) and action_space(agent): {expected}"
        )
    return f"{env!r:.80} ({type(env).__name__}): {expected}"


def _vectorised(env: Any) -> bool:
    return _descends(env, "stable_baselines3.", "VecEnv") or _descends(env, "gymnasium.vector", "VectorEnv")


def _title(env: Any) -> str:
    return type(getattr(env, "unwrapped", env)).__name__


def _descends(env: Any, package: str, name: str) -> bool:
    """Whether a class of that name and package is among the bases, by its names, or itself where it is loaded."""
    loaded = getattr(sys.modules.get(package.rstrip(".")), name, None)
    if isinstance(loaded, type) and isinstance(env, loaded):
        return True
    return any(cls.__name__ == name and f"{cls.__module__}.".startswith(package) for cls in type(env).__mro__)
