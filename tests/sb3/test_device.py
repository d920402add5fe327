"""What an update reads from a device: what the docs say beside upstream's reads; and no generator of another device."""

import copy
from collections import Counter
from typing import Any

import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import DDPG, SAC, TD3
from torch.overrides import TorchFunctionMode

from marl_pr_common.reciprocity import guards
from marl_pr_common.reciprocity.ask import draw
from marl_pr_common.reciprocity.stand_in import by_peer
from sb3_pr import DDPGPR, SACPR, TD3PR, streams

PAIRS = {TD3PR: TD3, DDPGPR: DDPG, SACPR: SAC}
NETS = {"net_arch": [8], "optimizer_kwargs": {"fused": True}}  # the other Adam reads its counters


def settings() -> dict[str, Any]:
    """Anew for each model: SAC writes into its policy's."""
    nets = copy.deepcopy(NETS)
    return {"policy_kwargs": nets, "learning_starts": 20, "batch_size": 16, "device": "cpu", "seed": 0}


WAITS = {
    *("item", "tolist", "cpu", "__bool__", "__float__", "__int__", "__index__", "__array__"),
    *("nonzero", "masked_select", "unique", "equal", "allclose", "is_nonzero"),
}
"""Functions of tensors whose result the host has to wait for."""


class Waits(TorchFunctionMode):
    """Counts calls that would wait for a device."""

    def __init__(self):
        super().__init__()
        self.counted = Counter()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in WAITS or (name == "__getitem__" and any(_is_mask(index) for index in args[1:])):
            self.counted[name] += 1
        return func(*args, **(kwargs or {}))


def _is_mask(index):
    return isinstance(index, th.Tensor) and index.dtype == th.bool


def waits_per_update(model):
    """Of 16 more updates, without what a call of train() costs once."""
    found = []
    for updates in (16, 32):  # both have as many of the updates that log
        with Waits() as mode:
            model.train(gradient_steps=updates, batch_size=16)
        found.append(mode.counted)
    return {name: (found[1][name] - found[0][name]) / 16 for name in set(found[0]) | set(found[1])}


OPTIONS: list[tuple[dict[str, Any], int]] = [
    ({"kappa": 0.0}, 0),
    ({}, 0),
    ({"adjacency": "noise", "n_adjacent": 3}, 0),
    ({"estimator": "sampled"}, 1),  # who is asked is drawn there, and rows are grouped by it here
    ({"estimator": "one_voice"}, 2),  # the same, and whether every value is finite
    ({"trust": "td"}, 0),
    ({"shared_replay": True}, 0),
    ({"own_critics": True}, 0),
    ({"kappa": 0.0, "n_teams": 2}, 0),
    ({"trust": "td", "n_teams": 2}, 0),
]
"""Of three agents, and how often more than upstream an update waits."""
CASES = [
    *((TD3PR, options, more) for options, more in OPTIONS),
    (DDPGPR, {}, 0),
    (SACPR, {}, 0),
    (SACPR, {"trust": "td", "n_teams": 2}, 0),
]


@pytest.mark.parametrize("ours, options, more", CASES, ids=str)
@pytest.mark.parametrize("guarded", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_update_waits_for_the_device_as_often_as_is_said(ours, options, more, guarded, monkeypatch):
    monkeypatch.setattr(guards, "at_hand", lambda tensor: False)  # every tensor counts as one of an accelerator
    upstream = PAIRS[ours]("MlpPolicy", "Pendulum-v1", **settings()).learn(40)
    model = ours("MlpPolicy", "Pendulum-v1", n_agents=3, guards=guarded, **options, **settings())
    model.learn(40 * 3 * options.get("n_teams", 1))
    allowed, found = waits_per_update(upstream), waits_per_update(model)
    assert sum(allowed.values()) >= 1.5  # upstream reads its losses: what is counted is counted
    if guarded:  # one for each step of an optimiser: it is not made with a gradient that is not finite
        more += 1.5 if ours is TD3PR else 2 if ours is DDPGPR else 3
    assert sum(found.values()) <= sum(allowed.values()) + more + 0.2, (found, allowed)  # some every tenth update


@pytest.mark.parametrize("expanded", [True, False])
def test_what_is_asked_there_is_what_is_asked_here(expanded, monkeypatch):
    peer = th.tensor([[1, 2, 1, 0], [0, 0, 2, 2], [2, 1, 0, 1]])
    if expanded:
        peer = th.tensor([[1], [2], [0]]).expand(3, 4)
    rows = th.arange(12.0).view(3, 4)

    def regrouped():
        groups = by_peer(peer)
        answers = groups.take(rows) + 100 * th.arange(3)  # whoever looks at a row adds its own number
        return groups.put(answers)

    here = regrouped()
    weights = th.tensor([[0.0, 0.4, 0.6], [1.0, 0.0, 0.0], [0.3, 0.7, 0.0]], dtype=th.float64)
    drawn = draw(weights, 64, th.Generator().manual_seed(0))
    monkeypatch.setattr(guards, "at_hand", lambda tensor: False)
    assert th.equal(regrouped(), here)
    assert th.equal(here, rows + 100 * peer)
    assert th.equal(draw(weights, 64, th.Generator().manual_seed(0)), drawn)


def test_generators_of_teams_are_on_the_models_device(monkeypatch):
    class Generator:
        def __init__(self, device="cpu"):
            self.device = th.device(device)

        def manual_seed(self, seed):
            self.seed = seed

    monkeypatch.setattr(th, "Generator", Generator)
    own = streams.Streams([3, 4], 2, th.device("cuda", 0), spaces.Discrete(2))
    assert [(str(generator.device), generator.seed) for generator in own.on_device] == [("cuda:0", 3), ("cuda:0", 4)]
    assert {str(generator.device) for generator in own.on_cpu} == {"cpu"}
