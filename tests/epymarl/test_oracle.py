"""What the learners read as bootstrap value equals eq. 12 computed with plain loops over agents, peers and states."""

from __future__ import annotations

from typing import Any

import pytest
import torch as th

from marl_pr_common.reciprocity import Reciprocity
from tests.epymarl import hosts
from tests.reciprocity import brute_force
from tests.reciprocity.copies import twin

STRATEGIES = ["same", "noise", "resample", "drop", "neighbours"]
UNEVEN = {"pr_peers": "matrix", "pr_peer_matrix": [[0.0, 2.0, 1.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0]]}
"""A graph with weights, in which agent 1 listens to nobody."""
RESAMPLE = {"pr_adjacency": "resample"}
UNEVEN_RESAMPLE = {**RESAMPLE, **UNEVEN}
VARIANTS = [
    *({"pr_adjacency": strategy} for strategy in STRATEGIES),
    UNEVEN_RESAMPLE,
    {"pr_adjacency": "resample", "pr_sync_interval": 5},
    {"pr_adjacency": "noise", "pr_normalize": "sum", "pr_kappa": 0.1, "gamma": 0.5},
    {"pr_adjacency": "resample", "pr_include_self": False},
]
N = hosts.N_AGENTS


def prepared(checkout: Any, name: str, **changes: Any) -> tuple[Any, Any, Reciprocity]:
    """A learner and a batch in float64, and its reciprocity as it was before the first question."""
    options = {"pr_kappa": 0.6, "pr_rho": 2, "pr_n_adjacent": 2, "pr_estimator": "full", **changes}
    made = hosts.double(hosts.learner(checkout, f"{name}_pr", **options))
    sample = hosts.double_batch(hosts.batch(made))
    # targets that differ from the live networks, and agents that differ from one another
    generator = th.Generator().manual_seed(1)
    for parameter in made.pr_peers.parameters():
        parameter.data += 0.3 * th.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return made, sample, twin(made.reciprocity)


def filled(sample: Any) -> list[tuple[int, int]]:
    return [tuple(place) for place in sample["filled"][..., 0].nonzero().tolist()]


def mixed(reciprocity: Reciprocity, own: float, values: dict[tuple[int, int], th.Tensor], i: int, weights: Any) -> Any:
    """Eq. 12 for one agent and step; ``values[j, a]`` is Z_j(s#_a), of one action or of all."""
    if not isinstance(own, float) and own.ndim:
        columns = [{key: value[action] for key, value in values.items()} for action in range(len(own))]
        return th.stack([mixed(reciprocity, *one, i, weights) for one in zip(own, columns, strict=True)])
    row = reciprocity.peer_weights[i]
    return brute_force.one_row(own, lambda j, a: values[j, a], row, weights, reciprocity.config)


class Utilities:
    """Q_j over agent i's true history up to t - 1 and any observation at t, from the networks themselves."""

    def __init__(self, mac: Any, sample: Any):
        self.mac, self.sample, self.args = mac, sample, mac.args

    def inputs(self, j: int, obs: th.Tensor, b: int, t: int, i: int) -> th.Tensor:
        parts = [obs]
        if self.args.obs_last_action:
            last = self.sample["actions_onehot"][b, t - 1, i] if t else th.zeros(self.args.n_actions)
            parts.append(last)
        if self.args.obs_agent_id:
            parts.append(th.eye(N)[j])
        return th.cat([part.double() for part in parts])[None]

    def network(self, j: int) -> Any:
        return self.mac.agent.agents[j] if hasattr(self.mac.agent, "agents") else self.mac.agent

    def at(self, j: int, i: int, b: int, t: int, obs: th.Tensor) -> th.Tensor:
        hidden = self.network(j).init_hidden()
        for past in range(t):
            _, hidden = self.network(j)(self.inputs(j, self.sample["obs"][b, past, i], b, past, i), hidden)
        return self.network(j)(self.inputs(j, obs, b, t, i), hidden)[0][0]


@pytest.mark.parametrize(
    "name, recurrent, variant",
    [
        *(("qmix_ns", True, variant) for variant in VARIANTS),
        ("qmix_ns", False, RESAMPLE),
        ("qmix", True, RESAMPLE),
        ("qmix", False, UNEVEN_RESAMPLE),
    ],
)
@pytest.mark.few(6)
def test_utilities(checkout: Any, name: str, recurrent: bool, variant: dict[str, Any]) -> None:
    made, sample, before = prepared(
        checkout, name, **variant, use_rnn=recurrent, obs_last_action=recurrent, obs_agent_id=True
    )
    made.target_mac.init_hidden(sample.batch_size)
    found = th.stack([made.target_mac.forward(sample, t) for t in range(sample.max_seq_length)], 1)
    places = filled(sample)
    states = th.stack([sample["obs"][b, t] for b, t in places], 1)
    adjacent = before.adjacent(states)
    alone, oracle = Utilities(made.target_mac.wrapped, sample), Utilities(made.pr_peers, sample)
    with th.no_grad():
        for row, (b, t) in enumerate(places):
            for i in range(N):
                values = {
                    (j, a): oracle.at(j, i, b, t, adjacent.states[a, i, row])
                    for j in range(N)
                    for a in range(len(adjacent.states))
                }
                own = alone.at(i, i, b, t, sample["obs"][b, t, i])
                want = mixed(before, own, values, i, adjacent.weights[:, i, row])
                assert (found[b, t, i] - want).abs().max() <= 1e-10


def state_value(critic: Any, j: int, state: th.Tensor) -> th.Tensor:
    """V_j from the network itself: separate networks, or one with agent j's identity."""
    if hasattr(critic, "critics"):
        return critic.critics[j](state[None])[0, 0]
    inputs = th.cat([state, th.eye(N)[j].double()])[None]
    hidden = th.relu(critic.fc1(inputs))
    return critic.fc3(th.relu(critic.fc2(hidden)))[0, 0]


@pytest.mark.parametrize(
    "name, standardised, variant",
    [
        *(("ippo_ns", k % 2 == 0, variant) for k, variant in enumerate(VARIANTS)),
        *((name, False, RESAMPLE) for name in ("mappo", "mappo_ns", "ippo", "ia2c", "maa2c_ns")),
        *((name, True, UNEVEN_RESAMPLE) for name in ("mappo", "mappo_ns", "ippo")),
    ],
)
@pytest.mark.few(8)
def test_state_values(checkout: Any, name: str, variant: dict[str, Any], standardised: bool) -> None:
    made, sample, before = prepared(checkout, name, **variant, standardise_returns=standardised)
    mean, std = th.zeros(N, dtype=th.float64), th.ones(N, dtype=th.float64)
    if standardised:
        made.ret_ms.mean, made.ret_ms.var = th.tensor([1.0, -2.0, 0.5]), th.tensor([4.0, 0.25, 9.0])
        mean, std = made.ret_ms.mean.double(), made.ret_ms.var.double().sqrt()
    found = made.target_critic(sample)[..., 0]
    critic, peers, places = made.target_critic.wrapped, made.pr_peers, filled(sample)
    joint = made.args.critic_type.startswith("cv")
    seen = sample["state"][:, :, None].expand(-1, -1, N, -1) if joint else sample["obs"]
    states = th.stack([seen[b, t] for b, t in places], 1)
    adjacent = before.adjacent(states[:1] if joint else states)
    with th.no_grad():
        for row, (b, t) in enumerate(places):
            for i in range(N):
                k = 0 if joint else i
                values = {
                    (j, a): state_value(peers, j, adjacent.states[a, k, row]) * std[j] + mean[j]
                    for j in range(N)
                    for a in range(len(adjacent.states))
                }
                own = state_value(critic, i, seen[b, t, i]) * std[i] + mean[i]
                want = (mixed(before, own, values, i, adjacent.weights[:, k, row]) - mean[i]) / std[i]
                assert abs(found[b, t, i] - want) <= 1e-10


def action_value(critic: Any, j: int, state: th.Tensor, last: th.Tensor | None, actions: th.Tensor) -> th.Tensor:
    """Q_j from the network itself."""
    parts = [state] if last is None else [state, last]
    if hasattr(critic, "critics"):
        return critic.critics[j](th.cat([*parts, actions])[None])[0, 0]
    inputs = th.cat([*parts, th.eye(N)[j].double(), actions])[None]
    hidden = th.relu(critic.fc1(inputs))
    return critic.fc3(th.relu(critic.fc2(hidden)))[0, 0]


@pytest.mark.parametrize(
    "name, own_view, variant",
    [
        *(("maddpg_ns", k % 2 == 0, variant) for k, variant in enumerate(VARIANTS)),
        *(("maddpg", own_view, RESAMPLE) for own_view in (False, True)),
    ],
)
def test_action_values(checkout: Any, name: str, own_view: bool, variant: dict[str, Any]) -> None:
    made, sample, before = prepared(checkout, name, **variant, obs_individual_obs=own_view, obs_last_action=own_view)
    inputs, actions, last = maddpg_inputs(made, sample, own_view)
    made.target_critic.filled = sample["filled"][:, 1:]
    found = made.target_critic(inputs, actions)[..., 0]
    critic = made.target_critic.wrapped
    places = [tuple(place) for place in sample["filled"][:, 1:, 0].nonzero().tolist()]
    dim = made.target_critic.dim
    states = th.stack([inputs[b, t, :, :dim] for b, t in places], 1)
    adjacent = before.adjacent(states if own_view else states[:1])
    with th.no_grad():
        for row, (b, t) in enumerate(places):
            for i in range(N):
                k, acted = (i, last[b, t, i]) if own_view else (0, None)
                values = {
                    (j, a): action_value(made.pr_peers, j, adjacent.states[a, k, row], acted, actions[b, t, i])
                    for j in range(N)
                    for a in range(len(adjacent.states))
                }
                own = action_value(critic, i, inputs[b, t, i, :dim], acted, actions[b, t, i])
                assert abs(found[b, t, i] - mixed(before, own, values, i, adjacent.weights[:, k, row])) <= 1e-10
    padded = sample["filled"][:, 1:, 0] == 0
    assert padded.any()
    assert th.equal(found[padded], critic(inputs, actions)[..., 0][padded].detach())


def maddpg_inputs(made: Any, sample: Any, own_view: bool) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
    """What the host's ``train`` gives its target critic: inputs, joint actions, and the last actions in the inputs."""
    inputs = made._build_inputs(sample)[:, 1:].double()
    taken = sample["actions_onehot"]
    joint = taken[:, 1:].flatten(2)[:, :, None].expand(-1, -1, N, -1)
    return inputs, joint, taken[:, :-1]
