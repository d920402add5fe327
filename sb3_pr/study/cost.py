"""What a cell on Stable-Baselines3 takes, by rates that were measured."""

from __future__ import annotations

import itertools
import json

from marl_pr_common.config import from_mapping
from marl_pr_common.study.hosts import Cost, Plan
from sb3_pr.study.config import TrainConfig

_PROCESS = 450_000_000
"""Bytes of memory of a process: most of them torch."""
_START, _PRODUCT, _PLAYED = 6.0, 5e-10, 1.5e-4
"""CPU seconds: of a process; of one multiplication of an update; of a step of an evaluation."""
_STEP, _STEP_OF_ONE = 8e-4, 2e-4
"""CPU seconds of an environment step: of all agents of the process together, and of each one besides."""
_UPDATE, _UPDATE_OF_ONE = 2.6e-3, 5e-4
"""The same of an update, beside its products. From 1, 3, 10 and 30 agents with 64 and 256 units, and from studies."""
_SAC = 1.6
"""What an update of SAC takes, as a multiple of TD3's: its actor is updated in each."""
_FILE, _SAVED, _LEARNT = 1_000_000, 4, 5
"""Bytes of a finished run beside its networks; what is saved for each weight of them, with a target and Adam's two
moments; and what is held, with its gradient."""
_EPISODE = 500
"""Steps of an episode at most: where one may end early, it mostly does."""


def cost(task: str, plan: Plan) -> Cost:
    """By measured rates; a task that is slow to step takes longer. See :class:`marl_pr_common.study.hosts.Cost`."""
    from sb3_pr.study.sizes import sizes  # slow to import

    config = from_mapping(TrainConfig, plan.settings)
    task_sizes = sizes(task, json.dumps(config.env_kwargs))
    products = _products(task_sizes.observed + task_sizes.acted, config)
    critics = 1 + 0.25 * (config.team_size - 1) * config.own_critics
    critics *= _SAC if config.algo.startswith("sac") else 1
    updates = config.gradient_steps / config.train_freq
    shared = _START + plan.env_steps_per_agent * (_STEP + updates * _UPDATE)
    update = _UPDATE_OF_ONE + _PRODUCT * config.batch_size * products * critics
    evaluations = 2 + config.timesteps_per_agent // config.evaluation_interval
    players = config.team_size + (config.eval_vote and config.team_size > 1)
    played = evaluations * config.eval_episodes * players * _episode(task)
    seconds = shared + plan.total_env_steps * (_STEP_OF_ONE + updates * update) + played * _PLAYED
    rows = min(config.buffer_size, config.timesteps_per_agent) * config.team_size
    replay = rows * (2 * task_sizes.observed_bytes + 4 * (task_sizes.acted + 4))
    networks = 4 * products * config.team_size * (1 + 2 * (config.team_size if config.own_critics else 1))
    saved = _FILE + _SAVED * networks
    return Cost(
        None if task_sizes.image else seconds,  # convolutions: not measured
        shared,
        kept=saved,
        running=2 * (saved + replay),
        memory=replay + _LEARNT * networks,
        process=_PROCESS,
    )


def _products(inputs: int, config: TrainConfig) -> int:
    """Weights of one actor or critic."""
    return sum(one * other for one, other in itertools.pairwise((inputs, *config.net_arch)))


def _episode(task: str) -> int:
    import gymnasium as gym  # slow

    spec = gym.registry.get(task)  # none for module:Id, nor for PettingZoo's
    return min(_EPISODE, (spec and spec.max_episode_steps) or _EPISODE)
