"""TD3 with multi-agent Policy Reciprocity."""

from __future__ import annotations

from typing import ClassVar

from stable_baselines3 import TD3
from stable_baselines3.common.policies import BasePolicy

from sb3_pr.algorithms.multi_agent import MultiAgent
from sb3_pr.algorithms.spec import Spec
from sb3_pr.policies import CnnPolicy, MlpPolicy, MultiInputPolicy

SPEC = Spec(
    upstream=TD3,
    networks=("actor", "actor_target", "critic", "critic_target"),
    statistics={
        "actor_batch_norm_stats": "actor",
        "critic_batch_norm_stats": "critic",
        "actor_batch_norm_stats_target": "actor_target",
        "critic_batch_norm_stats_target": "critic_target",
    },
    objective="q1_forward",
    options=("action_noise", "noise_factor", "policy_delay", "target_policy_noise", "target_noise_clip"),
    settings=("policy_delay", "target_policy_noise", "target_noise_clip"),
)


class TD3PR(MultiAgent, TD3):
    """
    Twin Delayed DDPG (TD3) with multi-agent Policy Reciprocity (PR).

    Every agent learns in its own column of the VecEnv with its own networks and replay data; its value target mixes in
    what its peers' target critics say about the same and about adjacent states (eq. 12 of
    https://arxiv.org/abs/2304.05632). ``n_agents=1`` is SB3's TD3, bit for bit; with
    ``kappa=0`` every agent follows a TD3 of its own, up to float32 rounding.

    ``total_timesteps``, ``learning_starts`` and ``buffer_size`` count the steps of all agents together, as SB3 counts
    for any VecEnv; ``batch_size`` and ``gradient_steps`` are per agent.

    :param policy: "MlpPolicy", "CnnPolicy", "MultiInputPolicy", or a class derived from those in ``sb3_pr.policies``
    :param env: gymnasium id or function (copied ``n_agents`` times), VecEnv (column i is agent i), PettingZoo
        ParallelEnv, or a single env
    :param n_agents: number of agents; None takes the environment's columns, one for an id
    :param n_teams: teams of ``n_agents`` each, which share the process and nothing else: team t is what it would be
        alone with its seed. Column t * n_agents + i is its agent i; ``team(t)`` takes it out. ``buffer_size`` and
        ``learning_starts`` that are not given are SB3's for every team
    :param seeds: each team's seed; without, ``seed``, ``seed + 1``, ... (fresh ones for None)
    :param shared_replay: every agent learns from all agents' data: the control that shares data without PR
    :param observation_masks: (n_agents, obs_dim) booleans, the coordinates that each agent sees (Definition 1)
    :param leader: the agent that answers ``predict`` for other than ``n_agents`` rows; None: the best recent return
    :param fast: matrix products by oneDNN where that keeps float32 precision, and observations stored in float32:
        faster, equal up to float32 rounding; only for more than one agent
    :param guards: name NaN and infinity where they enter (observations, rewards, gradients, losses, peers), and warn of
        values beyond what the rewards allow; the update itself is the same with and without
    :param own_critics: every agent mixes in ``n_agents - 1`` further critics of its own, trained on its own data,
        instead of its peers': the control that tells reciprocity from an ensemble of the same size
    :param args: SB3's positional parameters, from ``learning_rate`` on
    :param kwargs: SB3's parameters, and the options of PR by name: ``kappa``, ``adjacency``, ``peers``, ... (see
        :class:`marl_pr_common.ReciprocityConfig`)
    """

    spec = SPEC
    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": MlpPolicy,
        "CnnPolicy": CnnPolicy,
        "MultiInputPolicy": MultiInputPolicy,
    }
    upstream: ClassVar[type[TD3]] = TD3
