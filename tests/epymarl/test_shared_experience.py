"""Shared experience: every network is regressed on every agent's rows, and on nothing else than its own without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch as th

from epymarl_pr.launch import derive
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.learners.experience import everyones
from tests.epymarl import hosts
from tests.epymarl.test_identical import parts, same, trained
from tests.epymarl.test_trust import counted, learner

N = hosts.N_AGENTS
NAMES = ["iql_ns", "vdn_ns", "qmix_ns"]


@pytest.mark.parametrize("common", [False, True])
def test_every_place_lives_through_what_every_agent_did(checkout: Any, common: bool) -> None:
    made = hosts.learner(checkout, "iql_ns_pr", pr_shared_experience=True, common_reward=common)
    sample = hosts.batch(made)
    given, size = everyones(sample, N), sample.batch_size
    assert given.batch_size == N * size
    for shift in range(N):
        for b in range(size):
            for j in range(N):
                i = (j - shift) % N
                for key in ("obs", "actions", "actions_onehot", "avail_actions"):
                    assert th.equal(given[key][shift * size + b, :, j], sample[key][b, :, i])
                reward = given["reward"][shift * size + b]
                assert th.equal(reward[:, 0 if common else j], sample["reward"][b, :, 0 if common else i])
            for key in ("state", "terminated", "filled"):
                assert th.equal(given[key][shift * size + b], sample[key][b])


@pytest.mark.parametrize("variant", [{"pr_kappa": 0.0}, {"pr_act": True}, {"pr_kappa": 0.5, "use_rnn": True}])
@pytest.mark.few(1)
def test_the_loss_is_that_of_all_agents_rows(checkout: Any, variant: dict[str, Any]) -> None:
    """The host's loss, from values of single networks on single rows."""
    settings = {"pr_trust": "uniform", "pr_shared_experience": True, "double_q": False, "common_reward": False}
    made, sample = learner(checkout, "iql_ns", **settings, **variant)
    # the host counts the last step of an episode that a limit cut short, whose successor is padding
    sample["filled"][:] = 1
    sample["terminated"][:] = 0
    sample["avail_actions"][:] = 1
    rows, kappa, total = counted(sample), made.reciprocity.config.kappa, 0.0
    with th.no_grad():
        for shift in range(N):
            turned = made.target_mac.wrapped, hosts_streams(sample, shift)
            live = forward(made.mac, turned[1])
            target = forward(made.target_mac.wrapped, turned[1])
            for b, t in rows:
                for j in range(N):
                    i = (j - shift) % N
                    others = [
                        forward(made.target_mac.wrapped, hosts_streams(sample, (k - i) % N))[b, t + 1, k]
                        for k in range(N)
                        if k != j
                    ]
                    after = (1 - kappa) * target[b, t + 1, j] + kappa * sum(others) / (N - 1)
                    y = sample["reward"][b, t, i] + made.args.gamma * after.max()
                    total += (live[b, t, j, sample["actions"][b, t, i, 0]] - y) ** 2
    made.train(sample, 1, 1)
    assert made.logger.stats["loss"][0][1] == pytest.approx(float(total) / (N * N * len(rows)), rel=1e-6)


def hosts_streams(sample: Any, shift: int) -> Any:
    from epymarl_pr.learners.mac import looked_at, streams

    return streams(sample, looked_at([shift], N, sample["obs"].device), slice(0, sample.max_seq_length))


def forward(mac: Any, sample: Any) -> th.Tensor:
    mac.init_hidden(sample.batch_size)
    return th.stack([mac.forward(sample, t) for t in range(sample.max_seq_length)], 1)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_makes_the_difference(checkout: Any, name: str) -> None:
    upstream, left = trained(checkout, name)
    ours, right = trained(checkout, f"{name}_pr", pr_kappa=0.0, pr_shared_experience=True)
    assert same(left, right)
    assert not same(parts(ours)["params"], parts(upstream)["params"])
    trained(checkout, f"{name}_pr", pr_act=True, pr_trust="td", pr_shared_experience=True, use_rnn=True, updates=2)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("maddpg_ns", {}, "pr_shared_experience=True with maddpg_learner: only q_learner"),
        ("iql", {}, "pr_shared_experience=True with agent=rnn"),
    ],
)
def test_where_it_is_refused(checkout: Any, name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        derive.algorithm(checkout, f"{name}_pr", {"pr_shared_experience": True, **settings})
