"""Off is off: one agent, or kappa=0, is upstream."""

from contextlib import contextmanager

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3.common import policies as sb3_policies
from stable_baselines3.common.envs import FakeImageEnv
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from tests.sb3.tools import APART, PAIRS, SMALL, assert_same_bits, fill, prepare, tensors, to

POLICIES = ["MlpPolicy", "CnnPolicy"]


def make_env(policy, normalized):
    def one():
        if policy == "CnnPolicy":
            env = FakeImageEnv(screen_height=36, screen_width=36, discrete=False, channel_first=True)
            env.observation_space.seed(0)  # its observations are drawn from the space
            return env
        return gym.make("Pendulum-v1")

    env = DummyVecEnv([one])
    return VecNormalize(env, norm_obs=policy == "MlpPolicy") if normalized else env


@pytest.mark.parametrize("steps", [250, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("policy", "normalized"),
    [pytest.param("MlpPolicy", False, marks=pytest.mark.slow), ("MlpPolicy", True), ("CnnPolicy", True)],
)
@pytest.mark.parametrize(("ours", "upstream"), PAIRS)
@pytest.mark.few(3)
def test_one_agent_without_reciprocity_is_upstream_bit_for_bit(ours, upstream, policy, normalized, steps):
    """All networks, targets and Adam moments after some steps from the same seed."""

    def train(cls, **options):
        small = {"features_extractor_kwargs": {"features_dim": 16}, "net_arch": [16]}
        model = cls(
            policy,
            make_env(policy, normalized),
            policy_kwargs=small if policy == "CnnPolicy" else dict(SMALL),
            action_noise=NormalActionNoise(np.zeros(1), 0.1 * np.ones(1)),
            batch_size=8 if policy == "CnnPolicy" else 64,
            train_freq=4 if policy == "CnnPolicy" else 1,
            buffer_size=2500,
            seed=11,
            **options,
        )
        return model.learn(steps)

    assert_same_bits(train(ours, kappa=0.0, n_agents=1), train(upstream))


def test_one_agent_ignores_kappa():
    ours, upstream = PAIRS[0]
    options = {"policy_kwargs": dict(SMALL), "seed": 2}
    one = ours("MlpPolicy", "Pendulum-v1", kappa=0.7, adjacency="resample", **options).learn(300)
    assert_same_bits(one, upstream("MlpPolicy", "Pendulum-v1", **options).learn(300))


@pytest.mark.slow  # the same in float64, below, tells more
@pytest.mark.parametrize(("ours", "upstream"), PAIRS)
def test_agents_without_reciprocity_follow_lone_upstream_models(ours, upstream):
    """kappa=0, 3 stacked agents: each follows an upstream model with its weights, fed its batches, for 100 updates.

    One batched and three single products round differently in float32. The differences stay near 1e-7, but for the
    rare seed in which one of them flips a ReLU; the next test compares in float64.
    """
    for got, expected in follow(ours, upstream, th.float32, seed=0):
        th.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("ours", "upstream"), APART)
@pytest.mark.few(1)
def test_agents_without_reciprocity_follow_lone_upstream_models_in_float64(ours, upstream, monkeypatch):
    cast = sb3_policies.preprocess_obs  # SB3 casts observations to float32
    monkeypatch.setattr(sb3_policies, "preprocess_obs", lambda *args, **kwargs: cast(*args, **kwargs).double())
    for got, expected in follow(ours, upstream, th.float64):
        th.testing.assert_close(got, expected, rtol=1e-10, atol=1e-11)


def follow(ours, upstream, dtype, seed=4):
    """Pairs of tensors (agent's, lone model's) after 100 updates on the same batches with the same target noise."""
    group = prepare(ours("MlpPolicy", "Pendulum-v1", n_agents=3, kappa=0.0, policy_kwargs=dict(SMALL), seed=seed))
    fill(group, 400, seed)
    to(group, dtype)
    lone = [prepare(group.agent(i)) for i in range(3)]
    for model in lone:
        assert type(model) is upstream
        to(model, dtype)
    for step, batch in enumerate([group.replay_buffer.sample(32) for _ in range(100)]):
        cast = [field.to(dtype) if isinstance(field, th.Tensor) else field for field in batch]
        group.replay_buffer.sample = lambda size, env=None, fields=cast, batch=batch: type(batch)(*fields)
        noise = th.randn(2, 96, 1, dtype=dtype, generator=th.Generator().manual_seed(step))
        with drawn(noise):
            group.train(1, 32)
        for i, model in enumerate(lone):
            block = [field[i * 32 : (i + 1) * 32] if isinstance(field, th.Tensor) else field for field in cast]
            model.replay_buffer.sample = lambda size, env=None, fields=block, batch=batch: type(batch)(*fields)
            with drawn(noise[:, i * 32 : (i + 1) * 32]):
                model.train(1, 32)
    assert group._n_updates == 100
    for i, model in enumerate(lone):
        mine, expected = tensors(group.agent(i)), tensors(model)
        assert mine.keys() == expected.keys()
        for name in expected:
            yield mine[name].to(dtype), expected[name].to(dtype)


@contextmanager
def drawn(noise):
    """TD3 draws its target policy noise inside train(), SAC its actions, twice: both sides are given the same draws."""
    draws = iter(noise)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(th.Tensor, "normal_", lambda tensor, mean=0, std=1: tensor.copy_(next(draws) * std + mean))
        patch.setattr(th.distributions.normal, "_standard_normal", lambda *_, **__: next(draws))
        yield


@pytest.mark.parametrize(("ours", "upstream"), PAIRS)
def test_kappa_zero_draws_nothing_and_returns_the_networks_own_tensor(ours, upstream):
    model = ours(
        "MlpPolicy", "Pendulum-v1", n_agents=3, kappa=0.0, adjacency="noise", policy_kwargs=dict(SMALL), seed=0
    )
    obs, actions = th.randn(12, 3), th.randn(12, 1)
    model.critic_target.wrapped.forward = lambda o, a, forward=model.critic_target.wrapped.forward: keep(forward(o, a))
    returned = []

    def keep(values):
        returned.append(values)
        return values

    state = th.get_rng_state()
    values = model.critic_target(obs, actions)
    assert values is returned[0]
    assert th.equal(th.get_rng_state(), state)


@pytest.mark.slow
def test_reciprocity_draws_from_no_global_generator():
    """The same actions, batches and noise are drawn whatever PR does: only values differ."""
    from sb3_pr import TD3PR

    def after(**options):
        TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, policy_kwargs=dict(SMALL), seed=9, **options).learn(450)
        return th.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002

    plain = after(kappa=0.0)
    for options in (
        {"adjacency": "resample", "estimator": "sampled"},
        {"adjacency": "noise", "peers": "random", "trust": "td"},
        {"estimator": "one_voice"},
    ):
        mixed = after(kappa=0.5, **options)
        assert th.equal(plain[0], mixed[0])
        assert (plain[1] == mixed[1]).all()
