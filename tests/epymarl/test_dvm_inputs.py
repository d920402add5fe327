"""What teachers are asked and students read: joint observations, states, permuted inputs."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch as th

from tests.epymarl import hosts

N = hosts.N_AGENTS


def test_a_state_that_is_not_the_joint_observation_stays_as_it_is(checkout: Any) -> None:
    from epymarl_pr.transfer.dvm import Source

    made = hosts.learner(checkout, "dvm", obs_individual_obs=True, obs_last_action=True, dvm_minibatches=2)
    hosts.batch(made)
    source = Source(made, made.test_buffer)
    assert source.blocks() == [(7, False), (5, False), (4, False), (12, True)]
    assert source.columns[1].tolist() == [*range(16), *range(20, 28), *range(16, 20)]
    assert made.distil()["policy_loss"] >= 0


def test_a_state_that_once_looks_like_the_joint_observation_is_not_it(
    checkout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from epymarl_pr.transfer.dvm import Source

    monkeypatch.setattr(hosts, "STATE_DIM", N * hosts.OBS_DIM)
    made = hosts.learner(checkout, "dvm")
    hosts.batch(made)
    buffer = made.test_buffer
    for key in ("obs", "state"):
        buffer.data.transition_data[key][0, 0] = 0
    assert Source(made, buffer).blocks()[0] == (15, False)
    buffer.data.transition_data["state"][:] = buffer["obs"].flatten(2)
    assert Source(made, buffer).blocks()[0] == (15, True)


@pytest.mark.parametrize("given", [{}, {"obs_individual_obs": True, "obs_last_action": True}])
def test_teachers_that_are_asked_once_say_what_they_say_when_asked_again(checkout: Any, given: dict[str, Any]) -> None:
    from epymarl_pr.transfer.dvm import Source

    few = {"dvm_batch_size": 16, "dvm_temperature": 2.0, **given}
    once = hosts.learner(checkout, "dvm", dvm_minibatches=4, **few)
    hosts.batch(once)
    source = Source(once, once.test_buffer)
    assert source.said is not None
    first = source.draw(np.random.default_rng(7))
    steps = source.steps(source.index[th.from_numpy(np.random.default_rng(7).integers(len(source.index), size=16))])
    again = source.teachers(steps)
    for answers, others in zip((first.teachers, first.values), again, strict=True):
        assert answers.shape == others.shape
        assert (answers - others).abs().max() < 1e-6
        assert not answers.requires_grad
    rare = hosts.learner(checkout, "dvm", dvm_minibatches=1, **few)
    hosts.batch(rare)
    source = Source(rare, rare.test_buffer)
    assert source.said is None  # more steps than are drawn
    drawn = source.draw(np.random.default_rng(7))
    assert all(map(th.equal, again, (drawn.teachers, drawn.values)))


@pytest.mark.parametrize("given", [{}, {"obs_individual_obs": True}, {"obs_last_action": True}])
def test_the_critics_student_reads_what_the_hosts_critics_read(checkout: Any, given: dict[str, Any]) -> None:
    from epymarl_pr.transfer.dvm import Source

    made = hosts.learner(checkout, "dvm", **given)
    hosts.batch(made)
    source = Source(made, made.test_buffer)
    steps = source.steps(source.index)
    host = copy.copy(made.critic.wrapped if hasattr(made.critic, "wrapped") else made.critic)
    host.critics = source.student_critics
    actions = steps["joint"][:, None, None].expand(-1, 1, N, -1)
    with th.no_grad():
        expected = host(made._build_inputs(steps, 1), actions)[:, 0, :, 0].T
        found = source.student_values(steps)
    assert found.shape == (N, len(source.index))
    assert (found - expected).abs().max() < 1e-6
    assert (found[0] - found[1]).abs().max() > 1e-4


def test_a_student_that_reads_permuted_inputs_learns_the_same(checkout: Any) -> None:
    """Permuting the columns of the first layer is permuting x, in values and in gradients."""
    from epymarl_pr.transfer.dvm import SelfFirst

    student = hosts.learner(checkout, "dvm").pr_dvm.critic.double()
    x = th.randn(30, 1, student.fc1.in_features, dtype=th.double)
    columns = th.randperm(x.shape[-1])
    ways = [lambda: SelfFirst(student, columns)(x), lambda: student(x[..., columns])]
    values, gradients = zip(
        *[(ask(), th.autograd.grad((ask() ** 2).sum(), list(student.parameters()))) for ask in ways], strict=True
    )
    assert (values[0] - values[1]).abs().max() < 1e-12
    for one, other in zip(*gradients, strict=True):
        assert (one - other).abs().max() < 1e-10
    assert (student(x) - values[0]).abs().max() > 1e-3
