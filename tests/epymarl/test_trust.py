"""Trust (``pr_trust=td``): errors are those of plain loops over the target networks against the targets of the host's
own ``train``, weights those of the loops in tests/reciprocity, and where nothing is trusted, nothing is watched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch as th

from epymarl_pr.launch import derive
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.resume.state import learner_state, restore_learner
from tests.epymarl import hosts
from tests.epymarl.test_deciding import NAMES, deciding, filled
from tests.epymarl.test_identical import parts, same, trained
from tests.epymarl.test_oracle import UNEVEN, Utilities
from tests.reciprocity import brute_force

N = hosts.N_AGENTS
TRUST = {"pr_trust": "td", "standardise_rewards": False}
VARIANTS = [
    {},
    {"pr_act": True},
    {"use_rnn": True, "pr_act": True},
    {"pr_sync_interval": 3},
    UNEVEN,
    {"double_q": False},
]


def learner(checkout: Any, name: str, **changes: Any) -> tuple[Any, Any]:
    made, sample = deciding(checkout, name, **{"pr_act": False, **TRUST, **changes})
    for mixer in ("mixer", "target_mixer"):
        if getattr(made, mixer, None) is not None:
            getattr(made, mixer).double()
    if made.reciprocity.config.sync_interval > 1:
        made.pr_peers.agent.double()
        made.pr_peers.load_state(made.target_mac)  # as before the first update
    return made, sample


def counted(sample: Any) -> list[tuple[int, int]]:
    places = filled(sample)
    return [(b, t) for b, t in places if (b, t + 1) in places]


def target(made: Any, sample: Any, b: int, t: int, values: th.Tensor, live: th.Tensor) -> Any:
    """What the host regresses on at one step, from Q* and, for double Q-learning, what chooses."""
    available = sample["avail_actions"][b, t + 1] == 1
    judge = (live if made.args.double_q else values)[b, t + 1].masked_fill(~available, -th.inf)
    after = values[b, t + 1].gather(1, judge.argmax(1, keepdim=True))[:, 0]
    if made.mixer is not None:
        after = made.target_mixer(after[None, None], sample["state"][b, t + 1][None, None])[0, 0]
    return sample["reward"][b, t] + made.args.gamma * (1 - sample["terminated"][b, t].float()) * after


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", NAMES)
def test_errors_are_those_of_the_networks(checkout: Any, name: str, variant: dict[str, Any]) -> None:
    made, sample = learner(checkout, name, **variant)
    mac = made.target_mac
    with th.no_grad():
        values, last = mac.values(sample), sample.max_seq_length
        live = mac.mixture(sample, made.mac, made.mac, record=False)
        if not made.pr_options.act:
            made.mac.init_hidden(sample.batch_size)
            live = th.stack([made.mac.forward(sample, t) for t in range(last)], 1)
        own, peers = Utilities(mac.wrapped, sample), Utilities(mac.peers, sample)
        total, rows = th.zeros(N, N, dtype=th.float64), counted(sample)
        for b, t in rows:
            y = target(made, sample, b, t, values, live).expand(N)
            taken = [int(sample["actions"][b, t, i]) for i in range(N)]
            alone = [own.at(i, i, b, t, sample["obs"][b, t, i])[taken[i]] for i in range(N)]
            for i in range(N):
                for j in range(N):
                    said = list(alone)
                    if j != i:
                        said[i] = peers.at(j, i, b, t, sample["obs"][b, t, i])[taken[i]]
                    whole = said[i]
                    if made.mixer is not None:
                        state = sample["state"][b, t][None, None]
                        whole = made.target_mixer(th.stack(said)[None, None], state)[0, 0, 0]
                    total[i, j] += (whole - y[i]) ** 2 / len(rows)
    made.train(sample, 1, 1)
    asked = made.reciprocity.peer_weights + th.eye(N).numpy() > 0
    found = th.as_tensor(made.reciprocity.errors)
    for i in range(N):
        for j in range(N):
            if asked[i, j]:
                assert abs(found[i, j] - total[i, j]) <= 1e-10 * max(1.0, float(total[i, j]))


@pytest.mark.parametrize("recurrent", [False, True])
def test_agents_decide_on_whom_they_trust(checkout: Any, recurrent: bool) -> None:
    made, sample = learner(checkout, "iql_ns", pr_act=True, use_rnn=recurrent, pr_trust_power=2.0)
    assert made.reciprocity.config.kappa == 1.0
    made.train(sample, 1, 1)
    graph, errors = made.reciprocity.peer_weights, made.reciprocity.errors
    oracle = Utilities(made.mac, sample)
    made.mac.init_hidden(sample.batch_size)
    with th.no_grad():
        for t in range(3):
            found = made.target_mac.decide(sample, t)
            for b in (b for b, at in filled(sample) if at == t):
                for i in range(N):
                    weights = brute_force.trusted(graph, errors, i, 2.0)
                    said = [oracle.at(j, i, b, t, sample["obs"][b, t, i]) for j in range(N)]
                    want = sum(weight * values for weight, values in zip(weights, said, strict=True))
                    assert (found[b, i] - want).abs().max() <= 1e-10


def test_a_peer_that_never_had_an_action_says_nothing_against_itself(checkout: Any) -> None:
    made, sample = learner(checkout, "iql_ns")
    for i in range(N):
        sample["actions"][:, :, i] = i  # agent 2 alone takes action 2
    sample["avail_actions"][:] = 1
    sample["avail_actions"][:, :, 0, 2] = 0
    made.train(sample, 1, 1)
    errors = made.reciprocity.errors
    assert errors[2, 0] == pytest.approx(errors[2, 2], abs=0)
    assert errors[2, 1] != errors[2, 2]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("off", [{"pr_kappa": 0.0}, {"pr_kappa": 0.0, "pr_act": True}])
def test_off_is_upstream(checkout: Any, name: str, off: dict[str, Any]) -> None:
    upstream, left = trained(checkout, name)
    ours, right = trained(checkout, f"{name}_pr", pr_trust="td", **off)
    assert same(left, right)
    assert same(parts(ours), parts(upstream))
    assert ours.reciprocity.errors is None


def first_update(checkout: Any, name: str, **settings: Any) -> tuple[Any, list[th.Tensor]]:
    """A learner after one, and its gradients as the optimiser keeps them: parameters hide their size."""
    made, sample = learner(checkout, name, standardise_returns=name == "iql_ns", **settings)
    sample["avail_actions"][:] = 1  # where there is none the target is upstream's -9999999, beside which nothing counts
    made.train(sample, 1, 1)
    return made, [state["exp_avg"] for state in made.optimiser.state.values()]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_update_is_that_of_the_weights_that_trust_begins_with(checkout: Any, name: str) -> None:
    """It knows of no errors yet. The same mixture is added up in another order, which rounds as the CPU does."""
    one_peer = {"pr_peers": "matrix", "pr_peer_matrix": [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]}
    watched, mine = first_update(checkout, name, **one_peer)
    # one peer and the agent itself have half of kappa each
    plain, same_weights = first_update(checkout, name, pr_trust="uniform", pr_kappa=0.25, **one_peer)
    _, other_weights = first_update(checkout, name, pr_trust="uniform", **one_peer)
    assert watched.reciprocity.errors is not None
    size = max(float(each.abs().max()) for each in mine)
    for other, alike in ((same_weights, True), (other_weights, False)):
        apart = max(float((a - b).abs().max()) for a, b in zip(mine, other, strict=True))
        assert apart < 1e-12 * size if alike else apart > 1e-3 * size
    if name == "iql_ns":
        assert type(watched.ret_ms.mean) is th.Tensor
        for mine, other in zip(vars(watched.ret_ms).values(), vars(plain.ret_ms).values(), strict=True):
            th.testing.assert_close(th.as_tensor(mine), th.as_tensor(other), rtol=1e-6, atol=1e-7)


def test_a_resumed_learner_trusts_as_it_did(checkout: Any) -> None:
    first, second = (hosts.learner(checkout, "iql_ns_pr", pr_act=True, pr_trust="td", seed=seed) for seed in (3, 4))
    sample = hosts.batch(first, 1)
    for update in range(3):
        first.train(sample, update, update)
    restore_learner(second, copy.deepcopy(learner_state(first)))
    for update in range(3, 14):
        for one in (first, second):
            one.train(sample, update, update)
    assert same(learner_state(second), learner_state(first))


def test_what_is_logged(checkout: Any) -> None:
    made = hosts.learner(checkout, "vdn_ns_pr", pr_trust="td")
    made.train(hosts.batch(made), 10, 0)
    rows = [[made.logger.stats[f"pr_trust_{i}_{j}"][0][1] for j in range(N)] for i in range(N)]
    assert [sum(row) for row in rows] == pytest.approx([1.0] * N)
    others = [sum(row) - row[i] for i, row in enumerate(rows)]
    assert made.logger.stats["pr_trust"][0][1] == pytest.approx(sum(others) / N)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mappo_ns", {"pr_normalize": "sum"}, "pr_trust='td' with pr_normalize"),
        ("maddpg_ns", {"pr_own_critics": True}, "pr_trust=td: own critics need pr_trust=uniform"),
        ("iql_ns", {"pr_normalize": "sum"}, "pr_trust='td' with pr_normalize"),
        ("iql_ns", {"pr_trust": "uniform", "pr_consensus": 0.1}, "pr_consensus=0.1"),
    ],
)
def test_where_it_is_refused(checkout: Any, name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        derive.algorithm(checkout, f"{name}_pr", {"pr_trust": "td", **settings})
