"""What a cell on Stable-Baselines3 takes, by rates that were measured."""

from __future__ import annotations

import itertools
import json

from marl_pr_common.config import from_mapping
from marl_pr_common.study.hosts import Cost, Plan
from sb3_pr.study.config import TrainConfig

_PROCESS = 450_000_000
"""Bytes of memory of a process: most of them torch."""
_START, _PYTHON, _STEP, _PRODUCT, _PLAYED = 6.0, 3.4e-3, 7e-4, 5e-10, 1.5e-4
"""CPU seconds: of a process; of a step of all its agents; of one agent's; of one multiplication of its update; of a
step of an evaluation. From 1, 3, 10 and 30 agents with 64 and 256 units, and from the studies in docs/results."""
_SAC = 1.6
"""What an update of SAC takes, as a multiple of TD3's: its actor is updated in each."""
_EPISODE = 500
"""Steps of an episode at most: where one may end early, it mostly does."""


def cost(task: str, plan: Plan) -> Cost:
    """By measured rates; a task that is slow to step takes longer. See :class:`marl_pr_common.study.hosts.Cost`."""
    config = from_mapping(TrainConfig, plan.settings)
    wide = (32, *config.net_arch)
    products = sum(one * other for one, other in itertools.pairwise(wide))
    critics = 1 + 0.25 * (config.team_size - 1) * config.own_critics
    critics *= _SAC if config.algo.startswith("sac") else 1
    update = _PRODUCT * config.batch_size * products * critics * config.gradient_steps / config.train_freq
    shared = _START + plan.env_steps_per_agent * _PYTHON
    evaluations = 2 + config.timesteps_per_agent // config.evaluation_interval
    players = config.team_size + (config.eval_vote and config.team_size > 1)
    played = evaluations * config.eval_episodes * players * _episode(task)
    seconds = shared + plan.total_env_steps * (_STEP + update) + played * _PLAYED
    replay = _replay(task, config)
    memory = replay + _networks(config)
    return Cost(seconds, shared, kept=2_000_000, running=2 * replay, memory=memory, process=_PROCESS)


def _episode(task: str) -> int:
    import gymnasium as gym  # slow

    spec = gym.registry.get(task)  # none for module:Id, nor for PettingZoo's
    return min(_EPISODE, (spec and spec.max_episode_steps) or _EPISODE)


def _networks(config: TrainConfig) -> int:
    """Bytes of actor, two critics, targets, their gradients and Adam's moments: float32, 15 numbers for a weight."""
    products = sum(one * other for one, other in itertools.pairwise((64, *config.net_arch)))
    return 4 * 15 * products * config.team_size * (config.team_size if config.own_critics else 1)


def _replay(task: str, config: TrainConfig) -> int:
    """Bytes of the replay buffer in one checkpoint: float32 observations, twice, and actions."""
    from sb3_pr.study.tasks import widths  # slow to import

    observation, action = widths(task, json.dumps(config.env_kwargs))
    return 4 * min(config.buffer_size, config.timesteps_per_agent) * config.team_size * (2 * observation + action + 4)
