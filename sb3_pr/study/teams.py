"""Multi-agent tasks in ``marl-pr train``: a team of ``marl_pr_common.envs`` whose agents are the columns.

``--env CooperativeNavigation-3`` has three agents in one world, where ``--env Hopper-v5`` has each agent
in a copy of the task. So the team acts together in evaluation too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sb3_pr.study.config import TrainConfig

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

CONTINUOUS = ("CooperativeNavigation-", "PredatorPrey-")
"""Families that take continuous actions."""


def team_env(name: str, seed: int | None = None) -> VecEnv:
    """The environment with continuous actions as a VecEnv, one column per agent.

    :raises ImportError: without PettingZoo or mpe2; says what to install
    :raises ValueError: if it cannot be made
    """
    from marl_pr_common.envs import make
    from sb3_pr.envs.columns import parallel_to_vec_env

    venv = parallel_to_vec_env(make(name, continuous_actions=True))
    venv.seed(seed)
    return venv


def check_team_task(name: str) -> None:
    """Whether there is such an environment, with continuous actions.

    :raises ValueError: if not
    """
    if not name.startswith(CONTINUOUS):
        raise ValueError(
            f"env={name!r} has discrete actions; TD3 and DDPG need continuous ones. Of the multi-agent tasks, "
            f"{' and '.join(f'{family}N' for family in CONTINUOUS)} have them."
        )
    try:
        team_env(name).close()
    except (ImportError, ValueError) as error:
        raise ValueError(f"env={name!r} cannot be made: {error}") from error


def check_team(config: TrainConfig) -> None:
    """Whether the run's algorithm and number of agents are those of a team.

    :raises ValueError: for one of upstream's algorithms, or another number of agents than the environment has
    """
    if not config.reciprocal:
        raise ValueError(
            f"algo={config.algo} on {config.env}: upstream's algorithm is one agent, and a team is several. Use "
            f"algo={config.algo}_pr with pr.kappa=0, which is that algorithm for every agent by itself."
        )
    columns = team_env(config.env)
    found = columns.num_envs
    columns.close()
    if config.n_agents != found:
        raise ValueError(f"n_agents={config.n_agents}, but {config.env} has {found} agents. Set n_agents={found}.")
