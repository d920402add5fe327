"""Environments as columns: column i of the VecEnv is agent i."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv


class UnsupportedActionSpace(AssertionError, ValueError):
    """The algorithms need continuous actions. An AssertionError, as SB3 raises here, that says what to do."""


def make_columns(env: Any, n_agents: Any) -> Any:
    """The environment as SB3 takes it, with one column per agent.

    :param env: a gymnasium id or a function that makes an env (``n_agents`` copies are made), a VecEnv, a gymnasium
        env (one agent), a PettingZoo ParallelEnv (its agents are the columns), or None
    :param n_agents: None takes what the environment has, one for an id
    :raises ValueError: if the number of columns disagrees with ``n_agents``
    """
    if n_agents is not None and (type(n_agents) is bool or not isinstance(n_agents, (int, np.integer)) or n_agents < 1):
        raise ValueError(f"n_agents={n_agents!r}: expected an integer >= 1.")
    if env is None:
        return None
    if isinstance(env, str) and (n_agents or 1) == 1:
        return env  # SB3 makes it
    if not isinstance(env, (str, gym.Env, VecEnv)) and not is_parallel_env(env) and callable(env):
        made = env()
        if not is_parallel_env(made):
            made.close()
            return make_vec_env(env, n_envs=int(n_agents or 1))
        env = made
    if isinstance(env, str):
        return make_vec_env(env, n_envs=int(n_agents or 1))
    if is_parallel_env(env):
        env = parallel_to_vec_env(env)
    columns = env.num_envs if isinstance(env, VecEnv) else 1
    if n_agents is not None and columns != n_agents:
        raise ValueError(
            f"n_agents={n_agents}, but the environment has {columns} column(s): column i of the VecEnv is agent i. "
            f"Leave n_agents out, or pass a VecEnv with {n_agents} environments, an id, or a function that makes one."
        )
    return env


def check_action_space(space: spaces.Space[Any]) -> None:
    """:raises UnsupportedActionSpace: unless actions are a ``Box``."""
    if not isinstance(space, spaces.Box):
        raise UnsupportedActionSpace(
            f"The action space is {space}, but TD3 and DDPG need continuous actions: a gymnasium Box. "
            "For PettingZoo's MPE pass continuous_actions=True; for discrete actions choose another algorithm."
        )


def is_parallel_env(env: Any) -> bool:
    """Whether ``env`` is a PettingZoo ParallelEnv (without importing PettingZoo)."""
    return any(cls.__module__.startswith("pettingzoo.") and cls.__name__ == "ParallelEnv" for cls in type(env).__mro__)


def parallel_to_vec_env(env: Any) -> VecEnv:
    """A PettingZoo ParallelEnv as a VecEnv with one column per agent; see :mod:`sb3_pr.parallel`.

    :raises ImportError: without SuperSuit; says what to install
    """
    check_action_space(env.action_space(env.possible_agents[0]))
    try:
        from sb3_pr import parallel
    except ImportError as error:
        raise ImportError(
            f"PettingZoo environments need SuperSuit and PettingZoo ({error}): pip install 'marl-pr[mpe]'"
        ) from error
    return parallel.parallel_to_vec_env(env)
