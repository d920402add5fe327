"""What MAPTF's options learn, against cases computed by hand, or with plain loops over states and options."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch as th

from marl_pr_common.transfer.replay import Transitions
from tests.transfer.made_up import GAMMA, learner, rows


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


@pytest.mark.parametrize(
    "ends", [pytest.param(0.0, marks=pytest.mark.slow), pytest.param(1.0, marks=pytest.mark.slow), 0.5]
)
@pytest.mark.slow
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


@pytest.mark.parametrize("best, sign", [(True, 1), (False, -1)])
def test_the_best_option_is_kept_and_a_worse_one_ends(best: bool, sign: int) -> None:
    """Of the best option's loss, xi * beta, the gradient is positive: a step lowers beta. A much worse one's grows."""
    made, batch = learner(n_agents=2, std=0.15, xi=0.01, termination_lr=1e-3), rows(6)
    row = batch.take((batch.done == 0).nonzero()[:1, 0])
    agent = int(row.agent[0])

    def look() -> tuple[th.Tensor, th.Tensor]:
        with th.no_grad():
            _, successor, beta = made.network(row.next_obs)
            return made.network.values(successor)[0, agent], beta[0, agent]

    values, before = look()
    option = int(values.argmax() if best else values.argmin())
    assert values.max() - values.min() > 0.01
    row.option[:] = option
    loss = made.termination_loss(row)
    (gradient,) = th.autograd.grad(loss, made.network.termination.bias, retain_graph=True)
    assert float(gradient.view(2, 2)[agent, option]) * sign > 0
    if best:
        assert float(loss.detach()) == pytest.approx(0.01 * float(before[option]), rel=1e-4)
    made._step("termination", loss, 10.0)
    assert float(look()[1][option] - before[option]) * sign < 0


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
