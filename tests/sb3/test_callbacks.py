"""SB3's callbacks on a group, and evaluation of each agent by itself."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.callbacks import CallbackList, CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

from sb3_pr import TD3PR, AgentEvalCallback, evaluate_agents
from tests.sb3.tools import SMALL


@pytest.mark.slow
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
    callback = CallbackList([EvalCallback(make_vec_env("Pendulum-v1", n_envs=2), n_eval_episodes=1)])
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, policy_kwargs=dict(SMALL))
    model.learn(2, callback=AgentEvalCallback(callback.callbacks[0].eval_env, n_eval_episodes=2, eval_freq=1))
    with pytest.raises(ValueError, match="eval_env has 2 environments, as many as there are agents"):
        model.learn(10, callback=callback)
    assert TD3PR("MlpPolicy", make_vec_env("Pendulum-v1", n_envs=3), policy_kwargs=dict(SMALL)).learn(
        10, callback=callback
    )


def test_a_task_is_seen_as_the_model_knows_it():
    """By the statistics of its VecNormalize, once; they stand still, and rewards stay raw."""
    env = VecNormalize(make_vec_env("Pendulum-v1", n_envs=2))
    model = TD3PR("MlpPolicy", env, policy_kwargs=dict(SMALL), seed=0).learn(60)
    same = VecNormalize(make_vec_env("Pendulum-v1", n_envs=1), training=False, norm_reward=False)
    same.obs_rms, before = env.obs_rms, env.obs_rms.count
    expected = evaluate_agents(model, same, 2, seed=3)
    for task in (gym.make("Pendulum-v1"), "Pendulum-v1", make_vec_env("Pendulum-v1", n_envs=1)):
        found = evaluate_agents(model, task, 2, seed=3)
        np.testing.assert_array_equal([*found, found.vote], [*expected, expected.vote])
    assert env.obs_rms.count == before
    with pytest.raises(ValueError, match=r"statistics of Box.*\(3,\).* observations are Box.*wrapped as the model's"):
        evaluate_agents(model, VecFrameStack(make_vec_env("Pendulum-v1", n_envs=1), 2), 1)


def test_the_callback_sees_it_so_too():
    env = VecNormalize(make_vec_env("Pendulum-v1", n_envs=2))
    callback = AgentEvalCallback("Pendulum-v1", eval_freq=10, n_eval_episodes=1, verbose=0)
    callback.eval_env.seed(3)
    model = TD3PR("MlpPolicy", env, policy_kwargs=dict(SMALL), seed=0).learn(20, callback=callback)
    assert callback.eval_env.obs_rms.count == env.obs_rms.count
    assert not callback.eval_env.training
    model.learn(20, callback=callback)
    assert not isinstance(callback.eval_env.venv, VecNormalize)
    TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, policy_kwargs=dict(SMALL), seed=0).learn(20, callback=callback)
    assert not isinstance(callback.eval_env, VecNormalize), "the statistics of a model before"


class Endless(gym.Env):
    """An episode of ``length`` steps, each worth 1; None is an env without an end."""

    observation_space = gym.spaces.Box(-1, 1, (1,))
    action_space = gym.spaces.Box(-1, 1, (1,))

    def __init__(self, length=None):
        self.length = length

    def reset(self, seed=None, options=None):
        self.steps = 0
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(1, dtype=np.float32), 1.0, self.steps == self.length, False, {}


def test_an_evaluation_that_does_not_end_says_what_to_do(monkeypatch):
    model = TD3PR("MlpPolicy", Endless, n_agents=2, policy_kwargs=dict(SMALL), seed=0)
    with pytest.raises(ValueError, match="an episode had not ended after 20 steps.*TimeLimit.*max_steps"):
        evaluate_agents(model, Endless(), 1, max_steps=20)
    monkeypatch.setattr("sb3_pr.bounds.LONGEST", 20)
    with pytest.raises(ValueError, match="not ended after 20 steps"):
        evaluate_agents(model, make_vec_env(Endless, n_envs=3), 3)
    with pytest.raises(ValueError, match="not ended after 20 steps"):
        model.learn(20, callback=AgentEvalCallback(Endless(), eval_freq=5, n_eval_episodes=1))
    with pytest.raises(ValueError, match="not ended after 30 steps"):
        model.learn(20, callback=AgentEvalCallback(Endless(), eval_freq=5, n_eval_episodes=1, max_steps=30))
    with pytest.raises(ValueError, match=r"max_steps=1\.5: expected an integer >= 1"):
        evaluate_agents(model, Endless(), 1, max_steps=1.5)


def test_long_episodes_that_end_are_evaluated(monkeypatch):
    monkeypatch.setattr("sb3_pr.bounds.LONGEST", 20)
    model = TD3PR("MlpPolicy", Endless, n_agents=2, policy_kwargs=dict(SMALL), seed=0)
    limited = gym.wrappers.TimeLimit(Endless(), max_episode_steps=40)
    said = Endless(40)
    said.spec = gym.envs.registration.EnvSpec("Said-v0", max_episode_steps=40)
    for env, steps in ((Endless(20), 20), (limited, 40), (said, 40), (make_vec_env(lambda: limited), 40)):
        assert [found.tolist() for found in evaluate_agents(model, env, 1, vote=False)] == [[steps]] * 2
    agents = AgentEvalCallback(Endless(40), eval_freq=2, n_eval_episodes=3, max_steps=40, verbose=0)
    model.learn(8, callback=agents)
    assert [found.tolist() for found in agents.agent_returns] == [[[40.0] * 3] * 2] * 2
