"""The control "as many own critics" for MADDPG: further critics, trained by the host's own code on the same target."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch as th

from epymarl_pr.launch.errors import UsageError
from epymarl_pr.resume.state import learner_state, restore_learner
from tests.epymarl import hosts
from tests.epymarl.test_identical import same

NAMES = ["maddpg", "maddpg_ns", "maptf"]


def made(checkout: Any, name: str, **changes: Any) -> Any:
    return hosts.learner(checkout, f"{name}_pr", pr_own_critics=True, **changes)


def state(critic: Any) -> Any:
    return copy.deepcopy(critic.state_dict())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("settings", [{}, {"common_reward": False}, {"target_update_interval_or_tau": 0.1}])
def test_every_critic_is_trained_as_the_first(checkout: Any, name: str, settings: dict[str, Any]) -> None:
    learner = made(checkout, name, **settings)
    others = learner.pr_others.learners
    assert len(others) == hosts.N_AGENTS - 1
    assert not same(state(others[0].critic), state(others[1].critic)), "an ensemble has different first weights"
    twin = others[0]
    twin.critic.load_state_dict(learner.critic.state_dict())
    sample, started, other = hosts.batch(learner), state(learner.critic), state(others[1].critic)
    for update in range(3):
        learner.train(sample, update + 1, update + 1)
        # the same first weights, the same data and the same target, by the same code: the same critic
        assert same(state(twin.critic), state(learner.critic))
    assert not same(state(learner.critic), started)
    assert not same(state(others[1].critic), other)


@pytest.mark.parametrize("name", NAMES)
def test_the_target_is_the_mixture_of_the_own_critics(checkout: Any, name: str) -> None:
    learner = made(checkout, name, pr_kappa=0.3)
    sample = hosts.batch(learner)
    inputs = learner._build_inputs(sample)[:, 1:]
    shape = (*inputs.shape[:3], hosts.N_AGENTS * hosts.N_ACTIONS)
    actions = th.rand(shape, generator=th.Generator().manual_seed(0))
    learner.target_critic.filled = sample["filled"][:, 1:]
    own = learner.target_critic.wrapped(inputs, actions)
    others = [target(inputs, actions) for target in learner.pr_others.targets]
    expected = 0.7 * own + 0.3 * sum(others) / len(others)
    filled = sample["filled"][:, 1:, None].bool().expand_as(own)
    for target in (learner.target_critic, *(one.target_critic for one in learner.pr_others.learners)):
        th.testing.assert_close(target(inputs, actions)[filled], expected[filled])


def test_targets_follow_their_own_critics(checkout: Any) -> None:
    learner = made(checkout, "maddpg_ns", target_update_interval_or_tau=1.0)
    sample = hosts.batch(learner)
    learner.train(sample, 1, 1)
    for one in learner.pr_others.learners:
        assert same(state(one.target_critic), state(one.critic))
        assert same(list(one.target_mac.parameters()), list(learner.target_mac.parameters()))


def test_the_actor_is_trained_by_the_first_critic_alone(checkout: Any) -> None:
    """Nothing of the further critics' training reaches the actors but their part in the target."""
    learner, upstream = made(checkout, "maddpg_ns", pr_kappa=0.0), hosts.learner(checkout, "maddpg_ns")
    upstream.mac.load_state(learner.mac)
    upstream.target_mac.load_state(learner.mac)
    for critic in (upstream.critic, upstream.target_critic):
        critic.load_state_dict(learner.critic.state_dict())
    sample = hosts.batch(learner)
    learner.pr_others.train(sample, 1, 1)
    for one in (learner, upstream):
        th.manual_seed(5)
        if one is learner:
            one.pr_others.learners.clear()  # they draw random numbers
        one.train(sample, 1, 1)
    assert same(list(learner.mac.parameters()), list(upstream.mac.parameters()))
    assert same(state(learner.critic), state(upstream.critic))


def test_with_the_actors_part_the_gradient_goes_through_all(checkout: Any) -> None:
    learner = made(checkout, "maddpg_ns", pr_in_actor=True)
    inputs = learner._build_inputs(sample := hosts.batch(learner))[:, :-1]
    learner.critic.filled = sample["filled"][:, :-1]
    shape = (*inputs.shape[:3], hosts.N_AGENTS * hosts.N_ACTIONS)
    leaf = th.rand(shape, generator=th.Generator().manual_seed(0)).requires_grad_()
    (found,) = th.autograd.grad(learner.critic(inputs, leaf).sum(), leaf)
    own = th.autograd.grad(learner.critic.wrapped(inputs, leaf).sum(), leaf)[0]
    others = [th.autograd.grad(target(inputs, leaf).sum(), leaf)[0] for target in learner.pr_others.targets]
    filled = sample["filled"][:, :-1, None].bool().expand_as(own)
    th.testing.assert_close(found[filled], (0.5 * own + 0.5 * sum(others) / len(others))[filled])


def test_a_complete_checkpoint_holds_them(checkout: Any) -> None:
    first, second = (made(checkout, "maddpg_ns", seed=seed) for seed in (3, 4))
    sample = hosts.batch(first)
    first.train(sample, 1, 1)
    restore_learner(second, copy.deepcopy(learner_state(first)))  # an optimiser keeps the tensors it is given
    for learner in (first, second):
        th.manual_seed(7)
        learner.train(sample, 2, 2)
    assert same(learner_state(second), learner_state(first))
    critics = [state(one.critic) for one in second.pr_others.learners]
    assert same(critics, [state(one.critic) for one in first.pr_others.learners])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("qmix", {}, "pr_own_critics=True with q_learner: only maddpg_learner"),
        ("maddpg", {"pr_adjacency": "noise"}, "pr_adjacency=noise: own critics need pr_adjacency=same"),
        ("maddpg", {"pr_peers": "ring"}, "own critics need pr_peers=complete"),
    ],
)
def test_what_has_no_meaning_is_refused(checkout: Any, name: str, settings: dict[str, Any], message: str) -> None:
    from epymarl_pr.launch import derive

    with pytest.raises(UsageError, match=message):
        derive.algorithm(checkout, f"{name}_pr", {"pr_own_critics": True, **settings})
