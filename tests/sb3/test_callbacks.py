"""SB3's callbacks on a group, and evaluation of each agent by itself."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from sb3_pr import TD3PR, AgentEvalCallback, evaluate_agents
from tests.sb3.tools import SMALL


def test_callbacks_tensorboard_and_progress_bar(tmp_path):
    model = TD3PR(
        "MlpPolicy", "Pendulum-v1", n_agents=2, policy_kwargs=dict(SMALL), tensorboard_log=str(tmp_path / "tb"), seed=0
    )
    env = gym.make("Pendulum-v1")
    agents = AgentEvalCallback(gym.make("Pendulum-v1"), eval_freq=100, n_eval_episodes=2, verbose=0)
    callbacks = [
        CheckpointCallback(100, str(tmp_path), save_replay_buffer=True),
        EvalCallback(env, eval_freq=100, n_eval_episodes=1, log_path=str(tmp_path), best_model_save_path=str(tmp_path)),
        agents,
    ]
    model.learn(400, callback=callbacks, progress_bar=True, log_interval=1)
    assert [returns.shape for returns in agents.agent_returns] == [(2, 2), (2, 2)]
    assert (tmp_path / "evaluations.npz").exists()
    assert list((tmp_path / "tb").rglob("events.out.tfevents.*"))
    TD3PR.load(tmp_path / "best_model")
    TD3PR.load(tmp_path / "rl_model_400_steps", env=make_vec_env("Pendulum-v1", n_envs=2)).learn(50)


def test_evaluation_of_each_agent():
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, policy_kwargs=dict(SMALL), seed=0)
    env = gym.make("Pendulum-v1")
    returns = evaluate_agents(model, env, 1, seed=3)
    for agent in range(3):
        lone = model.agent(agent)
        again = evaluate_agents(lone, gym.make("Pendulum-v1"), 1, seed=3)
        np.testing.assert_allclose(returns[agent], again[0])
    assert np.shape(evaluate_policy(model, make_vec_env("Pendulum-v1", n_envs=3), 3, warn=False)) == (2,)


def test_evaluation_that_would_mix_agents_is_refused():
    callback = AgentEvalCallback(make_vec_env("Pendulum-v1", n_envs=2), n_eval_episodes=1)
    with pytest.raises(ValueError, match="eval_env has 2 environments, as many as there are agents"):
        TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, policy_kwargs=dict(SMALL)).learn(10, callback=callback)
