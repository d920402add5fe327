"""What a group logs beside SB3's means: every agent's returns, and how its values stand to its peers'."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import safe_mean

from marl_pr_common.reciprocity import Reciprocity

Episodes = Sequence[deque[dict[str, float]]]
"""Per agent its last episodes, as Monitor describes them: "r" the return, "l" the length."""

PAIRS_UP_TO = 8
"""Agents in a group whose trust is logged pair by pair; a log has no room for the pairs of more."""


def best_agent(episodes: Episodes) -> int:
    """The agent with the best mean return over its last episodes; 0 before any has ended."""
    returns = [safe_mean([episode["r"] for episode in played]) if played else -np.inf for played in episodes]
    return int(np.argmax(returns)) if returns else 0


def name_of(agent: int, team_size: int, n_teams: int) -> str:
    """Of an agent in the logs: ``agent_2``; in one of several teams ``team_0/agent_2``."""
    return f"agent_{agent}" if n_teams == 1 else f"team_{agent // team_size}/agent_{agent % team_size}"


def record_episodes(logger: Logger, episodes: Episodes, n_teams: int = 1) -> None:
    """``rollout/agent_i/ep_rew_mean`` and ``ep_len_mean``, where an episode has ended; with several teams
    ``rollout/team_t/ep_rew_mean`` of all agents of a team, too."""
    size = len(episodes) // n_teams
    means = {key: [safe_mean([one[key] for one in played]) for played in episodes] for key in ("r", "l")}
    for key, name in (("r", "ep_rew_mean"), ("l", "ep_len_mean")):
        for agent, mean in enumerate(means[key]):
            if episodes[agent]:
                logger.record(f"rollout/{name_of(agent, size, n_teams)}/{name}", mean)
        for team in range(n_teams if n_teams > 1 else 0):
            its = slice(team * size, (team + 1) * size)
            if any(episodes[its]):
                logger.record(f"rollout/team_{team}/{name}", float(np.nanmean(means[key][its])))


def record_reciprocity(logger: Logger, reciprocity: Reciprocity) -> np.ndarray | None:
    """Own and peer value, their gap and disagreement, per agent (``train/agent_i/...``) and as mean (``train/...``).

    :return: the own values, (n_agents,), if there are new ones
    """
    statistics = reciprocity.pop_statistics()
    size, n_teams = reciprocity.team_size, reciprocity.n_agents // reciprocity.team_size
    for name, values in statistics.items():
        for agent, value in enumerate(values):
            if np.isfinite(value):
                logger.record(f"train/{name_of(agent, size, n_teams)}/{name}", float(value))
        if np.isfinite(values).any():
            logger.record(f"train/{name}", float(np.nanmean(values)))
    if statistics and reciprocity.active:
        logger.record("train/masked_peer_values", reciprocity.masked_peer_values)
    record_trust(logger, reciprocity)
    return statistics.get("own_value")


def record_trust(logger: Logger, reciprocity: Reciprocity) -> None:
    """``train/trust``: the part of the peers' weight that the peers have, mean over agents; ``train/agent_i/trust``: of
    agent i; ``train/agent_i/trust_j``: agent j's, i included, in groups of up to :data:`PAIRS_UP_TO` agents."""
    weights = reciprocity.pop_trust()
    if weights is None:
        return
    others = weights.sum(1) - weights.diagonal()
    size, n_teams = reciprocity.team_size, reciprocity.n_agents // reciprocity.team_size
    logger.record("train/trust", float(others.mean()))
    for agent, row in enumerate(weights):
        name = f"train/{name_of(agent, size, n_teams)}/trust"
        logger.record(name, float(others[agent]))
        if size <= PAIRS_UP_TO:
            first = agent // size * size
            for peer, weight in enumerate(row[first : first + size]):
                logger.record(f"{name}_{peer}", float(weight))
