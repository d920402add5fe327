"""Evaluation of every agent by itself: SB3's ``EvalCallback`` would mix a group's agents, or see the leader only."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, sync_envs_normalization

from sb3_pr.extraction import lone_policy


def evaluate_agents(
    model: OffPolicyAlgorithm,
    env: gym.Env[Any, Any] | VecEnv,
    n_eval_episodes: int = 10,
    deterministic: bool = True,
    seed: int | None = None,
) -> list[np.ndarray]:
    """Undiscounted returns of every agent, each alone in ``env``, on the same episodes if ``seed`` is given.

    :param model: TD3PR, DDPGPR, or any upstream model, which counts as one agent
    :param env: a gymnasium env or a VecEnv of the kind that one agent acts in
    :param seed: resets ``env`` before each agent's episodes
    :return: one array (n_eval_episodes,) per agent
    """
    venv = env if isinstance(env, VecEnv) else DummyVecEnv([lambda: Monitor(env)])
    returns = []
    for policy in agent_policies(model):
        if seed is not None:
            venv.seed(seed)
        rewards, _ = evaluate_policy(
            policy, venv, n_eval_episodes, deterministic=deterministic, return_episode_rewards=True, warn=False
        )
        returns.append(np.asarray(rewards, dtype=np.float64))
    return returns


def agent_policies(model: OffPolicyAlgorithm) -> list[BasePolicy]:
    """A policy for each agent; the model's own if it is one agent."""
    n_agents = getattr(model, "n_agents", 1)
    return [model.policy] if n_agents == 1 else [lone_policy(model, agent) for agent in range(n_agents)]


class AgentEvalCallback(EvalCallback):
    """SB3's ``EvalCallback``, which evaluates the leader, and every agent under ``eval/agent_i/``.

    ``agent_returns`` holds the evaluations so far: a list of (n_agents, n_eval_episodes) arrays. For the parameters
    see SB3; ``eval_env`` must be one env, or any number other than ``n_agents``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.agent_returns: list[np.ndarray] = []

    def _init_callback(self) -> None:
        super()._init_callback()
        n_agents = getattr(self.model, "n_agents", 1)
        if self.eval_env.num_envs == n_agents > 1:
            raise ValueError(
                f"eval_env has {n_agents} environments, as many as there are agents: each would be played by another "
                "agent. Pass a single environment."
            )

    def _on_step(self) -> bool:
        if self.eval_freq > 0 and self.n_calls % self.eval_freq == 0:
            if self.model.get_vec_normalize_env() is not None:
                sync_envs_normalization(self.training_env, self.eval_env)
            assert isinstance(self.model, OffPolicyAlgorithm)
            returns = evaluate_agents(self.model, self.eval_env, self.n_eval_episodes, self.deterministic)
            self.agent_returns.append(np.stack(returns))
            for agent, rewards in enumerate(returns):
                self.logger.record(f"eval/agent_{agent}/mean_reward", float(rewards.mean()))
            self.logger.record("eval/mean_reward_of_agents", float(np.mean(returns)))
        return super()._on_step()
