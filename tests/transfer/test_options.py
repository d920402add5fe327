"""MAPTF's parts against cases that were computed by hand, or with plain loops over states and options."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch as th

from marl_pr_common.transfer.chooser import OptionChooser
from marl_pr_common.transfer.config import MAPTFConfig
from marl_pr_common.transfer.losses import log_policy, option_labels, transfer_loss, transfer_weight
from marl_pr_common.transfer.option_learner import OptionLearner
from marl_pr_common.transfer.replay import OptionReplay, Transitions

GAMMA = 0.9


def rows(n: int, n_agents: int = 2, obs_dim: int = 3, seed: int = 0) -> Transitions:
    """``n`` made-up steps of a team, the agents of a step side by side."""
    rng = th.Generator().manual_seed(seed)
    k = n * n_agents
    option = th.randint(n_agents, (k,), generator=rng)
    return Transitions(
        obs=th.randn(k, obs_dim, generator=rng),
        next_obs=th.randn(k, obs_dim, generator=rng),
        reward=th.randn(k, generator=rng),
        done=(th.rand(k, generator=rng) < 0.3).float(),
        option=option,
        labels=option_labels(option, option, option[:, None].expand(-1, n_agents)),
        agent=th.arange(n_agents).repeat(n),
    )


def learner(n_agents: int = 2, obs_dim: int = 3, std: float = 0.5, **options: Any) -> OptionLearner:
    """A learner whose weights are large enough to matter."""
    made = OptionLearner(obs_dim, n_agents, GAMMA, MAPTFConfig(**options), [1, 2])
    generator = th.Generator().manual_seed(3)
    for parameter in made.network.parameters():
        parameter.data.normal_(0, std, generator=generator)
    made.target.load_state_dict(made.network.state_dict())
    return made


@pytest.mark.parametrize(
    "episode, expected",
    [(0, 0.9975273768), (3000, 0.9525741268), (6000, 0.5), (9000, 0.0474258732), (12000, 0.0024726232)],
)
def test_the_transfer_weight(episode: int, expected: float) -> None:
    assert transfer_weight(episode, 5e-4) == pytest.approx(expected, abs=1e-9)


def test_option_labels() -> None:
    option, action = th.tensor([0, 2, 1]), th.tensor([3, 3, 1])
    greedy = th.tensor([[0, 3, 1], [3, 1, 2], [1, 1, 0]])
    expected = [[1, 1, 0], [1, 0, 1], [1, 1, 0]]
    assert option_labels(option, action, greedy).tolist() == expected


def test_the_transfer_loss_by_hand() -> None:
    advisor = th.tensor([[[0.5, 0.5], [0.9, 0.1]]]).log()
    policy = th.tensor([[[0.25, 0.75], [0.5, 0.5]]]).log()
    imitates = th.tensor([[True, False]])
    expected = -(0.5 * math.log(0.25) + 0.5 * math.log(0.75)) / 2  # the second row is no transfer, and counts as 0
    assert float(transfer_loss(policy, advisor, imitates)) == pytest.approx(expected)


def test_actions_that_an_agent_does_not_have_cost_nothing() -> None:
    available = th.tensor([[[1, 0, 1]]])
    policy = th.zeros(1, 1, 3, requires_grad=True)
    loss = transfer_loss(log_policy(policy, available), log_policy(th.ones(1, 1, 3), available), th.tensor([[True]]))
    assert float(loss.detach()) == pytest.approx(math.log(2))
    loss.backward()
    assert policy.grad is not None
    assert policy.grad.isfinite().all()


def chain(stays: bool, state: int) -> tuple[int, bool]:
    """Three states in a row; the episode ends after the last. One option walks on, the other stays."""
    return (state, False) if stays else (min(state + 1, 2), state == 2)


def successors(ends: float, likes: list[list[float]]) -> np.ndarray:
    """m_i(s, w) of that chain by iteration with plain loops: (n_agents, states, options, features)."""
    found = np.zeros((2, 3, 2, 3))
    for _ in range(400):
        new = np.zeros_like(found)
        for i, state, option in itertools.product(range(2), range(3), range(2)):
            after, done = chain(option == 1, state)
            best = int((found[i, after] @ likes[i]).argmax())
            ahead = (1 - ends) * found[i, after, option] + ends * found[i, after, best]
            new[i, state, option] = np.eye(3)[state] + (0 if done else GAMMA) * ahead
        found = new
    return found


@pytest.mark.parametrize("ends", [0.0, 1.0, 0.5])
def test_the_successor_fixed_point_on_a_chain(ends: float) -> None:
    likes = [[0.0, 0.2, 1.0], [1.0, 0.2, 0.1]]  # agent 0 is paid most in the last state, agent 1 in the first
    made = learner(embedding=3, encoder_hidden=3, option_hidden=32, std=0.3, option_lr=5e-3, target_interval=20)
    net = made.network
    for part in (net.encoder[0], net.encoder[2]):
        part.weight.data, part.bias.data = th.eye(3), th.zeros(3)  # phi(o) = o
    net.preferences.weight.data = th.tensor(likes)
    net.termination.weight.data.zero_()
    net.termination.bias.data.fill_(math.log(ends / (1 - ends)) if 0 < ends < 1 else 60 * ends - 30)
    made.target.load_state_dict(net.state_dict())
    cases = list(itertools.product(range(3), range(2)))
    arrivals = [chain(option == 1, state) for state, option in cases]
    states = th.eye(3)
    batch = Transitions(
        obs=states[[state for state, _ in cases]],
        next_obs=states[[state for state, _ in arrivals]],
        reward=th.zeros(6),
        done=th.tensor([float(done) for _, done in arrivals]),
        option=th.tensor([option for _, option in cases]),
        labels=th.eye(2)[[option for _, option in cases]],
        agent=th.zeros(6, dtype=th.long),
    )
    for step in range(1400):
        if step == 1000:
            made.optimisers["successor"].param_groups[0]["lr"] = 5e-4
        made._step("successor", made.successor_loss(batch), 10.0)
        if step % 20 == 0:
            made.target.load_state_dict(net.state_dict())
    found = net(states)[1].detach().permute(1, 0, 2, 3).numpy()
    expected = successors(ends, likes)
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
    if ends == 0:  # walking on visits every state once, staying sums a geometric series
        np.testing.assert_allclose(expected[0, 0, 0], [1, GAMMA, GAMMA**2])
        np.testing.assert_allclose(expected[0, 0, 1], [1 / (1 - GAMMA), 0, 0], rtol=1e-9)


def test_the_successor_loss_by_loops() -> None:
    made, batch = learner(n_agents=3, embedding=4), rows(5, n_agents=3)
    batch.labels[:] = (th.arange(45).view(15, 3) % 2).float()
    batch.labels[:, 0] = 1
    for parameter in made.target.parameters():
        parameter.data *= 1.1
    with th.no_grad():
        phi, here, _ = made.network(batch.obs)
        _, ahead, beta = made.network(batch.next_obs)
        _, held, _ = made.target(batch.next_obs)
    weights, total = made.network.preferences.weight.detach(), 0.0
    for row in range(15):
        for i in range(3):
            best = max(range(3), key=lambda w, row=row, i=i: float(ahead[row, i, w] @ weights[i]))
            errors = []
            for w in range(3):
                ends = beta[row, i, w]
                arrival = (1 - ends) * held[row, i, w] + ends * held[row, i, best]
                goal = phi[row] + GAMMA * (1 - batch.done[row]) * arrival
                errors.append(float(((goal - here[row, i, w]) ** 2).sum()))
            label = batch.labels[row].tolist()
            total += sum(a * e for a, e in zip(label, errors, strict=True)) / sum(label) / 15
    assert float(made.successor_loss(batch).detach()) == pytest.approx(total, rel=1e-5)


def test_the_termination_gradient_by_hand() -> None:
    made, batch = learner(n_agents=2, xi=0.01), rows(6)
    loss = made.termination_loss(batch)
    (found,) = th.autograd.grad(loss, made.network.termination.bias, retain_graph=True)
    expected = np.zeros((2, 2))
    with th.no_grad():
        _, successor, beta = made.network(batch.next_obs)
        values = made.network.values(successor)
    open_rows = [row for row in range(12) if batch.done[row] == 0]
    assert 0 < len(open_rows) < 12
    for row in open_rows:
        i, w = int(batch.agent[row]), int(batch.option[row])
        advantage = float(values[row, i, w] - values[row, i].max()) + 0.01
        slope = float(beta[row, i, w] * (1 - beta[row, i, w]))
        expected[i, w] += slope * advantage / len(open_rows)
    np.testing.assert_allclose(found.view(2, 2).numpy(), expected, rtol=1e-4, atol=1e-7)
    others = [*made.network.successor.parameters(), made.network.preferences.weight, *made.network.encoder.parameters()]
    assert th.autograd.grad(loss, others, allow_unused=True) == (None,) * len(others)
    best = values[open_rows[0], batch.agent[open_rows[0]]].argmax()
    batch.option[:] = best
    assert (
        float(made.termination_loss(batch.take(th.tensor(open_rows[:1]))).detach()) > 0
    )  # xi ends the best option too


def test_features_learn_from_rewards_and_reconstruction_alone() -> None:
    made, batch = learner(), rows(4)
    net = made.network
    with th.no_grad():
        phi = net.encoder(batch.obs)
        expected = np.mean(
            [
                float((batch.reward[k] - net.preferences.weight[batch.agent[k]] @ phi[k]) ** 2)
                + 0.1 * float(((batch.obs[k] - net.decoder(phi[k])) ** 2).sum())
                for k in range(8)
            ]
        )
    assert float(made.reward_loss(batch).detach()) == pytest.approx(expected, rel=1e-5)
    encoder = list(net.encoder.parameters())
    assert th.autograd.grad(made.successor_loss(batch), encoder, allow_unused=True) == (None,) * len(encoder)


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


@pytest.mark.parametrize(
    "options, message",
    [
        ({"options": "some"}, "options='some' is not one of all, self"),
        ({"option_update_every": 0}, "option_update_every=0: expected a finite number > 0"),
        ({"option_update_every": 2.5}, "option_update_every=2.5: expected an integer"),
        ({"greedy_max": 1.5}, "greedy_max=1.5: expected a finite number > 0 and <= 1"),
        ({"c1": -1.0}, "c1=-1.0: expected a finite number >= 0"),
        ({"option_lr": math.nan}, "option_lr=nan"),
    ],
)
def test_mistakes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MAPTFConfig(**options)
