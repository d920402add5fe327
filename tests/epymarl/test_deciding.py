"""Deciding (``pr_act``): agents act and bootstrap on what all networks say of their own observation, and nothing else
changes. The oracle asks the networks themselves, one at a time, over an agent's whole history."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch as th

from epymarl_pr.launch import derive
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.resume.state import learner_state, restore_learner
from tests.epymarl import hosts
from tests.epymarl.test_identical import parts, same, trained
from tests.epymarl.test_oracle import UNEVEN, Utilities, filled
from tests.reciprocity import brute_force

N = hosts.N_AGENTS
NAMES = ["iql_ns", "vdn_ns", "qmix_ns"]
GRAPHS = [{}, {"pr_peers": "ring"}, {"pr_peers": "random"}, UNEVEN, {"pr_kappa": 0.3}]


def deciding(checkout: Any, name: str, **changes: Any) -> tuple[Any, Any]:
    """A learner whose networks are all different, live ones and targets, and a batch; in float64."""
    made = hosts.learner(checkout, f"{name}_pr", **{"pr_act": True, **changes})
    generator = th.Generator().manual_seed(1)
    for mac in (made.mac, made.target_mac):
        mac.agent.double()
        for parameter in mac.parameters():
            parameter.data += 0.3 * th.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return made, hosts.double_batch(hosts.batch(made))


def q_star(made: Any, mac: Any, sample: Any, i: int, b: int, t: int) -> th.Tensor:
    """Q*_i of every action, by loops over the networks of ``mac``."""
    oracle, obs = Utilities(mac, sample), sample["obs"][b, t, i]
    had = [sample["avail_actions"][:, :, j][sample["filled"][..., 0] == 1].bool().any(0) for j in range(N)]
    config, row = made.reciprocity.config, made.reciprocity.peer_weights[i]
    heard = [oracle.at(j, i, b, t, obs) for j in range(N)]
    values = []
    for action in range(hosts.N_ACTIONS):
        graph = [row[j] if had[j][action] else 0.0 for j in range(N)]
        values.append(brute_force.one_row(heard[i][action], lambda j, _, a=action: heard[j][a], graph, [1.0], config))
    return th.stack(values)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("recurrent", [False, True])
def test_what_agents_act_on(checkout: Any, recurrent: bool, graph: dict[str, Any]) -> None:
    rnn = {"use_rnn": recurrent, "obs_last_action": recurrent, "obs_agent_id": True}
    made, sample = deciding(checkout, "iql_ns", **rnn, **graph)
    sample["avail_actions"][:, :, 2, 3] = 0  # agent 2 never has action 3
    if not graph:
        assert made.reciprocity.config.kappa == (N - 1) / N
    made.mac.init_hidden(sample.batch_size)
    with th.no_grad():
        for t in range(sample.max_seq_length):
            found = made.target_mac.decide(sample, t)
            for b in (b for b, at in filled(sample) if at == t):
                for i in range(N):
                    assert (found[b, i] - q_star(made, made.mac, sample, i, b, t)).abs().max() <= 1e-10


def test_who_listens_to_others_than_before_acts_on_these(checkout: Any) -> None:
    made, sample = deciding(checkout, "iql_ns", pr_peers="random")
    graphs, seen = set(), set()
    for _ in range(8):
        made.mac.init_hidden(sample.batch_size)
        found = made.target_mac.decide(sample, 0)
        assert (found[0, 0] - q_star(made, made.mac, sample, 0, 0, 0)).abs().max() <= 1e-10
        graphs.add(made.reciprocity.peer_weights.tobytes())
        seen.add(found.numpy().tobytes())
        made.reciprocity.redraw_peers()
    assert 1 < len(graphs) == len(seen)


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_the_best_available_ones(checkout: Any, name: str) -> None:
    made, sample = deciding(checkout, name, use_rnn=True)
    made.mac.init_hidden(sample.batch_size)
    other = 0
    for t in range(3):
        chosen = made.mac.select_actions(sample, t, 10**9, bs=[1, 3], test_mode=True)
        for k, b in enumerate([1, 3]):
            if (b, t) not in filled(sample):
                continue
            for i in range(N):
                with th.no_grad():
                    value = q_star(made, made.mac, sample, i, b, t)
                    own = Utilities(made.mac, sample).at(i, i, b, t, sample["obs"][b, t, i])
                available = sample["avail_actions"][b, t, i] == 1
                assert chosen[k, i] == value.masked_fill(~available, -th.inf).argmax()
                other += int(chosen[k, i] != own.masked_fill(~available, -th.inf).argmax())
    assert other > 0, "the own networks would choose the same"


@pytest.mark.parametrize("recurrent, double_q", [(False, False), (True, True)])
@pytest.mark.parametrize("name", NAMES)
def test_what_the_target_is(checkout: Any, name: str, recurrent: bool, double_q: bool) -> None:
    """The value that the host's ``train`` reads, by its own code: masks, double Q-learning, and then max or gather."""
    made, sample = deciding(checkout, name, use_rnn=recurrent, double_q=double_q)
    answers = made.target_mac.answers(sample)
    assert answers.requires_grad is False
    masked = answers.masked_fill(sample["avail_actions"] == 0, -9999999)
    own = th.randn(answers.shape, generator=th.Generator().manual_seed(2))  # whatever the own network likes
    own = own.masked_fill(sample["avail_actions"] == 0, -9999999)
    found = masked.gather(3, own.max(3, keepdim=True)[1])[..., 0] if double_q else masked.max(3)[0]
    with th.no_grad():
        for b, t in filled(sample):
            for i in range(N):
                available = sample["avail_actions"][b, t, i] == 1
                target = q_star(made, made.target_mac.wrapped, sample, i, b, t)
                judge = q_star(made, made.mac, sample, i, b, t) if double_q else target
                best = judge.masked_fill(~available, -th.inf).argmax()
                assert abs(found[b, t, i] - target[best]) <= 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_each_network_is_regressed_on_its_own_rows(checkout: Any, name: str) -> None:
    """``forward``, which the host's loss is made of, is that of the own network."""
    made, sample = deciding(checkout, name)
    made.mac.init_hidden(sample.batch_size)
    forward = [made.mac.forward(sample, t) for t in range(sample.max_seq_length)]
    oracle = Utilities(made.mac, sample)
    for b, t in filled(sample)[::5]:
        for i in range(N):
            want = oracle.at(i, i, b, t, sample["obs"][b, t, i])
            assert (forward[t][b, i] - want).abs().max() <= 1e-10


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_kappa_0_is_upstream(checkout: Any, name: str, recurrent: bool) -> None:
    upstream, left = trained(checkout, name, use_rnn=recurrent)
    ours, right = trained(checkout, f"{name}_pr", use_rnn=recurrent, pr_act=True, pr_kappa=0.0)
    assert same(left, right)
    assert same(parts(ours), parts(upstream))
    sample = hosts.batch(ours)
    for learner in (upstream, ours):
        th.manual_seed(3)
        learner.mac.init_hidden(sample.batch_size)
        learner.chosen = [learner.mac.select_actions(sample, t, 40000) for t in range(3)]
    assert same(ours.chosen, upstream.chosen)


@pytest.mark.parametrize("recurrent", [False, True])
def test_equal_networks_decide_like_one(checkout: Any, recurrent: bool) -> None:
    made, sample = deciding(checkout, "iql_ns", use_rnn=recurrent)
    for mac in (made.mac, made.target_mac):
        for other in mac.agent.agents[1:]:
            other.load_state_dict(mac.agent.agents[0].state_dict())
    made.target_mac.init_hidden(sample.batch_size)
    made.mac.init_hidden(sample.batch_size)
    values = made.target_mac.values(sample)
    for t in range(sample.max_seq_length):
        decided = made.target_mac.decide(sample, t)
        # what acts keeps its memory to itself: the host's own forward goes on beside it
        assert (decided - made.mac.forward(sample, t)).abs().max() <= 1e-12
        assert (values[:, t] - made.target_mac.wrapped.forward(sample, t)).abs().max() <= 1e-12


def test_a_resumed_learner_goes_on_as_it_was(checkout: Any) -> None:
    first, second = (hosts.learner(checkout, "iql_ns_pr", pr_act=True, use_rnn=True, seed=seed) for seed in (3, 4))
    first.train(hosts.batch(first, 1), 1, 1)
    restore_learner(second, copy.deepcopy(learner_state(first)))
    sample = hosts.batch(first, 2)
    for learner in (first, second):
        th.manual_seed(7)
        learner.train(sample, 2, 2)
        learner.mac.init_hidden(sample.batch_size)
        learner.chosen = [learner.mac.select_actions(sample, t, 40000) for t in range(3)]
    assert same(learner_state(second), learner_state(first))
    assert same(second.chosen, first.chosen)


@pytest.mark.parametrize("standardised", [False, True])
def test_a_saved_team_decides_as_it_did(checkout: Any, tmp_path: Path, standardised: bool) -> None:
    settings = {"use_rnn": True, "standardise_returns": standardised}
    first = hosts.learner(checkout, "iql_ns_pr", pr_act=True, **settings)
    sample = hosts.batch(first, 1)
    sample["avail_actions"][:, :, 2, 3] = 0
    first.train(sample, 1, 1)
    if standardised:  # what upstream's have after episodes of different lengths means nothing: padding is in it
        first.ret_ms.mean, first.ret_ms.var = th.tensor([1.0, -2.0, 0.5]), th.tensor([4.0, 0.25, 9.0])
    first.save_models(str(tmp_path))

    def decisions(learner: Any) -> list[th.Tensor]:
        learner.mac.init_hidden(sample.batch_size)
        return [learner.mac.select_actions(sample, t, 10**9, test_mode=True) for t in range(3)]

    again = hosts.learner(checkout, "iql_ns_pr", pr_act=True, seed=9, **settings)
    again.load_models(str(tmp_path))
    assert same(learner_state(again)["had"], learner_state(first)["had"])
    again.mac.init_hidden(4)
    first.mac.init_hidden(4)
    assert same(again.target_mac.decide(sample, 0), first.target_mac.decide(sample, 0))
    assert same(decisions(again), decisions(first))
    alone, upstream = (hosts.learner(checkout, name, seed=9, **settings) for name in ("iql_ns_pr", "iql_ns"))
    for learner in (alone, upstream):
        learner.load_models(str(tmp_path))
    assert same(decisions(alone), decisions(upstream))
    (tmp_path / "deciding.th").unlink()
    again.load_models(str(tmp_path))
    assert "holds no deciding.th" in again.logger.warnings[-1]
    assert bool(again.target_mac.had.all())


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mappo_ns", {}, "pr_act=True with ppo_learner: only q_learner"),
        ("iql", {}, "agent=rnn: the agents share one network"),
        ("iql_ns", {"pr_adjacency": "noise"}, "pr_adjacency=noise: .* needs pr_adjacency=same"),
        ("iql_ns", {"pr_estimator": "sampled"}, "needs pr_estimator=one_state or full"),
        ("iql_ns", {"pr_act": 3}, "pr_act=3 is neither true nor false"),
        ("iql_ns", {"pr_kappa": None, "pr_act": False}, "pr_kappa"),
    ],
)
def test_what_has_no_meaning_is_refused(checkout: Any, name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        derive.algorithm(checkout, f"{name}_pr", {"pr_act": True, **settings})


def test_plain_names_with_separate_networks_are_taken(checkout: Any) -> None:
    made = hosts.learner(checkout, "iql_pr", pr_act=True, mac="non_shared_mac", agent="rnn_ns")
    assert type(made.target_mac).__name__ == "DecidingMac"
