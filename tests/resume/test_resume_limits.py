"""What can't go on exactly says so, and what is another run is refused."""

import logging
from contextlib import contextmanager

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.common.vec_env import SubprocVecEnv

from marl_pr_common.checkpoint import CheckpointError, load
from sb3_pr import DDPGPR, TD3PR, CheckpointCallback, load_checkpoint, save_checkpoint
from tests.resume.models import SMALL, Anneal, pendulum, settings, small


def test_an_unknown_environment_is_approximate_and_says_so(tmp_path):
    class Own(gym.Wrapper):
        pass

    def model():
        return TD3PR("MlpPolicy", make_vec_env("Pendulum-v1", 2, wrapper_class=Own), policy_kwargs=SMALL, seed=0)

    first = model().learn(100)
    save_checkpoint(first, tmp_path)
    manifest = load(tmp_path).manifest
    assert not manifest.exact
    assert "Own is not known" in manifest.reason
    assert "state_dict()" in manifest.reason
    second = model()
    with pytest.warns(RuntimeWarning, match="continues approximately.*Own is not known"):
        load_checkpoint(tmp_path, second)
    assert second.num_timesteps == 100
    second.learn(50, reset_num_timesteps=False)
    assert second.num_timesteps == 150


@pytest.mark.slow
def test_an_environment_with_state_dict_is_exact(tmp_path):
    class Own(gym.Wrapper):
        count = 0

        def step(self, action):
            self.count += 1
            observation, reward, *rest = self.env.step(action)
            return observation, reward + self.count, *rest

        def state_dict(self):
            return {"count": self.count}

        def load_state_dict(self, state):
            self.count = state["count"]

    def model():
        env = make_vec_env("Pendulum-v1", 2, wrapper_class=Own, seed=0)
        return settings(TD3PR("MlpPolicy", env, policy_kwargs=SMALL, seed=0))

    whole = model().learn(400)
    save_checkpoint(model().learn(200), tmp_path / "half")
    half = model()
    assert load_checkpoint(tmp_path / "half", half).manifest.exact
    half._total_timesteps = 400
    half.learn(200, reset_num_timesteps=False)
    assert np.array_equal(whole.replay_buffer.rewards, half.replay_buffer.rewards)


@pytest.mark.slow
def test_environments_in_other_processes_are_approximate(tmp_path):
    env = make_vec_env("Pendulum-v1", 2, vec_env_cls=SubprocVecEnv)
    model = TD3PR("MlpPolicy", env, policy_kwargs=SMALL).learn(20)
    save_checkpoint(model, tmp_path)
    assert "SubprocVecEnv cannot be reached" in load(tmp_path).manifest.reason
    env.close()


def test_her_keeps_its_episodes(tmp_path):
    def model():
        env = make_vec_env(lambda: BitFlippingEnv(continuous=True, n_bits=4), n_envs=2)
        options = {"replay_buffer_class": HerReplayBuffer, "learning_starts": 100, "buffer_size": 500, "seed": 0}
        return TD3PR("MultiInputPolicy", env, policy_kwargs=SMALL, **options)

    first, second = model().learn(200), model()
    save_checkpoint(first, tmp_path)
    with pytest.warns(RuntimeWarning, match="BitFlippingEnv is not known"):
        load_checkpoint(tmp_path, second)
    for name in ("ep_start", "ep_length", "rewards"):
        assert np.array_equal(getattr(first.replay_buffer, name), getattr(second.replay_buffer, name))
    second.learn(100, reset_num_timesteps=False)


@pytest.mark.parametrize(
    "make_other, message",
    [
        (lambda: small(DDPGPR, pendulum(2)), "checkpoint of TD3PR, expected DDPGPR"),
        (lambda: small(TD3PR, pendulum(3)), "n_agents was 2 and is now 3"),
        (
            lambda: small(TD3PR, pendulum(2), seed=0, buffer_size=50),
            "buffer_size was 1000000 and is now 50",
        ),
        (lambda: TD3PR("MlpPolicy", make_vec_env("Hopper-v5", 2)), "observation_space was"),
    ],
)
def test_another_model_is_refused(make_other, message, tmp_path):
    save_checkpoint(small(TD3PR, pendulum(2)).learn(20), tmp_path)
    other = make_other()
    before = other.policy.state_dict()["actor.mu.0.weight"].clone()
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path, other)
    assert (other.policy.state_dict()["actor.mu.0.weight"] == before).all()
    assert other.num_timesteps == 0


def test_a_stack_of_other_seeds_is_refused(tmp_path):
    save_checkpoint(small(TD3PR, pendulum(2), kappa=0, seeds=[3, 8], seed=None).learn(20), tmp_path)
    with pytest.raises(CheckpointError, match=r"seeds was .*3, 8.* and is now .*3, 9"):
        load_checkpoint(tmp_path, small(TD3PR, pendulum(2), kappa=0, seeds=[3, 9], seed=None))


def test_other_settings_are_named(tmp_path):
    save_checkpoint(small(TD3PR, pendulum(2)).learn(20), tmp_path)
    with pytest.warns(RuntimeWarning, match=r"other settings: gamma was 0\.99 and is now 0\.9"):
        load_checkpoint(tmp_path, small(TD3PR, pendulum(2), seed=0, gamma=0.9))


def test_other_callbacks_are_refused(tmp_path):
    model = small(TD3PR, pendulum(2))
    model.learn(20, callback=CheckpointCallback(5, tmp_path))
    with pytest.raises(CheckpointError, match=r"callbacks are \['Anneal'\], the checkpoint's were \['Checkpoint"):
        load_checkpoint(tmp_path, small(TD3PR, pendulum(2)), Anneal())


@contextmanager
def files_of_at_most(size):
    """The system refuses to write more into any file of this process, as a full disk would."""
    resource = pytest.importorskip("resource", reason="limits of files are Unix's")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("units", "size"), [(16, 100), (64, 30_000)], ids=["json", "safetensors"])
def test_a_full_disk_does_not_end_training(units, size, tmp_path, caplog):
    model = TD3PR("MlpPolicy", pendulum(2), policy_kwargs={"net_arch": [units, units]})
    with caplog.at_level(logging.WARNING), files_of_at_most(size):
        model.learn(60, callback=CheckpointCallback(10, tmp_path))
    assert caplog.text.count("no checkpoint was saved") == 3
    assert ("tree.safetensors" in caplog.text) == (units == 64)
