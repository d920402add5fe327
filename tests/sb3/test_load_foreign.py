"""What is loaded fits the model or is refused by name; the classes of torch, numpy and SB3 in a file are harmless."""

from __future__ import annotations

import pathlib

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.utils import LinearSchedule
from torch import nn

from sb3_pr import DDPGPR, SACPR, TD3PR
from tests.sb3.tools import PAIRS

SMALL = {"policy_kwargs": {"net_arch": [4]}, "buffer_size": 100, "seed": 0}


class OwnBuffer(ReplayBuffer):
    pass


def buffer_of(tmp_path, env="Pendulum-v1", cls=TD3, **options):
    path = tmp_path / "buffer.pkl"
    cls("MlpPolicy", env, **{**SMALL, **options}).save_replay_buffer(path)
    return path


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    ("saved", "n_agents", "message"),
    [
        ({}, 2, r"of 1 environment\(s\) and the model has 2"),
        ({"env": lambda: make_vec_env("Pendulum-v1", 3)}, 2, r"of 3 environment\(s\) and the model has 2"),
        ({"env": lambda: make_vec_env("Pendulum-v1", 3)}, 1, r"of 3 environment\(s\) and the model has 1"),
        ({"env": "MountainCarContinuous-v0"}, 1, "has the observation_space Box"),
        ({"n_steps": 3}, 1, "is a NStepReplayBuffer, the model's is a ReplayBuffer"),
    ],
)
def test_a_replay_buffer_of_another_kind_is_refused_and_the_old_one_stays(saved, n_agents, message, trust, tmp_path):
    env = saved.get("env", "Pendulum-v1")
    path = buffer_of(tmp_path, **{**saved, "env": env() if callable(env) else env})
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=n_agents, **SMALL)
    before = model.replay_buffer
    with pytest.raises(ValueError, match=f"was not loaded: .*{message}"):
        model.load_replay_buffer(path, trust=trust)
    assert model.replay_buffer is before


def test_other_bounds_and_another_discount_are_refused(tmp_path):
    class Wide(gym.ActionWrapper):
        action_space = spaces.Box(-4.0, 4.0, (1,), np.float32)

    path = buffer_of(tmp_path, env=Wide(gym.make("Pendulum-v1")))
    with pytest.raises(ValueError, match=r"action_space Box\(-4.0, 4.0"):
        TD3PR("MlpPolicy", "Pendulum-v1", **SMALL).load_replay_buffer(path)
    path = buffer_of(tmp_path, n_steps=3, gamma=0.9)
    with pytest.raises(ValueError, match="gamma=0.9, the model's has 0.99"):
        TD3PR("MlpPolicy", "Pendulum-v1", n_steps=3, **SMALL).load_replay_buffer(path)


@pytest.mark.parametrize("n_agents", [1, 3])
def test_a_buffer_that_fits_is_loaded(n_agents, tmp_path):
    options = {**SMALL, "n_agents": n_agents, "learning_starts": 5}
    model = TD3PR("MlpPolicy", "Pendulum-v1", **options).learn(30 * n_agents)
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    other = TD3PR("MlpPolicy", "Pendulum-v1", **options)
    other.load_replay_buffer(tmp_path / "buffer.pkl")
    np.testing.assert_array_equal(model.replay_buffer.rewards, other.replay_buffer.rewards)
    other.learn(20 * n_agents)


def test_what_is_no_buffer_is_refused(tmp_path):
    (tmp_path / "buffer.pkl").write_bytes(b"\x80\x04}.")  # an empty dictionary
    model = TD3PR("MlpPolicy", "Pendulum-v1", **SMALL)
    with pytest.raises(ValueError, match="was not loaded"):
        model.load_replay_buffer(tmp_path / "buffer.pkl")
    assert isinstance(model.replay_buffer, ReplayBuffer)


@pytest.mark.parametrize("activation", [nn.Hardtanh, nn.PReLU, nn.SELU, nn.Softsign, nn.CELU, nn.Identity])
@pytest.mark.parametrize("n_agents", [1, 2])
def test_activations_of_torch(activation, n_agents, tmp_path):
    options = {**SMALL, "policy_kwargs": {"net_arch": [4], "activation_fn": activation}}
    TD3PR("MlpPolicy", "Pendulum-v1", n_agents=n_agents, **options).save(tmp_path / "model")
    assert TD3PR.load(tmp_path / "model").policy_kwargs["activation_fn"] is activation


@pytest.mark.parametrize("name", ["RAdam", "NAdam", "Adamax", "Adagrad", "ASGD", "Rprop", "RMSprop", "Adadelta"])
def test_optimisers_of_torch(name, tmp_path):
    optimiser = getattr(th.optim, name)
    options = {**SMALL, "policy_kwargs": {"net_arch": [4], "optimizer_class": optimiser, "optimizer_kwargs": {}}}
    TD3PR("MlpPolicy", "Pendulum-v1", **options).save(tmp_path / "model")
    assert TD3PR.load(tmp_path / "model").policy_kwargs["optimizer_class"] is optimiser


@pytest.mark.parametrize(
    "options",
    [
        {"action_noise": NormalActionNoise(np.zeros(1), np.ones(1), dtype=np.float16)},
        {"action_noise": OrnsteinUhlenbeckActionNoise(np.zeros(1), np.ones(1))},
        {"learning_rate": LinearSchedule(1e-3, 1e-4, 0.5)},
        {"tensorboard_log": pathlib.Path("logs")},
    ],
)
def test_sb3s_own_classes(options, tmp_path):
    TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, **SMALL, **options).save(tmp_path / "model")
    name = next(iter(options))
    assert type(getattr(TD3PR.load(tmp_path / "model"), name)) is type(options[name])


def test_custom_objects_replace_what_is_in_the_file(tmp_path):
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, learning_rate=lambda left: left, **SMALL)
    model.save(tmp_path / "model")
    for arguments, options in (
        ((), {"custom_objects": {"learning_rate": 1e-3}}),
        (("cpu", {"learning_rate": 1e-3}), {}),
    ):
        changed = {"lr_schedule": 1e-3, **(arguments[1] if arguments else options["custom_objects"])}
        if arguments:
            arguments = (arguments[0], changed)
        else:
            options = {"custom_objects": changed}
        assert TD3PR.load(tmp_path / "model", None, *arguments, **options).learning_rate == 1e-3


def test_own_classes_want_trust(tmp_path):
    options = {**SMALL, "replay_buffer_class": OwnBuffer}
    path = buffer_of(tmp_path, cls=TD3PR, **options)
    model = TD3PR("MlpPolicy", "Pendulum-v1", **options)
    with pytest.raises(ValueError, match="trust=True"):
        model.load_replay_buffer(path)
    model.load_replay_buffer(path, trust=True)


@pytest.mark.parametrize(("ours", "upstream"), PAIRS)
def test_a_file_of_upstreams_is_one_agent_whatever_it_is_given(ours, upstream, tmp_path):
    options = {**SMALL, "policy_kwargs": {"net_arch": [4]}}  # upstream writes into them
    upstream("MlpPolicy", make_vec_env("Pendulum-v1", 3), **options).save(tmp_path / "model")
    for env, columns in ((make_vec_env("Pendulum-v1", 2), 2), ("Pendulum-v1", 3), (gym.make("Pendulum-v1"), 1)):
        loaded = ours.load(tmp_path / "model", env)
        assert (loaded.n_agents, loaded.n_envs, loaded.env.num_envs) == (1, columns, columns)
    assert (loaded.learn(5).n_agents, ours.load(tmp_path / "model").n_agents) == (1, 1)


@pytest.mark.parametrize("trust", [False, True])
def test_a_file_of_another_algorithm_names_the_class_that_loads_it(trust, tmp_path):
    SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [4]}).save(tmp_path / "sac")
    for kind in (TD3PR, DDPGPR):
        with pytest.raises(ValueError, match=rf"SACPolicy is that of SAC, and .* a {kind.__name__}.*SACPR\.load"):
            kind.load(tmp_path / "sac", trust=trust)
    TD3("MlpPolicy", "Pendulum-v1", **SMALL).save(tmp_path / "td3")
    with pytest.raises(ValueError, match=r"TD3Policy is that of DDPG and TD3, and the model a SACPR"):
        SACPR.load(tmp_path / "td3", trust=trust)
    assert SACPR.load(tmp_path / "sac", trust=trust).n_agents == 1
