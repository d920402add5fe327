"""What the learners do beyond eq. 12 in the target: actor, advantages, estimators, masks, action sets, logs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th

from epymarl_pr.learners import shadow
from tests.epymarl import hosts
from tests.epymarl.test_oracle import (
    N,
    Utilities,
    action_value,
    filled,
    maddpg_inputs,
    mixed,
    prepared,
)


@pytest.mark.parametrize("own_view", [False, True])
@pytest.mark.parametrize("name", ["maddpg", "maddpg_ns"])
def test_the_actor_follows_the_reciprocal_value(checkout: Any, name: str, own_view: bool) -> None:
    made, sample, before = prepared(
        checkout,
        name,
        pr_adjacency="resample",
        pr_in_actor=True,
        obs_individual_obs=own_view,
        obs_last_action=own_view,
    )
    inputs, actions, last = maddpg_inputs(made, sample, own_view)
    made.critic.filled = sample["filled"][:, 1:]
    stored = made.critic(inputs, actions)
    assert th.equal(stored, made.critic.wrapped(inputs, actions))  # the critic's own loss is the host's
    leaf = actions.clone().requires_grad_()
    weights = th.randn(stored.shape, generator=th.Generator().manual_seed(0), dtype=stored.dtype)
    objective = made.critic(inputs, leaf)
    (found,) = th.autograd.grad((objective * weights).sum(), leaf)
    places = [tuple(place) for place in sample["filled"][:, 1:, 0].nonzero().tolist()]
    dim = made.target_critic.dim
    adjacent = before.adjacent(th.stack([inputs[b, t, :, :dim] for b, t in places], 1))
    again, wanted = actions.clone().requires_grad_(), th.zeros((), dtype=th.float64)
    for row, (b, t) in enumerate(places):
        for i in range(N):
            acted = last[b, t, i] if own_view else None
            values = {
                (j, a): action_value(made.pr_peers, j, adjacent.states[a, i, row], acted, again[b, t, i])
                for j in range(N)
                for a in range(len(adjacent.states))
            }
            own = action_value(made.critic.wrapped, i, inputs[b, t, i, :dim], acted, again[b, t, i])
            value = mixed(before, own, values, i, adjacent.weights[:, i, row])
            assert abs(objective[b, t, i, 0] - value) <= 1e-10
            wanted = wanted + weights[b, t, i, 0] * value
    (expected,) = th.autograd.grad(wanted, again)
    held = sample["filled"][:, 1:, 0] == 1
    assert (found - expected)[held].abs().max() <= 1e-10
    assert all(parameter.grad is None for parameter in made.pr_peers.parameters())


def test_a_broken_peer_does_not_reach_the_actor(checkout: Any) -> None:
    made, sample, _ = prepared(checkout, "maddpg_ns", pr_in_actor=True)
    next(iter(made.pr_peers.critics[2].parameters())).data[:] = th.nan
    inputs, actions, _ = maddpg_inputs(made, sample, False)
    leaf = actions.clone().requires_grad_()
    objective = made.critic(inputs, leaf)[:, :, :2]
    (gradient,) = th.autograd.grad(objective.sum(), leaf)
    assert objective.isfinite().all()
    assert gradient.isfinite().all()
    assert gradient.any()


@pytest.mark.parametrize("rows", [1, 10**9])
@pytest.mark.parametrize("name", ["qmix_ns", "ippo_ns", "maddpg_ns"])
def test_the_size_of_a_pass_changes_nothing(
    checkout: Any, name: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    for size in (shadow.ROWS_PER_PASS, rows):
        monkeypatch.setattr(shadow, "ROWS_PER_PASS", size)
        made, sample, _ = prepared(checkout, name, pr_adjacency="resample", obs_individual_obs=name == "maddpg_ns")
        if name == "maddpg_ns":
            inputs, actions, _ = maddpg_inputs(made, sample, False)
            answers.append(made.target_critic(inputs, actions))
        elif name == "qmix_ns":
            answers.append(made.target_mac.values(sample))
        else:
            answers.append(made.target_critic(sample))
    assert (answers[0] - answers[1]).abs().max() <= 1e-12


@pytest.mark.parametrize(
    "name, estimator",
    [
        ("qmix_ns", "one_state"),
        ("mappo_ns", "sampled"),
        ("maddpg_ns", "one_voice"),
        *(pytest.param("qmix_ns", estimator, marks=pytest.mark.slow) for estimator in ("sampled", "one_voice")),
        pytest.param("ippo_ns", "one_state", marks=pytest.mark.slow),
    ],
)
@pytest.mark.few(1)
def test_drawn_estimates_are_unbiased(checkout: Any, name: str, estimator: str) -> None:
    """Their mean over many draws is that of the full double sum."""
    options = {"pr_adjacency": "drop", "pr_rho": 1, "pr_n_adjacent": 1}

    def answer(made: Any, sample: Any) -> th.Tensor:
        if name == "qmix_ns":
            return made.target_mac.values(sample)
        if name == "maddpg_ns":
            return made.target_critic(*maddpg_inputs(made, sample, False)[:2])
        made.target_critic.forget()
        return made.target_critic(sample)

    def many(kind: str, draws: int) -> th.Tensor:
        made, sample, _ = prepared(checkout, name, **options, pr_estimator=kind)
        return th.stack([answer(made, sample) for _ in range(draws)])

    full, drawn = many("full", 300), many(estimator, 300)
    error = (full.var(0) + drawn.var(0)).div(300).sqrt()
    away = (full.mean(0) - drawn.mean(0)).abs()
    assert drawn.std(0).max() > 0
    assert (away <= 5.5 * error + 1e-9).all()


def test_masks_fill_what_a_peer_sees_and_the_agent_does_not(checkout: Any) -> None:
    masks = [[True] * 5, [True, True, True, False, False], [False, True, True, True, True]]
    made, sample, before = prepared(checkout, "qmix_ns", pr_observation_masks=masks, pr_adjacency="same")
    found, places = made.target_mac.values(sample), filled(sample)
    states = th.stack([sample["obs"][b, t] for b, t in places], 1)
    before.adjacent(states)
    oracle, holes = Utilities(made.pr_peers, sample), 0
    for row, (b, t) in enumerate(places):
        for i in range(N):
            values = {}
            for j in range(N):
                obs = states[i, row].clone()
                hole = th.tensor(masks[j]) & ~th.tensor(masks[i])
                obs[hole] = before._moments.mean[j][hole]
                holes += int(hole.sum())
                values[j, 0] = oracle.at(j, i, b, t, obs)
            own = oracle.at(i, i, b, t, states[i, row])
            want = mixed(before, own, values, i, th.ones(1))
            assert (found[b, t, i] - want).abs().max() <= 1e-10
    assert holes


def test_a_peer_is_not_asked_about_actions_that_it_never_had(checkout: Any) -> None:
    made, sample, _ = prepared(checkout, "iql_ns", pr_adjacency="same")
    sample["avail_actions"][:] = 1
    sample["avail_actions"][:, :, 2, 3] = 0
    found = made.target_mac.values(sample)
    oracle = Utilities(made.pr_peers, sample)
    for b, t in filled(sample)[::7]:
        for i in range(N):
            values = {(j, 0): oracle.at(j, i, b, t, sample["obs"][b, t, i])[3] for j in range(N)}
            own, values[2, 0] = values[i, 0], th.tensor(th.nan)  # counts as absent
            want = mixed(made.reciprocity, own, values, i, th.ones(1))
            assert abs(found[b, t, i, 3] - want) <= 1e-10
    assert made.reciprocity.masked_peer_values == 0


def test_different_action_sets_are_told_before_the_first_update(checkout: Any) -> None:
    made = hosts.learner(checkout, "qmix_pr")
    sample = hosts.batch(made, masked=False)
    sample["avail_actions"][:, :, 1, 2:] = 0
    weights = [parameter.clone() for parameter in made.params]
    told: list[Any] = []
    made.logger.console_logger.warning = lambda text: told.append((text, [p.clone() for p in made.params]))
    made.train(sample, 10, 0)
    ((text, at_the_time),) = told
    assert "agent 0: [0, 1, 2, 3], agent 1: [0, 1]" in text
    assert all(th.equal(left, right) for left, right in zip(weights, at_the_time, strict=True))
    made.train(sample, 20, 1)
    assert len(told) == 1


def test_availability_that_changes_is_no_action_set(checkout: Any) -> None:
    made = hosts.learner(checkout, "qmix_pr")
    made.train(hosts.batch(made), 10, 0)
    assert made.logger.warnings == []


@pytest.mark.parametrize("name", ["qmix_ns", "mappo_ns", "maddpg_ns"])
def test_what_is_logged(checkout: Any, name: str) -> None:
    made = hosts.learner(checkout, f"{name}_pr", pr_kappa=0.5)
    made.train(hosts.batch(made), 10, 0)
    expected = {"pr_own_value", "pr_peer_value", "pr_value_gap", "pr_critic_disagreement", "pr_masked_peer_values"}
    assert {key for key in made.logger.stats if key.startswith("pr_")} == expected
    assert all(np.isfinite(value) for series in made.logger.stats.values() for _, value in series)
    assert made.logger.stats["pr_critic_disagreement"][0][1] > 0


@pytest.mark.parametrize("name", ["qmix_ns", "mappo_ns", "maddpg_ns"])
def test_snapshots_are_renewed_every_interval(checkout: Any, name: str) -> None:
    made = hosts.learner(checkout, f"{name}_pr", pr_sync_interval=3, target_update_interval_or_tau=0.5)
    agree = []
    for step in range(7):
        made.train(hosts.batch(made, step), step, step)
        target = getattr(made, "target_mac", None) if name == "qmix_ns" else made.target_critic
        pairs = zip(made.pr_peers.parameters(), target.wrapped.parameters(), strict=True)
        agree.append([left.clone() for left, _ in pairs])
    moved = [not all(map(th.equal, agree[step], agree[step - 1])) for step in range(1, 7)]
    assert moved == [False, False, True, False, False, True]
