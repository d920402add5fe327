"""DVM's second phase: what the losses are, what P_i does, and that students become their teachers."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch as th
from torch import nn

from marl_pr_common.transfer.config import DVMConfig
from marl_pr_common.transfer.distillation import (
    Distillation,
    Minibatch,
    load_self_first,
    policy_distillation_loss,
    self_first,
    value_matching_loss,
)


def network(inputs: int, outputs: int) -> nn.Sequential:
    with th.random.fork_rng(devices=[]):
        th.manual_seed(inputs + outputs)
        return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))


def test_the_losses_by_hand() -> None:
    teachers = th.tensor([[[0.5, 0.5]], [[0.9, 0.1]]]).log()
    students = th.tensor([[[0.25, 0.75]], [[0.9, 0.1]]]).log()
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert float(policy_distillation_loss(teachers, students)) == pytest.approx(expected)
    values, found = th.tensor([[1.0, 2.0], [0.0, 0.0]]), th.tensor([[2.0, 4.0], [1.0, 0.0]])
    assert float(value_matching_loss(values, found)) == pytest.approx((1 + 4) / 2 + 1 / 2)


def test_what_stands_first() -> None:
    blocks = [(6, True), (2, False), (3, True)]  # three agents: observations of two, something else, actions of one
    assert self_first(0, 3, blocks).tolist() == list(range(11))
    assert self_first(1, 3, blocks).tolist() == [2, 3, 4, 5, 0, 1, 6, 7, 9, 10, 8]
    assert self_first(2, 3, blocks).tolist() == [4, 5, 0, 1, 2, 3, 6, 7, 10, 8, 9]


@pytest.mark.parametrize("n_agents", [2, 3, 6])
def test_distilled_critics_do_not_mind_who_is_called_what(n_agents: int) -> None:
    """Shift the names of all agents by k: agent i + k's critic then says what agent i's said before."""
    blocks = [(4 * n_agents, True), (5 * n_agents, True)]
    distilled = network(9 * n_agents, 1)
    critics = [copy.deepcopy(distilled) for _ in range(n_agents)]
    for i, critic in enumerate(critics):
        load_self_first(critic, distilled, self_first(i, n_agents, blocks))
    seen = th.randn(50, n_agents, 4, generator=th.Generator().manual_seed(0))
    acted = th.randn(50, n_agents, 5, generator=th.Generator().manual_seed(1))

    def values(shift: int) -> th.Tensor:
        x = th.cat([seen.roll(shift, 1).flatten(1), acted.roll(shift, 1).flatten(1)], 1)
        return th.cat([critic(x) for critic in critics], 1)

    with th.no_grad():
        before = values(0)
        assert (before.std(1) > 1e-3).all()  # agents in different places are valued differently
        for shift in range(1, n_agents):
            assert (values(shift) - before.roll(shift, 1)).abs().max() < 1e-5
        for i, critic in enumerate(critics):
            x = th.cat([seen.flatten(1), acted.flatten(1)], 1)
            assert (critic(x) - distilled(x[:, self_first(i, n_agents, blocks)])).abs().max() < 1e-5


def test_students_become_their_teachers() -> None:
    """All teachers are one and the same here, so that the students can agree with all of them."""
    teacher, judge = network(6, 4), network(9, 1)
    config = DVMConfig(minibatches=600, batch_size=64)
    made = Distillation(copy.deepcopy(teacher), copy.deepcopy(judge), config, 3e-3, [0])
    assert not any(map(th.equal, made.actor.parameters(), teacher.parameters()))

    def draw(rng: np.random.Generator) -> Minibatch:
        obs = th.from_numpy(rng.normal(size=(3, config.batch_size, 6))).float()
        joint = th.from_numpy(rng.normal(size=(3, config.batch_size, 9))).float()
        with th.no_grad():
            answers, values = teacher(3 * obs).log_softmax(-1), judge(joint)[..., 0]
        return Minibatch(answers, made.actor(3 * obs).log_softmax(-1), values, made.critic(joint)[..., 0])

    found = made.run(draw)
    assert found["policy_loss"] < 0.05 * found["policy_loss_first"]
    assert found["value_loss"] < 0.1 * found["value_loss_first"]
    assert made.rounds == 1


def test_every_round_begins_with_fresh_optimisers_of_that_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Distillation(network(3, 2), network(3, 1), DVMConfig(minibatches=2), 0.02, [0])
    optimisers: list[th.optim.Adam] = []

    class Watched(th.optim.Adam):
        def __init__(self, *args: Any, **kwargs: Any):
            super().__init__(*args, **kwargs)
            optimisers.append(self)

    def draw(rng: np.random.Generator) -> Minibatch:
        x = th.from_numpy(rng.normal(size=(2, 8, 3))).float()
        return Minibatch(
            th.full((2, 8, 2), 0.5).log(), made.actor(x).log_softmax(-1), x.sum(-1), made.critic(x)[..., 0]
        )

    monkeypatch.setattr(th.optim, "Adam", Watched)
    for _ in range(2):
        made.run(draw)
    assert len(optimisers) == 4
    for optimiser, owner in zip(optimisers, [made.actor, made.critic] * 2, strict=True):
        (group,) = optimiser.param_groups
        assert group["lr"] == 0.02
        assert list(map(id, group["params"])) == list(map(id, owner.parameters()))
        assert [int(state["step"]) for state in optimiser.state.values()] == [2] * 4  # of this round alone


def test_no_global_generator_is_used_and_a_checkpoint_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = network(3, 2), network(3, 1)
    seeded: list[int] = []
    monkeypatch.setattr(th.cuda, "manual_seed_all", seeded.append)
    th.manual_seed(4)
    assert seeded == [4]  # what th.manual_seed does to every CUDA device
    state = th.get_rng_state()
    one, other = (Distillation(*copy.deepcopy(layers), DVMConfig(), 1e-3, [seed]) for seed in (0, 1))
    assert th.equal(state, th.get_rng_state())
    assert seeded == [4]
    assert not th.equal(one.actor[0].weight, other.actor[0].weight)
    other.load_state_dict(one.state_dict())
    assert all(map(th.equal, one.actor.parameters(), other.actor.parameters()))
    assert one.rng.integers(1000) == other.rng.integers(1000)
