"""Z = A: the actor's advantage from plain loops over agents, peers and adjacent states."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch as th

from tests.epymarl.test_oracle import N, filled, prepared, state_value


@pytest.mark.parametrize("normalize", ["mean", "sum"])
@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("name", ["mappo_ns", "ippo", "ia2c_ns"])
@pytest.mark.few(6)
def test_reciprocal_advantages(checkout: Any, name: str, standardised: bool, normalize: str) -> None:
    """A* from n-step returns bootstrapped with one peer and one adjacent state after the other."""
    options = {"pr_adjacency": "resample", "pr_z": "A", "pr_normalize": normalize, "standardise_returns": standardised}
    if normalize == "sum":
        options |= {"gamma": 0.5, "pr_kappa": 0.1}
    made, sample, before = prepared(checkout, name, **options)
    rewards = sample["reward"][:, :-1].expand(-1, -1, N).double()
    mask = sample["filled"][:, :-1].double().repeat(1, 1, N)
    targets = made.target_critic(sample)
    assert th.equal(targets, made.target_critic.wrapped(sample))  # the critic learns from its own values
    moments = copy.deepcopy(getattr(made, "ret_ms", None))
    upstream = copy.deepcopy(made)
    upstream.pr_options = type(made.pr_options)()
    upstream.target_critic = upstream.target_critic.wrapped
    own, _ = upstream.train_critic_sequential(upstream.critic, upstream.target_critic, sample, rewards, mask)
    found, _ = made.train_critic_sequential(made.critic, made.target_critic, sample, rewards, mask)
    joint = made.args.critic_type.startswith("cv")
    seen = sample["state"][:, :, None].expand(-1, -1, N, -1) if joint else sample["obs"]
    places = filled(sample)
    states = th.stack([seen[b, t] for b, t in places], 1)
    adjacent = before.adjacent(states[:1] if joint else states, joint)
    kappa = before.config.kappa

    def raw(value: th.Tensor, j: int) -> th.Tensor:
        return value if moments is None else value * moments.var[j].sqrt() + moments.mean[j]

    for i in range(N):
        k = 0 if joint else i
        terms = [(j, a) for j in range(N) if j != i for a in range(len(adjacent.states))]
        total = th.zeros_like(own[:, :, i])
        for j, a in terms:
            # padded steps keep the own value, however the terms share it
            values = raw(targets[..., i, 0].detach(), i).double().clone()
            weight = th.full_like(values, 1 / len(terms))
            for row, (b, t) in enumerate(places):
                values[b, t] = raw(state_value(made.pr_peers, j, adjacent.states[a, k, row]).detach(), j)
                share = 1 / (N - 1) if normalize == "mean" else len(adjacent.states)
                weight[b, t] = share * adjacent.weights[a, k, row]
            total = total + weighted_advantage(made, rewards, mask, values, weight, i)
        std = 1 if moments is None else made.ret_ms.var[i].sqrt()
        want = (1 - kappa) * own[:, :, i] + kappa * total / std * mask[:, :, i]
        assert (found[:, :, i] - want).abs().max() <= 1e-10


def weighted_advantage(made: Any, rewards: Any, mask: Any, values: Any, weight: Any, i: int) -> th.Tensor:
    """w (G(V) - V); the return is linear, so the weight of an adjacent state can go with its value."""
    spread = (weight * values)[:, :, None].expand(-1, -1, N)
    bootstrap = made.nstep_returns(th.zeros_like(rewards), mask, spread, made.args.q_nstep)[:, :, i]
    return bootstrap + paid(made, rewards, mask, weight)[:, :, i] - (weight * values)[:, :-1]


def paid(made: Any, rewards: Any, mask: Any, weight: Any) -> th.Tensor:
    """The rewards' part of the return: a step's adjacent states share what is paid in that step."""
    shared = rewards * weight[:, :-1, None]
    return made.nstep_returns(shared, mask, th.zeros_like(weight)[:, :, None].expand(-1, -1, N), made.args.q_nstep)
