"""One agent as a plain SB3 model: saved, loaded without us, trained on; and which agent answers for the group."""

import sys

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3.common.noise import NormalActionNoise

from tests import warm
from tests.sb3.tools import APART, assert_same_bits, tensors, trained


@pytest.mark.parametrize(("cls", "upstream"), APART)
@pytest.mark.slow
def test_an_agent_saved_is_loaded_by_plain_sb3(cls, upstream, tmp_path):
    model = trained(cls, action_noise=NormalActionNoise(np.zeros(1), 0.1 * np.ones(1)))
    obs = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    actions, _ = model.predict(obs, deterministic=True)
    for i in range(3):
        lone = model.agent(i)
        assert type(lone) is upstream
        lone.save(tmp_path / f"agent_{i}")
        loaded = upstream.load(tmp_path / f"agent_{i}", env=gym.make("Pendulum-v1"))
        np.testing.assert_allclose(loaded.predict(obs[i], deterministic=True)[0], actions[i], atol=1e-6)
        assert_same_bits(loaded, lone)
        loaded.learn(150)
    np.savez(tmp_path / "expected.npz", obs=obs, actions=actions)
    program = (
        "import sys, numpy as np; sys.modules['sb3_pr'] = sys.modules['marl_pr_common'] = None\n"
        f"from stable_baselines3 import {upstream.__name__} as A\n"
        f"d = np.load(r'{tmp_path / 'expected.npz'}')\n"
        "for i in range(3):\n"
        f"    found = A.load(r'{tmp_path}/agent_%d' % i).predict(d['obs'][i], deterministic=True)[0]\n"
        "    np.testing.assert_allclose(found, d['actions'][i], atol=1e-6)\n"
    )
    done = warm.run([sys.executable, "-c", program], tmp_path)
    assert done.returncode == 0, done.stderr


def test_an_exported_agent_goes_on_and_leaves_the_group_alone():
    model = trained(stats_window_size=7)
    before = {name: tensor.clone() for name, tensor in tensors(model).items()}
    lone = model.agent(0)
    lone.set_env(gym.make("Pendulum-v1"))
    lone.learn(150, reset_num_timesteps=False)
    assert lone.ep_info_buffer.maxlen == 7
    for name, tensor in tensors(model).items():
        assert th.equal(tensor, before[name]), name


def test_exporting_an_agent_moves_no_generator():
    model = trained()
    before = th.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    model.agent(1)
    assert th.equal(th.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_masks_are_baked_into_an_exported_agent():
    masks = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    model = trained(observation_masks=masks)
    obs = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    hidden = np.where(masks, obs, 99.0).astype(np.float32)
    actions, _ = model.predict(obs)
    np.testing.assert_array_equal(model.predict(hidden)[0], actions)
    for i in range(3):
        np.testing.assert_allclose(model.agent(i).predict(hidden[i])[0], actions[i], atol=1e-6)


def test_predict_shapes_and_the_leader():
    model = trained()
    obs = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    assert model.predict(obs[0])[0].shape == (1,)
    assert model.predict(obs[:3])[0].shape == (3, 1)
    for agent in range(3):
        model.leader = agent
        np.testing.assert_allclose(model.predict(obs)[0], model.agent(agent).predict(obs)[0], atol=1e-6)
        np.testing.assert_allclose(model.predict(obs[0])[0], model.agent(agent).predict(obs[0])[0], atol=1e-6)
    model.leader = None
    returns = [
        np.mean([episode["r"] for episode in episodes]) if episodes else -np.inf for episodes in model._agent_episodes
    ]
    assert model.leader == int(np.argmax(returns))
