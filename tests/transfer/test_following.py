"""Which options are followed, when they learn, what is kept of it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch as th

from marl_pr_common.transfer.chooser import OptionChooser
from marl_pr_common.transfer.config import MAPTFConfig
from marl_pr_common.transfer.networks import OptionNetwork
from marl_pr_common.transfer.option_learner import OptionLearner
from marl_pr_common.transfer.replay import OptionReplay
from tests.transfer.made_up import GAMMA, learner, rows


def chooser(n_agents: int = 3, ends: float = 0.0, **options: Any) -> OptionChooser:
    """A chooser whose options all end with probability ``ends``, 0 or 1."""
    made = learner(n_agents=n_agents, **options)
    made.network.termination.weight.data.zero_()
    made.network.termination.bias.data.fill_(60 if ends else -60)
    return OptionChooser(made.network, n_agents, made.config, [5])


def test_an_option_is_kept_until_it_ends() -> None:
    made, obs = chooser(ends=0.0), th.randn(40, 3, 3)
    made.begin(40)
    first = made.choose(obs)
    assert all((made.choose(obs) == first).all() for _ in range(5))
    assert np.abs(np.bincount(first.flatten(), minlength=3) - 40).max() < 20  # e_g = 0: any option
    assert made.pop_statistics()["termination_rate"] == 0


def test_greedy_choices_grow_with_the_episodes() -> None:
    made, obs = chooser(ends=1.0, greedy_step=0.005, greedy_max=0.95), th.randn(200, 3, 3)
    with th.no_grad():
        values = made.network.values(made.network(obs)[1])
    best = values[:, np.arange(3), np.arange(3)].argmax(-1).numpy()
    shares = []
    for episodes in (0, 100, 190, 1000):
        made.episodes = episodes
        made.begin(200)
        shares.append(np.mean([made.choose(obs) == best for _ in range(10)]))
    expected = [eg + (1 - eg) / 3 for eg in (0.0, 0.5, 0.95, 0.95)]
    np.testing.assert_allclose(shares, expected, atol=0.03)
    assert made.pop_statistics()["termination_rate"] == 1


def test_teams_that_have_ended_are_left_out() -> None:
    made, obs = chooser(ends=0.0), th.randn(3, 3, 3)
    made.begin(3)
    first = made.choose(obs)
    made._ends[2] = 1.0
    assert (made.choose(obs[[0, 2]], [0, 2])[0] == first[0]).all()
    assert (made._option[1] == first[1]).all()
    assert made.counts.sum() == 9 + 6


@pytest.mark.parametrize("every, start, expected", [(1, 10, 30), (10, 10, 3), (7, 10, 4), (10, 1000, 0)])
def test_how_often_options_learn(every: int, start: int, expected: int) -> None:
    made = learner(option_update_every=every, option_start=start)
    for episode in range(4):
        made.observe(rows(10, seed=episode))
    assert made.updates == expected
    assert made.steps == 40 // every * every


def test_terminations_learn_from_the_newest_steps() -> None:
    made, seen = learner(option_update_every=5, option_start=0), []
    made.update = seen.append  # type: ignore[method-assign, assignment]
    batches = [rows(10, seed=episode) for episode in range(2)]
    for batch in batches:
        made.observe(batch)
    assert th.equal(th.cat([window.obs for window in seen]), th.cat([batch.obs for batch in batches]))


def test_the_target_follows_every_interval() -> None:
    made = learner(target_interval=3, option_update_every=1, option_start=0)
    agree = []
    for step in range(6):
        made.observe(rows(1, seed=step))
        pairs = zip(made.network.parameters(), made.target.parameters(), strict=True)
        agree.append(all(th.equal(left, right) for left, right in pairs))
    assert agree == [False, False, True, False, False, True]


def test_the_replay_must_hold_a_round_beside_what_waits() -> None:
    """Steps that wait for an update must not be overwritten by the round that completes it."""
    tight = {"option_update_every": 7, "option_start": 0}
    made, seen = learner(option_replay=7 * 2 + 10 * 2, **tight), []
    made.update = seen.append  # type: ignore[method-assign, assignment]
    batches = [rows(10, seed=episode) for episode in range(5)]
    for batch in batches:
        made.observe(batch)
    assert th.equal(th.cat([window.obs for window in seen]), th.cat([batch.obs for batch in batches])[: 7 * 7 * 2])
    with pytest.raises(ValueError, match="option_replay=33: expected at least 34.*option_update_every=7"):
        learner(option_replay=33, **tight).observe(batches[0])


def test_the_replay_is_a_ring() -> None:
    replay = OptionReplay(6)
    batches = [rows(2, seed=seed) for seed in range(3)]
    for batch in batches:
        replay.add(batch)
    assert (len(replay), replay.total) == (6, 12)
    assert th.equal(replay.window(8, 12).obs, batches[2].obs)
    assert th.equal(replay.window(6, 8).obs, batches[1].obs[2:])
    held = th.cat([batches[1].obs[2:], batches[2].obs])
    drawn = replay.sample(np.random.default_rng(0), 50).obs
    assert {tuple(row) for row in drawn.tolist()} == {tuple(row) for row in held.tolist()}
    with pytest.raises(ValueError, match="option_replay=6.*8 transitions.*larger"):
        replay.add(rows(4))


def test_options_go_on_from_a_checkpoint() -> None:
    options = {"option_update_every": 2, "option_start": 0, "option_replay": 30}
    one, other = learner(**options), learner(std=0.1, **options)
    for seed in range(3):
        one.observe(rows(7, seed=seed))
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for made in (one, other):
        made.observe(rows(7, seed=9))
    pairs = zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    assert all(th.equal(left, right) for left, right in pairs)
    found = one.pop_statistics()
    assert set(found) == {"termination_loss", "successor_loss", "reward_loss"}
    assert found == other.pop_statistics()
    assert one.pop_statistics() == {}
    with pytest.raises(ValueError, match="option_replay=8"):
        learner(**{**options, "option_replay": 8}).load_state_dict(one.state_dict())


def test_choices_go_on_from_a_checkpoint() -> None:
    net, obs = OptionNetwork(3, 2, MAPTFConfig(), th.Generator().manual_seed(1)), th.randn(4, 2, 3)
    one, other = (OptionChooser(net, 2, MAPTFConfig(greedy_step=0.1), [seed]) for seed in (1, 2))
    for _ in range(3):
        one.begin(4)
        one.choose(obs)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for made in (one, other):
        made.begin(4)
    assert one._greedy == other._greedy == pytest.approx(0.95)
    assert other.episodes == 16
    for _ in range(5):
        assert np.array_equal(one.choose(obs), other.choose(obs))
    assert one.pop_statistics() == other.pop_statistics()


def test_no_global_generator_is_used() -> None:
    states = th.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    made = OptionLearner(3, 2, GAMMA, MAPTFConfig(option_start=0), [0])
    acting = OptionChooser(made.network, 2, made.config, [1])
    acting.begin(1)
    acting.choose(th.zeros(1, 2, 3))
    made.observe(rows(20))
    assert made.updates == 2
    assert th.equal(states[0], th.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()  # noqa: NPY002


def test_weights_are_small_at_first() -> None:
    weights = OptionLearner(40, 6, GAMMA, MAPTFConfig(), [0]).network.successor
    assert float(weights.weight.std().detach()) == pytest.approx(0.01, rel=0.02)
    assert not weights.bias.any()
