"""Every agent's last episodes, which say who leads: from Monitor's infos, or from the rewards where there is none."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv, VecMonitor, is_vecenv_wrapped

from sb3_pr.envs.parallel import ABSENT, NO_TRANSITION
from sb3_pr.logs import best_agent


def begin(model: Any, new_episodes: bool, forget: bool) -> None:
    """At the start of ``learn``.

    :param new_episodes: whether the environments were reset
    :param forget: whether the statistics begin anew
    """
    if forget or not model._agent_episodes:
        model._agent_episodes = [deque(maxlen=model._stats_window_size) for _ in range(model.n_columns)]
    if new_episodes or len(model._running_episodes) != model.n_columns:
        model._running_episodes = [{"r": 0.0, "l": 0} for _ in range(model.n_columns)]
    model._count_returns = not _monitored(model.env)
    tell_policy(model)


def see_infos(model: Any, infos: list[dict[str, Any]]) -> None:
    """Take in the episodes that Monitor, VecMonitor or gymnasium's RecordEpisodeStatistics describe."""
    for agent, info in enumerate(infos):
        if info.get("episode") is not None:
            model._agent_episodes[agent].append(info["episode"])
            model._running_episodes[agent].update(r=0.0, l=0)
    if any(info.get("episode") is not None for info in infos):
        tell_policy(model)


def see_step(model: Any, rewards: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
    """Without a Monitor: add up the rewards of every agent, (n_agents,), before VecNormalize scaled them."""
    if not model._count_returns:
        return
    if model._vec_normalize_env is not None:
        rewards = model._vec_normalize_env.get_original_reward()
    for agent, running in enumerate(model._running_episodes):
        if (
            infos[agent].get(ABSENT)
            or infos[agent].get("episode") is not None
            or agent // model.n_agents in model.ended
        ):
            continue
        running["r"] += float(rewards[agent])
        running["l"] += 1
        if dones[agent]:
            model._agent_episodes[agent].append(dict(running))
            running.update(r=0.0, l=0)
    if np.any(dones):
        tell_policy(model)


def tell_policy(model: Any) -> None:
    """Whoever asks the policy itself, or saves it, gets the leader's answer too."""
    if model.n_columns > 1 and model.policy is not None:
        model.policy.leader, model.policy.n_teams = leader(model), model.n_teams


def leader(model: Any) -> int:
    """The agent that was set, else the one with the best mean return over its last episodes."""
    return model._leader if model._leader is not None else best_agent(model._agent_episodes)


def only_present(infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Infos without what a user's own VecMonitor says of agents that wait for their team's reset.

    :raises ValueError: for an "episode" that is none of a Monitor's
    """
    for column, info in enumerate(infos):
        played = info.get("episode")
        if played is not None and not (isinstance(played, Mapping) and {"r", "l"} <= played.keys()):
            raise ValueError(
                f"the info of column {column} has 'episode': {played!r}. There Stable-Baselines3's Monitor keeps the "
                "return and length of an episode that ended, {'r': ..., 'l': ...}. Give what the environment says "
                "another key."
            )
    return [{} if info.get(ABSENT) else info for info in infos]


def nothing_to_learn(infos: list[dict[str, Any]]) -> np.ndarray | None:
    """(n_agents,) booleans: whose step is no transition; None if everybody's is one."""
    missing = [NO_TRANSITION in info for info in infos]
    return np.array(missing) if any(missing) else None


def _monitored(env: VecEnv) -> bool:
    try:
        return is_vecenv_wrapped(env, VecMonitor) or all(env.env_is_wrapped(Monitor))
    except (AttributeError, NotImplementedError):  # VecEnvs of other makers
        return False
