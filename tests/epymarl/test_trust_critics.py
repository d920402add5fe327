"""Trust of learners with critics: errors are those of plain loops over the target critics against what the host's own
``train`` regresses on; off is upstream, and a resumed learner trusts as it did."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch as th

from epymarl_pr.learners.trust import EVERY
from epymarl_pr.resume.state import learner_state, restore_learner
from marl_pr_common.reciprocity.listening import Listening
from tests.epymarl import hosts
from tests.epymarl.test_identical import parts, same, trained
from tests.epymarl.test_oracle import RESAMPLE, UNEVEN, action_value, maddpg_inputs, prepared, state_value
from tests.epymarl.test_trust import counted
from tests.reciprocity import brute_force

N = hosts.N_AGENTS
TRUST = {"pr_trust": "td", "pr_trust_power": 2.0}
OWN_REWARDS = {"common_reward": False, "standardise_rewards": False}


def learner(checkout: Any, name: str, **changes: Any) -> tuple[Any, Any]:
    made, sample, _ = prepared(checkout, name, **{**TRUST, **changes})
    for mac in (made.mac, getattr(made, "old_mac", None), getattr(made, "target_mac", None)):
        if mac is not None:
            mac.agent.double()
    if made.reciprocity.config.sync_interval > 1:
        made.pr_peers.load_state_dict(made.target_critic.state_dict())  # as before the first update
    return made, sample


def compare(made: Any, wanted: th.Tensor) -> None:
    """D of a first update, where anybody is listened to, and W of it."""
    graph = made.reciprocity.peer_weights
    for i in range(N):
        for j in range(N):
            if i == j or graph[i, j] > 0:
                assert abs(made.reciprocity.errors[i, j] - wanted[i, j]) <= 1e-10 * max(1.0, float(wanted[i, j]))
        trusted = th.tensor(brute_force.trusted(graph, made.reciprocity.errors, i, 2.0), dtype=th.float64)
        assert (th.as_tensor(made.reciprocity.weights[i]) - trusted).abs().max() <= 1e-10


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("mappo_ns", {}),
        ("mappo_ns", {"standardise_returns": True, **UNEVEN, **OWN_REWARDS}),
        ("mappo_ns", {"pr_sync_interval": 3, "pr_peers": "ring"}),
        ("mappo", {"obs_last_action": True, "pr_z": "A"}),
        ("ippo_ns", {"standardise_returns": True, "use_rnn": True, **RESAMPLE}),
        ("ippo", UNEVEN),
        ("maa2c_ns", {"pr_peers": "random", "pr_n_peers": 1}),
        ("ia2c_ns", {"pr_estimator": "one_voice", **OWN_REWARDS}),
    ],
)
def test_errors_of_state_values(checkout: Any, monkeypatch: Any, name: str, changes: dict[str, Any]) -> None:
    made, sample = learner(checkout, name, **changes)
    mean, std = th.zeros(N), th.ones(N)
    if made.args.standardise_returns:
        mean, std = th.tensor([1.0, -2.0, 0.5]), th.tensor([2.0, 0.5, 3.0])
        made.ret_ms.mean, made.ret_ms.var = mean.clone(), std**2
    host, seen = type(made).__mro__[3], []
    assert host.__module__.startswith("learners.")
    form = host.nstep_returns
    monkeypatch.setattr(host, "nstep_returns", lambda *given: seen.append(form(*given)) or seen[-1])
    networks = copy.deepcopy((made.target_critic.wrapped, made.pr_peers))
    made.train(sample, 1, 1)
    joint = made.args.critic_type.startswith("cv")
    wanted, places = th.zeros(N, N, dtype=th.float64), counted(sample)
    with th.no_grad():
        for b, t in places:
            for i in range(N):
                state = sample["state"][b, t] if joint else sample["obs"][b, t, i]
                if made.args.obs_last_action:
                    last = sample["actions_onehot"][b, t - 1] if t else th.zeros(N, hosts.N_ACTIONS)
                    state = th.cat([state, last.double().flatten()])
                for j in range(N):
                    value = state_value(networks[j != i], j, state) * std[j] + mean[j]
                    wanted[i, j] += (value - seen[0][b, t, i]) ** 2 / len(places)
    compare(made, wanted)


@pytest.mark.parametrize(
    ("name", "own_view", "changes"),
    [
        ("maddpg_ns", False, {}),
        ("maddpg_ns", True, {**UNEVEN, **OWN_REWARDS}),
        ("maddpg_ns", False, {"pr_sync_interval": 3, "pr_peers": "ring", "pr_in_actor": True}),
        ("maddpg", True, {"use_rnn": True, **RESAMPLE}),
        ("maddpg", False, {"pr_estimator": "sampled"}),
    ],
)
def test_errors_of_action_values(checkout: Any, name: str, own_view: bool, changes: dict[str, Any]) -> None:
    views = {"obs_individual_obs": own_view, "obs_last_action": own_view}
    made, sample = learner(checkout, name, **views, **changes)
    assert bool((sample["terminated"] == 1).any())
    networks = copy.deepcopy((made.target_critic.wrapped, made.pr_peers))
    answer, seen = type(made.target_critic).__call__, []
    dim = made.target_critic.dim
    made.target_critic.__class__ = type(
        "Seen", (type(made.target_critic),), {"__call__": lambda *given: seen.append(answer(*given)) or seen[-1]}
    )
    inputs = made._build_inputs(sample).double()
    _, _, last = maddpg_inputs(made, sample, own_view)
    last = th.cat([th.zeros_like(last[:, :1]), last], 1)
    made.train(sample, 1, 1)
    values = seen[0].as_subclass(th.Tensor)[..., 0]  # of the step after
    reward = sample["reward"]
    if made.args.standardise_rewards:
        reward = (reward - made.rew_ms.mean) / made.rew_ms.var.sqrt()
    wanted = th.zeros(N, N, dtype=th.float64)
    places = [(b, t) for b, t in counted(sample) if not sample["terminated"][b, t]]
    gamma = float(th.tensor(made.args.gamma))  # the host multiplies in float32
    with th.no_grad():
        for b, t in places:
            joint = sample["actions_onehot"][b, t].double().flatten()
            for i in range(N):
                y = reward[b, t].expand(N)[i] + gamma * values[b, t, i]
                acted = last[b, t, i].double() if own_view else None
                for j in range(N):
                    found = action_value(networks[j != i], j, inputs[b, t, i, :dim], acted, joint)
                    wanted[i, j] += (found - y) ** 2 / len(places)
    compare(made, wanted)


@pytest.mark.parametrize("name", ["mappo_ns", "ia2c_ns", "maddpg_ns"])
def test_off_is_upstream(checkout: Any, name: str) -> None:
    upstream, left = trained(checkout, name)
    ours, right = trained(checkout, f"{name}_pr", pr_trust="td", pr_kappa=0.0)
    assert same(left, right)
    assert same(parts(ours), parts(upstream))
    assert ours.reciprocity.errors is None


@pytest.mark.parametrize("name", ["mappo_ns", "ippo", "maddpg_ns"])
def test_watching_changes_no_bit(checkout: Any, monkeypatch: Any, name: str) -> None:
    """Of an update whose weights are those that trust begins with."""
    settings = {"pr_trust": "td", "pr_estimator": "sampled", "updates": 1, "epochs": 1}
    watched, left = trained(checkout, f"{name}_pr", **settings)
    monkeypatch.setattr(Listening, "watches_errors", False)
    plain, right = trained(checkout, f"{name}_pr", **settings)
    assert watched.reciprocity.errors is not None
    assert plain.reciprocity.errors is None
    assert same(left, right)
    found, expected = parts(watched), parts(plain)
    logged = {"pr_trust", *(f"pr_trust_{i}_{j}" for i in range(N) for j in range(N))}
    assert set(found["stats"]) - set(expected["stats"]) == logged
    found["stats"] = {key: value for key, value in found["stats"].items() if key not in logged}
    assert same(found, expected)


@pytest.mark.parametrize("name", ["mappo_ns", "maddpg_ns"])
def test_a_resumed_learner_trusts_as_it_did(checkout: Any, name: str) -> None:
    first, second = (hosts.learner(checkout, f"{name}_pr", pr_trust="td", seed=seed) for seed in (3, 4))
    sample = hosts.batch(first, 1)
    for update in range(3):
        first.train(sample, update, update)
    restore_learner(second, copy.deepcopy(learner_state(first)))
    for one in (first, second):
        th.manual_seed(7)
        for update in range(3, EVERY + 3):
            one.train(sample, update, update)
    assert same(learner_state(second), learner_state(first))


@pytest.mark.parametrize("name", ["mappo_ns", "maddpg_ns", "iql_ns"])
def test_a_peer_that_breaks_is_not_heard(checkout: Any, name: str) -> None:
    made = hosts.learner(checkout, f"{name}_pr", pr_trust="td", pr_sync_interval=100)
    peers = getattr(getattr(made.pr_peers, "agent", made.pr_peers), "agents", None) or made.pr_peers.critics
    made.pr_updates = EVERY  # the snapshot is not renewed now
    for parameter in peers[1].parameters():
        parameter.data.fill_(th.nan)
    made.train(hosts.batch(made), 10, 0)
    errors, weights = made.reciprocity.errors, made.reciprocity.weights
    for i in (0, 2):
        assert errors[i, 1] == th.inf
        assert weights[i, 1] == 0
        assert weights[i].sum() == pytest.approx(1)
    assert th.isfinite(th.as_tensor(errors[1, 1]))


def test_advantages_follow_trust(checkout: Any) -> None:
    """Z = A: A*_i = (1 - kappa) A_i + kappa sum_j W_ij A_i(V_j), the agent itself among them."""
    made, sample = learner(checkout, "mappo_ns", pr_z="A")
    rewards = sample["reward"][:, :-1].expand(-1, -1, N).double()
    mask = sample["filled"][:, :-1].double().repeat(1, 1, N)

    def advantages(errors: np.ndarray, kappa: float) -> th.Tensor:
        one = copy.deepcopy(made)
        one.reciprocity.config = replace(one.reciprocity.config, kappa=kappa)
        one.reciprocity.errors = errors
        found: th.Tensor = one.train_critic_sequential(one.critic, one.target_critic, sample, rewards, mask)[0]
        return found

    errors = np.exp(np.random.default_rng(0).normal(size=(N, N)))
    listening_to = [advantages(np.where(np.arange(N) == j, 0.0, np.ones((N, N))), 1.0) for j in range(N)]
    own, found = advantages(errors, 0.0), advantages(errors, 0.6)
    for i in range(N):
        weights = brute_force.trusted(made.reciprocity.peer_weights, errors, i, 2.0)
        heard = sum(weight * said[..., i] for weight, said in zip(weights, listening_to, strict=True))
        assert (found[..., i] - 0.4 * own[..., i] - 0.6 * heard).abs().max() <= 1e-10
