"""Environments to evaluate in: made, copied, normalised as the one that a model is trained in; or refused."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecMonitor, VecNormalize, unwrap_vec_normalize

from sb3_pr.envs.columns import is_factory, is_team, with_agents_as_columns
from sb3_pr.envs.parallel import TeamVecEnv

BORROWED = "of_a_model"
"""Mark of a VecNormalize that :func:`as_trained` made."""


def made(env: Any) -> Any:
    """What was passed as an environment to evaluate in, made if it is an id or a function, with agents as columns.

    :raises TypeError: if it is none
    """
    if isinstance(env, str):
        return Monitor(gym.make(env))
    return with_agents_as_columns(env() if is_factory(env) else env)


def of_its_own(model: Any, venv: VecEnv) -> VecEnv:
    """A team's VecEnv as the model may be evaluated in: not the one that it is trained in, and normalised as that one.

    :raises ValueError: see :func:`evaluate_agents`
    """
    n_agents = getattr(model, "n_agents", 1)
    if n_agents not in (1, venv.num_envs):
        raise ValueError(f"the model has {n_agents} agents, but the environment has {venv.num_envs}.")
    if _same_world(venv, model.get_env()):
        return _copied(venv)
    return as_trained(model, venv)


def as_trained(model: Any, venv: VecEnv) -> VecEnv:
    """A VecEnv with observations as the model knows them: by its statistics, if it is trained in a VecNormalize.

    :raises ValueError: if the statistics are of observations of another shape
    """
    if isinstance(venv, VecNormalize) and vars(venv).get(BORROWED):  # from a model before
        venv = venv.venv
    normalized = model.get_vec_normalize_env()
    if normalized is None or unwrap_vec_normalize(venv) is not None:
        return venv
    try:
        still = _still(normalized, venv)
        setattr(still, BORROWED, True)
        return still
    except (AssertionError, ValueError) as error:
        raise ValueError(
            f"the model's VecNormalize has statistics of {normalized.observation_space}, and the environment's "
            f"observations are {venv.observation_space}. Pass one that is wrapped as the model's, VecNormalize "
            "included."
        ) from error


def refuse_training_env(model: Any, callback: BaseCallback) -> None:
    """:raises ValueError: if SB3's EvalCallback would play in the world that the agents are trained in, or mix
    agents"""
    for child in (*getattr(callback, "callbacks", ()), getattr(callback, "callback", None)):
        if isinstance(child, BaseCallback):
            refuse_training_env(model, child)
    if isinstance(callback, EvalCallback) and is_team(callback.eval_env) and _same_world(callback.eval_env, model.env):
        raise ValueError(
            f"{type(callback).__name__} would evaluate where the agents are trained, in the middle of "
            "their episodes. Use sb3_pr.AgentEvalCallback, which takes a PettingZoo environment, or copies this one."
        )
    if not isinstance(callback, EvalCallback) or hasattr(callback, "agent_returns"):  # whose agents play one by one
        return
    if getattr(model, "n_teams", 1) > 1:
        raise ValueError(
            f"{type(callback).__name__} of a model of n_teams={model.n_teams} teams: predict() answers for every agent "
            "of every team, and not for one environment. Use sb3_pr.AgentEvalCallback, which evaluates every agent."
        )
    if not is_team(callback.eval_env):
        refuse_mixture(getattr(model, "n_columns", 1), callback.eval_env)


def refuse_mixture(n_agents: int, eval_env: VecEnv) -> None:
    """:raises ValueError: if ``predict`` would answer each column of copies of one task by another agent"""
    if eval_env.num_envs == n_agents > 1:
        raise ValueError(
            f"eval_env has {n_agents} environments, as many as there are agents: each would be played by another "
            "agent. Pass a single environment; sb3_pr.AgentEvalCallback lets every agent play in it."
        )


def _same_world(one: VecEnv, other: VecEnv | None) -> bool:
    if other is None:
        return False
    worlds = [env.env if isinstance(env, TeamVecEnv) else env for env in (one.unwrapped, other.unwrapped)]
    return worlds[0] is worlds[1]


def _copied(venv: VecEnv) -> VecEnv:
    """The wrappers again around a copy of the environment; VecNormalize stands still, monitors write no file."""
    if isinstance(venv, VecNormalize):
        return _still(venv, _copied(venv.venv))
    if isinstance(venv, VecMonitor):
        return type(venv)(_copied(venv.venv), info_keywords=venv.info_keywords)
    try:
        if not isinstance(venv, VecEnvWrapper):
            return copy.deepcopy(venv)
        inner, clone = _copied(venv.venv), object.__new__(type(venv))  # its __getattr__ forbids copy.deepcopy
        shared = {name: value for name, value in vars(venv).items() if name == "class_attributes"}
        own = {name: value for name, value in vars(venv).items() if name not in ("venv", "class_attributes")}
        clone.__dict__.update(copy.deepcopy(own), venv=inner, **shared)
        return clone
    except (TypeError, AttributeError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"the model's own environment cannot be copied ({error}), and evaluating in it would break off the agents' "
            "episodes. Pass another one: a ParallelEnv, or a function that makes it."
        ) from error


def _still(normalized: VecNormalize, venv: VecEnv) -> VecNormalize:
    """VecNormalize with the statistics of now around another VecEnv: it learns nothing and leaves rewards alone."""
    still = copy.deepcopy(normalized)
    still.set_venv(venv)
    still.training = still.norm_reward = False
    return still
