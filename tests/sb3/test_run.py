"""Groups of agents train, whatever the observation, buffer or option; and on real MuJoCo."""

import itertools

import numpy as np
import pytest
import torch as th
from stable_baselines3 import TD3, HerReplayBuffer
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv, FakeImageEnv, SimpleMultiObsEnv
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from marl_pr_common import ReciprocityConfig
from sb3_pr import DDPGPR, TD3PR
from sb3_pr.policies import MlpPolicy
from tests.sb3.tools import SMALL

ADJACENCY = ["same", "noise", "resample", "drop", "neighbours"]


def moved(model, steps=160, **learn):
    """Train; every network tensor of every agent must be finite, and every agent's actor must have moved."""
    before = [{k: v.clone() for k, v in model.agent(i).policy.state_dict().items()} for i in range(model.n_agents)]
    model.learn(steps, **learn)
    for i in range(model.n_agents):
        after = model.agent(i).policy.state_dict()
        assert all(th.isfinite(tensor.float()).all() for tensor in after.values())
        for part in ("actor.mu", "critic.qf0", "critic_target.qf0"):
            assert any(not th.equal(after[k], before[i][k]) for k in after if k.startswith(part)), (i, part)
    return model


@pytest.mark.parametrize(("adjacency", "estimator"), zip(ADJACENCY, itertools.cycle(["full", "sampled"])))
@pytest.mark.few(3)
def test_adjacency_and_estimators(adjacency, estimator):
    model = TD3PR(
        "MlpPolicy",
        "Pendulum-v1",
        n_agents=3,
        adjacency=adjacency,
        n_adjacent=2,
        rho=2,
        estimator=estimator,
        policy_kwargs=dict(SMALL),
        seed=0,
    )
    moved(model)


@pytest.mark.parametrize(
    "options",
    [
        {"in_actor": True},
        {"in_actor": True, "adjacency": "resample", "estimator": "sampled"},
        {"sync_interval": 7},
        {"sync_interval": 7, "in_actor": True},
        {"peers": "random", "n_peers": 1, "sync_interval": 4},
        {"peers": "ring"},
        {"peers": np.eye(3)[[1, 2, 0]]},
        {"min_over": "mixture"},
        {"normalize": "sum", "kappa": 0.005},
        {"shared_replay": True},
        {"shared_replay": True, "kappa": 0.0},
        {"observation_masks": [[1, 1, 0], [0, 1, 1], [1, 0, 1]], "adjacency": "resample"},
        {"observation_masks": [[1, 1, 0], [0, 1, 1], [1, 0, 1]], "estimator": "sampled"},
        {"gradient_steps": -1, "train_freq": 4},
        {"n_steps": 3},
        {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}},
    ],
    ids=lambda options: "-".join(options),
)
@pytest.mark.few(4)
def test_options(options):
    moved(TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, policy_kwargs=dict(SMALL), seed=0, **options))


@pytest.mark.parametrize(
    ("algorithm", "adjacency"), [(TD3PR, "resample"), pytest.param(DDPGPR, "same", marks=pytest.mark.slow)]
)
def test_dict_observations(algorithm, adjacency):
    env = make_vec_env(lambda: SimpleMultiObsEnv(discrete_actions=False, random_start=True), n_envs=2)
    small = {"net_arch": [16], "features_extractor_kwargs": {"cnn_output_dim": 16}}
    model = algorithm(
        "MultiInputPolicy",
        env,
        adjacency=adjacency,
        policy_kwargs=small,
        buffer_size=500,
        batch_size=16,
        train_freq=4,
        seed=0,
    )
    moved(model, 160)


@pytest.mark.parametrize("share", [False, True])
def test_images(share):
    env = make_vec_env(lambda: FakeImageEnv(screen_height=40, screen_width=40, discrete=False), n_envs=2)
    small = {
        "net_arch": [16],
        "features_extractor_kwargs": {"features_dim": 16},
        "share_features_extractor": share,
    }
    moved(TD3PR("CnnPolicy", env, policy_kwargs=small, buffer_size=300, batch_size=16, train_freq=4, seed=0), 160)


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.few(1)
def test_hindsight_replay(n_steps):
    env = make_vec_env(lambda: BitFlippingEnv(continuous=True, n_bits=4), n_envs=2)
    model = TD3PR(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 2},
        n_steps=n_steps,
        policy_kwargs=dict(SMALL),
        learning_starts=50,
        buffer_size=2000,
    )
    assert isinstance(model.replay_buffer, HerReplayBuffer)
    moved(model, 200)


class BatchNormExtractor(FlattenExtractor):
    """Layers with statistics of their own: no stacking knows them."""

    def __init__(self, observation_space):
        super().__init__(observation_space)
        self.norm = nn.BatchNorm1d(self.features_dim)

    def forward(self, observations):
        return self.norm(super().forward(observations))


def test_layers_that_cannot_be_stacked_stay_each_agents_own():
    small = {"net_arch": [16], "features_extractor_class": BatchNormExtractor}
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, policy_kwargs=small, seed=0)
    moved(model)
    means = [model.agent(i).policy.actor.features_extractor.norm.running_mean for i in range(2)]
    assert not th.equal(*means)
    obs = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    for i, action in enumerate(model.predict(obs)[0]):
        np.testing.assert_allclose(model.agent(i).predict(obs[i])[0], action, atol=1e-6)


class Deeper(MlpPolicy):
    """A user's own policy class."""


def test_a_policy_class_derived_from_ours():
    model = moved(TD3PR(Deeper, "Pendulum-v1", n_agents=2, policy_kwargs=dict(SMALL), seed=0))
    assert type(model.agent(1).policy) is Deeper
    assert type(model.agent(1)) is TD3


def test_agents_learn_from_their_own_column_only():
    """Rewards of one column reach only that agent's critic."""
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, kappa=0.0, policy_kwargs=dict(SMALL), seed=0)
    assert isinstance(model.replay_buffer, ReplayBuffer)
    for step in range(50):
        rows = np.full((3, 3), [[i] * 3 for i in range(3)], dtype=np.float32) + step / 100
        model.replay_buffer.add(rows, rows, np.zeros((3, 1)), np.arange(3.0), np.zeros(3), [{}] * 3)
    batch = model.replay_buffer.sample(20)
    assert batch.observations.shape == (60, 3)
    np.testing.assert_array_equal(batch.observations[:, 0].numpy().astype(int), np.repeat([0, 1, 2], 20))
    np.testing.assert_array_equal(batch.rewards[:, 0].numpy(), np.repeat([0, 1, 2], 20))
    model.replay_buffer.shared_replay = True
    shared = model.replay_buffer.sample(200)
    blocks = shared.rewards.view(3, 200)
    assert all(set(block.unique().tolist()) == {0.0, 1.0, 2.0} for block in blocks)


def test_n_step_returns_stay_inside_an_agents_column():
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, n_steps=3, gamma=0.9, policy_kwargs=dict(SMALL))
    assert isinstance(model.replay_buffer, NStepReplayBuffer)
    for step in range(30):
        rows = np.full((2, 3), step, dtype=np.float32)
        model.replay_buffer.add(rows, rows, np.zeros((2, 1)), np.array([1.0, 10.0]), np.zeros(2), [{}] * 2)
    rewards = model.replay_buffer.sample(40).rewards[:, 0].view(2, 40)
    assert rewards[0].max() == pytest.approx(2.71)
    assert rewards[1].max() == pytest.approx(27.1)


def test_gradient_steps_minus_one_gives_each_agent_as_many_updates_as_it_took_steps():
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, gradient_steps=-1, train_freq=5, learning_starts=0)
    model.learn(30)
    assert model._n_updates == 10
    assert model.num_timesteps == 30


def test_logs_per_agent_and_mean(tmp_path):
    from stable_baselines3.common.logger import configure

    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, kappa=0.4, policy_kwargs=dict(SMALL), seed=0)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(900, log_interval=2)
    import csv

    with (tmp_path / "progress.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    for name in ("own_value", "peer_value", "value_gap", "critic_disagreement"):
        mean = float(last[f"train/{name}"])
        assert mean == pytest.approx(np.mean([float(last[f"train/agent_{i}/{name}"]) for i in range(2)]), rel=1e-3)
    gap = float(last["train/peer_value"]) - float(last["train/own_value"])
    assert gap == pytest.approx(float(last["train/value_gap"]), abs=1e-4)
    returns = [float(last[f"rollout/agent_{i}/ep_rew_mean"]) for i in range(2)]
    assert float(last["rollout/ep_rew_mean"]) == pytest.approx(np.mean(returns), rel=1e-3)
    assert int(last["time/timesteps_per_agent"]) * 2 == int(last["time/total_timesteps"])


def test_kappa_may_be_annealed_while_training():
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, kappa=0.5, policy_kwargs=dict(SMALL))
    model.learn(250)
    model.kappa = 0.0
    assert not model.reciprocity.active
    model.learn(50, reset_num_timesteps=False)
    with pytest.raises(ValueError, match="kappa=1.5"):
        model.kappa = 1.5
    assert model.kappa == 0.0
    assert model.pr == ReciprocityConfig(kappa=0.0)


def test_reciprocity_switched_off_is_never_refused():
    TD3PR("MlpPolicy", "Pendulum-v1", n_agents=np.int64(2), kappa=0.0, normalize="sum", gamma=1.0)


def test_vec_normalize_and_action_noise():
    env = VecNormalize(make_vec_env("Pendulum-v1", n_envs=2))
    noise = NormalActionNoise(np.zeros(1), 0.1 * np.ones(1))
    moved(TD3PR("MlpPolicy", env, adjacency="noise", action_noise=noise, policy_kwargs=dict(SMALL)))


@pytest.mark.parametrize(("algorithm", "env"), [(TD3PR, "Ant-v5"), (DDPGPR, "Hopper-v5")])
@pytest.mark.few(1)
def test_mujoco(algorithm, env):
    """Real MuJoCo; the 5,000 steps per agent with the paper's settings are the slow test of configs/sb3."""
    options = {"policy_kwargs": dict(SMALL), "buffer_size": 3000, "batch_size": 32, "seed": 0}
    model = algorithm("MlpPolicy", env, n_agents=3, adjacency="resample", **options)
    moved(model, 400)
