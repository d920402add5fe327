"""The leader answers wherever one agent is asked, whether or not a Monitor tells who leads."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

from sb3_pr import TD3PR, load_checkpoint, save_checkpoint
from sb3_pr.policies import MlpPolicy

SETTINGS = {"policy_kwargs": {"net_arch": [8]}, "learning_starts": 1000, "seed": 0}


class Paid(gym.RewardWrapper):
    def __init__(self, pay):
        super().__init__(gym.make("Pendulum-v1", max_episode_steps=10))
        self.pay = pay

    def reward(self, reward):
        return self.pay


def columns(*pays):
    return DummyVecEnv([lambda pay=pay: Paid(pay) for pay in pays])


@pytest.mark.parametrize("wrap", [lambda env: env, VecMonitor, VecNormalize], ids=["bare", "monitor", "normalize"])
def test_the_best_leads(wrap):
    model = TD3PR("MlpPolicy", wrap(columns(0.0, 1.0, 2.0, 1.5)), **SETTINGS).learn(80)
    assert model.leader == model.policy.leader == 2
    assert [played[-1]["r"] for played in model._agent_episodes] == [0, 10, 20, 15]
    assert {played[-1]["l"] for played in model._agent_episodes} == {10}


def test_policies_answer_as_the_leader_also_after_loading(tmp_path):
    model = TD3PR("MlpPolicy", columns(0.0, 2.0, 1.0), **SETTINGS).learn(60)
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected = model.agent(1).predict(rows, deterministic=True)[0]
    model.save(tmp_path / "model")
    model.policy.save(tmp_path / "policy")
    asked = [model, model.policy, TD3PR.load(tmp_path / "model").policy, MlpPolicy.load(tmp_path / "policy")]
    for one in asked:
        np.testing.assert_allclose(one.predict(rows, deterministic=True)[0], expected, atol=1e-6)
    model.leader = 0
    expected = model.agent(0).predict(rows, deterministic=True)[0]
    np.testing.assert_allclose(model.policy.predict(rows, deterministic=True)[0], expected, atol=1e-6)


def test_running_returns_go_on_from_a_checkpoint(tmp_path):
    whole = TD3PR("MlpPolicy", columns(0.0, 1.0), **SETTINGS).learn(30)
    part = TD3PR("MlpPolicy", columns(0.0, 1.0), **SETTINGS).learn(10)  # in the middle of an episode
    save_checkpoint(part, tmp_path)
    resumed = TD3PR("MlpPolicy", columns(0.0, 1.0), **SETTINGS)
    load_checkpoint(tmp_path, resumed)
    resumed.learn(20, reset_num_timesteps=False)
    assert [list(played) for played in resumed._agent_episodes] == [list(played) for played in whole._agent_episodes]
    assert resumed.policy.leader == 1
