"""The control with an ensemble of the agent's own critics: what it answers, and that it trains like any other."""

import io

import numpy as np
import pytest
import torch as th
from stable_baselines3 import DDPG, SAC, TD3
from stable_baselines3.common.utils import set_random_seed

from sb3_pr import DDPGPR, SACPR, TD3PR
from tests.sb3.tools import SMALL, assert_same_bits, double, fill, lone_critics, prepare

N, BATCH, KAPPA = 3, 7, 0.4
N_CRITICS = {TD3PR: 2, DDPGPR: 1, SACPR: 2}


def make(cls=TD3PR, **options):
    options = {"kappa": KAPPA, **options}
    return cls("MlpPolicy", "Hopper-v5", n_agents=N, own_critics=True, policy_kwargs=dict(SMALL), seed=1, **options)


def batch():
    generator = th.Generator().manual_seed(0)
    obs = th.randn(N * BATCH, 11, dtype=th.float64, generator=generator)
    return obs, th.rand(N * BATCH, 3, dtype=th.float64, generator=generator) * 2 - 1


@pytest.mark.parametrize("cls", N_CRITICS)
@pytest.mark.parametrize("min_over", ["peer", "mixture"])
def test_the_target_mixes_the_agents_own_sets_of_critics(cls, min_over):
    model = double(make(cls, min_over=min_over))
    obs, actions = batch()
    with th.no_grad():
        found = th.cat(model.critic_target(obs, actions), dim=1).min(dim=1).values.view(N, BATCH)
        for i, critic in enumerate(lone_critics(model)):
            rows = slice(i * BATCH, (i + 1) * BATCH)
            values = th.cat(critic(obs[rows], actions[rows]), dim=1).numpy()
            sets = values.reshape(BATCH, N, N_CRITICS[cls])
            if min_over == "peer":
                sets = sets.min(-1, keepdims=True)
            mixed = (1 - KAPPA) * sets[:, 0] + KAPPA * (sets[:, 1] + sets[:, 2]) / 2
            np.testing.assert_allclose(found[i], mixed.min(-1), rtol=1e-12)


def test_without_kappa_the_first_critics_answer():
    model = double(make(kappa=0.0))
    obs, actions = batch()
    with th.no_grad():
        own = model.critic_target.wrapped(obs, actions)[:2]
        for found, expected in zip(model.critic_target(obs, actions), own, strict=True):
            assert th.equal(found, expected)


def test_every_set_of_critics_learns_and_no_other_agents_data_reaches_it():
    model = prepare(make(learning_starts=0))
    fill(model, 50)
    other = prepare(make(learning_starts=0))
    fill(other, 50)
    other.replay_buffer.rewards[:, 2] += 1.0
    before = [p.detach().clone() for p in model.critic.parameters()]
    for each in (model, other):
        set_random_seed(0)
        each.train(3, batch_size=16)
    for old, one, two in zip(before, model.critic.parameters(), other.critic.parameters(), strict=True):
        assert all(not th.equal(old[i], one[i]) for i in range(N))
        assert th.equal(one[:2], two[:2])
    assert not any(
        th.equal(one[2], two[2]) for one, two in zip(model.critic.parameters(), other.critic.parameters(), strict=True)
    )


@pytest.mark.parametrize("cls,upstream", [(TD3PR, TD3), (DDPGPR, DDPG), (SACPR, SAC)])
def test_save_load_and_export(cls, upstream, tmp_path):
    model = make(cls, learning_starts=10, batch_size=8, buffer_size=1_000)
    model.learn(60)
    stream = io.BytesIO()
    model.save(stream)
    stream.seek(0)
    loaded = cls.load(stream)
    assert loaded.own_critics
    assert_same_bits(model, loaded)
    model.agent(1).save(tmp_path / "lone")
    lone = upstream.load(tmp_path / "lone")
    assert lone.policy.critic.n_critics == N * N_CRITICS[cls]
    obs = np.zeros((N, 11), np.float32)
    np.testing.assert_allclose(
        lone.predict(obs[1], deterministic=True)[0], model.predict(obs, deterministic=True)[0][1], rtol=1e-5
    )


@pytest.mark.parametrize(
    "options,message",
    [
        ({"n_agents": 1}, "own_critics=True with n_agents=1"),
        ({"adjacency": "noise"}, "adjacency='noise'"),
        ({"peers": "ring"}, "peers='ring'"),
        ({"sync_interval": 5}, "sync_interval=5"),
        ({"in_actor": True}, "in_actor=True"),
    ],
)
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TD3PR("MlpPolicy", "Pendulum-v1", **{"n_agents": 3, "own_critics": True, **options})
