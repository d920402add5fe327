"""The control of value learners: as many networks of an agent's own as it has peers, all trained by the host's code."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

from epymarl_pr.launch import derive
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.resume.state import learner_state, restore_learner
from tests.epymarl import hosts
from tests.epymarl.test_identical import parts, same, trained
from tests.epymarl.test_shared_experience import forward

N = hosts.N_AGENTS
OWN = {"pr_own_critics": True}
ACTS = [{}, {"pr_act": True}, {"pr_act": True, "use_rnn": True}]


def state(mac: Any) -> Any:
    return copy.deepcopy(mac.agent.state_dict())


@pytest.mark.parametrize("settings", [*ACTS, {"target_update_interval_or_tau": 2, "pr_act": True}])
@pytest.mark.parametrize("name", ["iql_ns", "vdn_ns", "iql"])
@pytest.mark.few(5)
def test_every_network_is_trained_as_the_first(checkout: Any, name: str, settings: dict[str, Any]) -> None:
    if name == "iql":
        settings = {**settings, "pr_act": False}
    made = hosts.learner(checkout, f"{name}_pr", **OWN, **settings)
    macs = made.pr_others.macs
    assert len(macs) == N - 1
    assert not same(state(macs[0]), state(macs[1])), "an ensemble has different first weights"
    macs[0].agent.load_state_dict(made.mac.agent.state_dict())
    sample, started, other = hosts.batch(made), state(made.mac), state(macs[1])
    for update in range(3):
        made.train(sample, update + 1, update + 1)
        assert same(state(macs[0]), state(made.mac))
    assert not same(state(made.mac), started)
    assert not same(state(macs[1]), other)
    assert len(made.logger.stats["loss"]) == 3


@pytest.mark.parametrize("settings", ACTS)
def test_the_answer_is_the_mixture_of_the_own_networks(checkout: Any, settings: dict[str, Any]) -> None:
    made = hosts.learner(checkout, "iql_ns_pr", pr_kappa=0.3, double_q=True, **OWN, **settings)
    sample = hosts.batch(made)

    def mixed(first: Any, others: list[Any]) -> th.Tensor:
        with th.no_grad():
            return 0.7 * forward(first, sample) + 0.3 * sum(forward(other, sample) for other in others) / (N - 1)

    targets = mixed(made.target_mac.wrapped, made.pr_others.targets)
    lives = mixed(made.mac, made.pr_others.macs)
    filled = sample["filled"][..., None].bool().expand_as(targets)
    th.testing.assert_close(made.target_mac.values(sample)[filled], targets[filled])
    available = sample["avail_actions"] == 1
    best = lives.masked_fill(~available, -th.inf).argmax(3, keepdim=True)
    answers = made.target_mac.answers(sample)
    expected = targets.gather(3, best).expand_as(targets) if settings else targets
    th.testing.assert_close(answers[filled], expected[filled])
    made.mac.init_hidden(sample.batch_size)
    for t in range(3):
        chosen = made.mac.select_actions(sample, t, 10**9, test_mode=True)
        acted = lives if settings else forward(made.mac, sample)
        want = acted[:, t].masked_fill(~available[:, t], -th.inf).argmax(2)
        now = sample["filled"][:, t, 0] == 1
        assert th.equal(chosen[now], want[now])
        if not settings:
            made.mac.init_hidden(sample.batch_size)


def test_each_reads_the_target_at_the_action_it_likes_best_itself(checkout: Any) -> None:
    """EPyMARL's double Q-learning, of every network as of the first: the gradient of its loss, by loops over rows."""
    settings = {
        "pr_kappa": 0.3,
        "double_q": True,
        "common_reward": False,
        "standardise_rewards": False,
        "grad_norm_clip": 1e9,
    }
    made = hosts.learner(checkout, "iql_ns_pr", **OWN, **settings)
    sample = hosts.batch(made)
    sample["filled"][:], sample["terminated"][:] = 1, 0
    sample["avail_actions"][sample["avail_actions"].sum(3) == 0] = 1  # padded steps
    member = made.pr_others.learners[1]
    with th.no_grad():
        others = sum(forward(other, sample) for other in made.pr_others.targets) / (N - 1)
        target = 0.7 * forward(made.target_mac.wrapped, sample) + 0.3 * others
    live, available, losses = forward(member.mac, sample), sample["avail_actions"] == 1, []
    best, firsts = (
        values.detach().masked_fill(~available, -th.inf).argmax(3) for values in (live, forward(made.mac, sample))
    )
    for b, t, i in np.ndindex(*best[:, 1:].shape):
        y = sample["reward"][b, t, i] + made.args.gamma * target[b, t + 1, i, best[b, t + 1, i]]
        losses.append((live[b, t, i, sample["actions"][b, t, i, 0]] - y) ** 2)
    parameters = list(member.mac.parameters())
    expected = th.autograd.grad(sum(losses) / len(losses), parameters)
    member.optimiser.step = lambda: None
    made.train(sample, 1, 1)
    for parameter, gradient in zip(parameters, expected, strict=True):
        th.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
    assert (best != firsts).any()


def test_with_shared_experience_every_network_learns_from_all_agents_rows(checkout: Any) -> None:
    shared, alone = (hosts.learner(checkout, "iql_ns_pr", pr_shared_experience=share, **OWN) for share in (True, False))
    sample = hosts.batch(shared)
    shared.pr_others.macs[0].agent.load_state_dict(shared.mac.agent.state_dict())
    for made in (shared, alone):
        made.train(sample, 1, 1)
    assert same(state(shared.pr_others.macs[0]), state(shared.mac))
    assert not same(state(shared.pr_others.macs[1]), state(alone.pr_others.macs[1]))


@pytest.mark.parametrize("name", ["iql_ns", "vdn_ns"])
def test_kappa_0_is_upstream(checkout: Any, name: str) -> None:
    upstream, left = trained(checkout, name)
    ours, right = trained(checkout, f"{name}_pr", pr_kappa=0.0, pr_act=True, **OWN)
    assert same(left, right)
    assert same(parts(ours), parts(upstream))


def test_a_complete_checkpoint_holds_them(checkout: Any) -> None:
    settings = {"target_update_interval_or_tau": 2, "pr_act": True}
    first, second = (hosts.learner(checkout, "iql_ns_pr", seed=seed, **OWN, **settings) for seed in (3, 4))
    sample = hosts.batch(first)
    first.train(sample, 1, 1)
    restore_learner(second, copy.deepcopy(learner_state(first)))
    for update in range(2, 5):
        for one in (first, second):
            one.train(sample, update, update)
    assert same(learner_state(second), learner_state(first))


def test_a_saved_team_decides_as_it_did(checkout: Any, tmp_path: Path) -> None:
    first, again = (hosts.learner(checkout, "iql_ns_pr", pr_act=True, seed=seed, **OWN) for seed in (3, 9))
    sample = hosts.batch(first)
    first.train(sample, 1, 1)
    first.save_models(str(tmp_path))
    again.load_models(str(tmp_path))
    for one in (first, again):
        one.mac.init_hidden(sample.batch_size)
    assert same(again.target_mac.decide(sample, 0), first.target_mac.decide(sample, 0))
    (tmp_path / "deciding.th").unlink()
    from sacred.utils import SacredError

    with pytest.raises(SacredError, match="holds no further networks"):
        again.load_models(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("qmix_ns", {}, "only maddpg_learner and q_learner without mixer=qmix"),
        ("mappo_ns", {}, "with ppo_learner: only q_learner and maddpg_learner have this control"),
        ("iql_ns", {"standardise_returns": True}, "standardise_returns=True: .* running statistics"),
        ("iql_ns", {"pr_trust": "td"}, "own critics need pr_trust=uniform"),
    ],
)
def test_where_it_is_refused(checkout: Any, name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        derive.algorithm(checkout, f"{name}_pr", {**OWN, **settings})
