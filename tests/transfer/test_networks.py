"""MAPTF's networks and optimisers: layers, learning rates and their parameters, clips, minibatches, options kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from torch import nn

from marl_pr_common.transfer.chooser import OptionChooser
from marl_pr_common.transfer.config import MAPTFConfig
from marl_pr_common.transfer.option_learner import OptionLearner
from tests.transfer.made_up import GAMMA, learner, rows


def layers(module: nn.Module) -> list[Any]:
    """Sizes of linear layers and names of activations, in order."""
    found = module if isinstance(module, nn.Sequential) else [module]
    return [
        (part.in_features, part.out_features, part.bias is not None)
        if isinstance(part, nn.Linear)
        else type(part).__name__
        for part in found
    ]


def test_every_layer() -> None:
    net = OptionLearner(10, 3, GAMMA, MAPTFConfig(), [0]).network
    assert layers(net.encoder) == [(10, 64, True), "ReLU", (64, 32, True)]
    assert layers(net.decoder) == [(32, 64, True), "ReLU", (64, 10, True)]
    assert layers(net.preferences) == [(32, 3, False)]
    assert layers(net.trunk) == [(32, 128, True), "ReLU6", (128, 128, True), "ReLU6"]
    assert layers(net.successor) == [(128, 3 * 3 * 32, True)]
    assert layers(net.termination) == [(128, 3 * 3, True)]


def test_terminations_are_sigmoids_on_the_trunk() -> None:
    made = learner()
    with th.no_grad():
        features, successor, beta = made.network(th.ones(1, 3))
        hidden = made.network.trunk(features)
        assert th.equal(beta.flatten(), made.network.termination(hidden).sigmoid().flatten())
        assert th.equal(successor.flatten(), made.network.successor(hidden).flatten())


def test_which_optimiser_trains_what_and_how_fast() -> None:
    made = learner(option_lr=1e-3, termination_lr=2e-3, reward_lr=3e-3)
    parts = {
        "successor": (1e-3, {"trunk", "successor"}),
        "termination": (2e-3, {"trunk", "termination"}),
        "reward": (3e-3, {"encoder", "decoder", "preferences"}),
    }
    assert made.optimisers.keys() == parts.keys()
    for name, (lr, expected) in parts.items():
        (group,) = made.optimisers[name].param_groups
        trained = {id(parameter) for parameter in group["params"]}
        wanted = {id(p) for key, p in made.network.named_parameters() if key.split(".")[0] in expected}
        assert (group["lr"], trained) == (lr, wanted)


def test_the_clips_and_the_size_of_minibatches(monkeypatch: pytest.MonkeyPatch) -> None:
    made, clips, sizes = learner(option_batch_size=13, option_start=0), [], []
    step, sample = made._step, made.replay.sample
    monkeypatch.setattr(made, "_step", lambda name, loss, clip: (clips.append((name, clip)), step(name, loss, clip)))
    monkeypatch.setattr(made.replay, "sample", lambda rng, n: (sizes.append(n), sample(rng, n))[1])
    made.observe(rows(10))
    assert clips == [("termination", 10.0), ("successor", 10.0), ("reward", 0.2)]
    assert sizes == [13]


@pytest.mark.parametrize("name", ["termination", "successor", "reward"])
def test_gradients_are_clipped_by_their_norm(name: str) -> None:
    made, norms = learner(), []
    optimiser = made.optimisers[name]
    parameters = optimiser.param_groups[0]["params"]
    optimiser.register_step_pre_hook(
        lambda *_: norms.append(float(th.cat([p.grad.flatten() for p in parameters]).norm()))
    )
    loss = getattr(made, f"{name}_loss")
    batch = rows(20)
    for clip in (1e6, 1e-3):
        made._step(name, loss(batch), clip)
    assert norms[0] > 1e-3
    assert norms[1] == pytest.approx(1e-3, rel=1e-2)


def test_the_termination_is_that_of_the_option_which_is_followed() -> None:
    """Option 0 of every agent ends at once, the others never: who follows 0 is the only one to choose anew."""
    made = learner(n_agents=3)
    made.network.termination.weight.data.zero_()
    made.network.termination.bias.data = th.tensor([60.0, -60.0, -60.0]).repeat(3)
    acting, obs = OptionChooser(made.network, 3, made.config, [5]), th.randn(200, 3, 3)
    acting.begin(200)
    first, second = acting.choose(obs), acting.choose(obs)
    assert (second[first != 0] == first[first != 0]).all()
    assert np.bincount(second[first == 0], minlength=3).min() > 30
    rate = acting.pop_statistics()["termination_rate"]
    assert rate == pytest.approx((first == 0).mean())


def test_greedy_chances_are_those_before_a_round_of_episodes() -> None:
    acting = OptionChooser(learner().network, 2, MAPTFConfig(greedy_step=0.005), [0])
    found = []
    for _ in range(3):
        acting.begin(4)
        found.append(acting._greedy)
    assert found == pytest.approx([0, 0.02, 0.04])
    assert acting.episodes == 12


def test_the_share_of_no_transfer() -> None:
    acting = OptionChooser(learner().network, 2, MAPTFConfig(), [0])
    acting.counts[:] = [[3, 1], [2, 4]]
    acting.ended[:] = 1, 4
    found = acting.pop_statistics()
    assert found == {"option_0": 0.5, "option_1": 0.5, "option_self": 0.7, "termination_rate": 0.25}
