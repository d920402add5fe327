"""Environments as columns: column i of the VecEnv is agent i."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from marl_pr_common.envs.kinds import is_parallel_env as is_parallel_env
from sb3_pr.algorithms.spec import said as algorithms
from sb3_pr.envs.infos import copied_quickly
from sb3_pr.envs.padding import UnsupportedActionSpace
from sb3_pr.envs.parallel import TeamVecEnv, layers_of
from sb3_pr.envs.parallel import parallel_to_vec_env as parallel_to_vec_env


def make_columns(env: Any, n_agents: Any, n_teams: int = 1) -> Any:
    """The environment as SB3 takes it, with one column per agent.

    :param env: a gymnasium id or a function that makes an env (``n_agents`` copies are made), a VecEnv, a gymnasium
        env (one agent), a PettingZoo ParallelEnv (its agents are the columns), or None
    :param n_agents: of a team; None takes what the environment has, one for an id
    :param n_teams: teams of so many agents
    :raises ValueError: if the number of columns disagrees with ``n_agents``
    """
    if n_agents is not None and (type(n_agents) is bool or not isinstance(n_agents, (int, np.integer)) or n_agents < 1):
        raise ValueError(f"n_agents={n_agents!r}: expected an integer >= 1.")
    if env is None:
        return None
    wanted = int(n_agents or 1) * n_teams
    if isinstance(env, str) and wanted == 1:
        return env  # SB3 makes it
    if is_factory(env):
        first = with_agents_as_columns(env())
        if not isinstance(first, VecEnv):  # column 0: some simulators start once per process
            made = itertools.chain([lambda: first], itertools.repeat(env))
            return copied_quickly(make_vec_env(lambda: next(made)(), n_envs=wanted))
        env = first
    if isinstance(env, str):
        return copied_quickly(make_vec_env(env, n_envs=wanted))
    env = with_agents_as_columns(env)
    columns = env.num_envs if isinstance(env, VecEnv) else 1
    if n_teams > 1 and not is_team(env) and (columns % n_teams or (n_agents and columns != wanted)):
        raise ValueError(
            f"n_teams={n_teams}{f', n_agents={n_agents}' if n_agents else ''}, but the environment has {columns} "
            f"column(s): team after team, every agent has one. Pass a VecEnv with {wanted} environments"
            f"{'' if n_agents else ' or a multiple of that'}, an id, or a function that makes one."
        )
    if n_teams == 1 and n_agents is not None and columns != n_agents:
        raise ValueError(
            f"n_agents={n_agents}, but the environment has {columns} column(s): column i of the VecEnv is agent i. "
            f"Leave n_agents out, or pass a VecEnv with {n_agents} environments, an id, or a function that makes one."
        )
    return env


def check_action_space(space: spaces.Space[Any]) -> None:
    """:raises UnsupportedActionSpace: unless actions are a ``Box``."""
    if not isinstance(space, spaces.Box):
        raise UnsupportedActionSpace(
            f"The action space is {space}, but {algorithms()} need continuous actions: a gymnasium Box. "
            "For PettingZoo's MPE pass continuous_actions=True; for discrete actions choose another algorithm."
        )


def with_agents_as_columns(env: Any) -> Any:
    """A PettingZoo ParallelEnv as a VecEnv; what SB3 takes by itself as it is.

    :raises TypeError: if it is no environment
    :raises ValueError: for a multi-agent environment of another kind; says how to convert it
    """
    if is_parallel_env(env):
        _warn_of_black_death(env)
        return parallel_to_vec_env(env)
    if not isinstance(env, (gym.Env, VecEnv)) and hasattr(env, "agent_iter") and hasattr(env, "last"):
        raise ValueError(
            f"{type(env).__name__} is a PettingZoo AECEnv, whose agents act in turn; here they act at once. Pass the "
            "module's parallel_env(...), or pettingzoo.utils.conversions.aec_to_parallel(env)."
        )
    if isinstance(env, gym.vector.VectorEnv) or type(env).__module__.startswith("supersuit.vector.markov"):
        raise ValueError(
            f"{type(env).__name__} is a vector environment of gymnasium, not of Stable-Baselines3. Pass the PettingZoo "
            "ParallelEnv itself, an id or a function with n_agents, or a Stable-Baselines3 VecEnv (make_vec_env)."
        )
    if not hasattr(env, "action_space"):
        raise TypeError(
            f"env={env!r} is no environment: expected a gymnasium env or id, a VecEnv, a PettingZoo ParallelEnv, or a "
            "function that makes one of them."
        )
    if is_team(env) and not isinstance(env.unwrapped, TeamVecEnv):
        warnings.warn(
            "SuperSuit's VecEnv does not say which ends are time limits, so Stable-Baselines3 takes them all for "
            "terminal. Pass the PettingZoo ParallelEnv itself.",
            stacklevel=3,
        )
    return env


def _warn_of_black_death(env: Any) -> None:
    """Of an environment in which nobody's end is told."""
    if any(type(layer).__name__.startswith("black_death") for layer in layers_of(env)):
        warnings.warn(
            "SuperSuit's black_death hides when an agent ends: it acts on as if it lived, and time limits count as "
            "terminal. Agents that end are known here by themselves: leave the wrapper out.",
            stacklevel=4,
        )


def is_factory(env: Any) -> bool:
    """Whether ``env`` is a function that makes an environment."""
    return callable(env) and not isinstance(env, (str, gym.Env, VecEnv)) and not is_parallel_env(env)


def is_team(env: Any) -> bool:
    """Whether the columns of a VecEnv are agents of one world, not copies of a task: ours, or SuperSuit's."""
    while isinstance(env, VecEnv):
        if isinstance(env, TeamVecEnv) or type(env).__module__.startswith("supersuit."):
            return True
        env = getattr(env, "venv", None)
    return False


def own_action_spaces(env: VecEnv | None) -> list[spaces.Box] | None:
    """The action space of each agent of a PettingZoo environment, where they differ from the VecEnv's."""
    inmost = None if env is None else env.unwrapped
    if not isinstance(inmost, TeamVecEnv) or all(own == inmost.action_space for own in inmost.own_action_spaces):
        return None
    return inmost.own_action_spaces
