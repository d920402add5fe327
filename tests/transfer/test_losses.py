"""The transfer loss, its weight, the option labels and the options' ranges, against cases computed by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch as th

from marl_pr_common.transfer.config import MAPTFConfig
from marl_pr_common.transfer.losses import log_policy, option_labels, transfer_loss, transfer_weight


@pytest.mark.parametrize(
    "episode, expected",
    [(0, 0.9975273768), (3000, 0.9525741268), (6000, 0.5), (9000, 0.0474258732), (12000, 0.0024726232)],
)
def test_the_transfer_weight(episode: int, expected: float) -> None:
    assert transfer_weight(episode, 5e-4) == pytest.approx(expected, abs=1e-9)


def test_option_labels() -> None:
    option, action = th.tensor([0, 2, 1]), th.tensor([3, 3, 1])
    greedy = th.tensor([[0, 3, 1], [3, 1, 2], [1, 1, 0]])
    expected = [[1, 1, 0], [1, 0, 1], [1, 1, 0]]
    assert option_labels(option, action, greedy).tolist() == expected


def test_the_transfer_loss_by_hand() -> None:
    advisor = th.tensor([[[0.5, 0.5], [0.9, 0.1]]]).log()
    policy = th.tensor([[[0.25, 0.75], [0.5, 0.5]]]).log()
    imitates = th.tensor([[True, False]])
    expected = -(0.5 * math.log(0.25) + 0.5 * math.log(0.75)) / 2  # the second row is no transfer, and counts as 0
    assert float(transfer_loss(policy, advisor, imitates)) == pytest.approx(expected)


def test_actions_that_an_agent_does_not_have_cost_nothing() -> None:
    available = th.tensor([[[1, 0, 1]]])
    policy = th.zeros(1, 1, 3, requires_grad=True)
    loss = transfer_loss(log_policy(policy, available), log_policy(th.ones(1, 1, 3), available), th.tensor([[True]]))
    assert float(loss.detach()) == pytest.approx(math.log(2))
    loss.backward()
    assert policy.grad is not None
    assert policy.grad.isfinite().all()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"options": "some"}, "options='some' is not one of all, self"),
        ({"option_update_every": 0}, "option_update_every=0: expected an integer >= 1"),
        ({"option_update_every": 2.5}, "option_update_every=2.5: expected an integer"),
        ({"greedy_max": 1.5}, "greedy_max=1.5: expected a finite number > 0 and <= 1"),
        ({"c1": -1.0}, "c1=-1.0: expected a finite number >= 0"),
        ({"option_lr": math.nan}, "option_lr=nan"),
    ],
)
def test_mistakes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MAPTFConfig(**options)
