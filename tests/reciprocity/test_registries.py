"""Every option's choices are a registry's names, and what is added to a registry is used."""

from typing import get_args

import pytest
import torch as th

from marl_pr_common.reciprocity import Reciprocity, ReciprocityConfig, adjacency, ask, config, peers, weights

N, BATCH, DIM = 3, 5, 2


@pytest.mark.parametrize(
    ("registry", "choices"),
    [
        (adjacency.STRATEGIES, config.Adjacency),
        (adjacency.METRICS, config.Metric),
        (ask.ESTIMATORS, config.Estimator),
        (ask.JOINT, config.Estimator),
        (peers.GRAPHS, config.Peers),
        (weights.NORMALISATIONS, config.Normalize),
        ({**weights.TRUST, **weights.RULES}, config.Trust),
    ],
)
def test_choices_are_the_names_of_the_registry(registry, choices):
    assert set(registry) == set(get_args(choices))


def batch():
    generator = th.Generator().manual_seed(0)
    return th.randn(1, N, BATCH, generator=generator), th.randn(N, BATCH, DIM, generator=generator)


class Shifted(adjacency.Strategy):
    """All coordinates one larger."""

    def propose(self, seen, changeable):
        found = seen.states.expand(self.config.n_adjacent, -1, -1, -1) + 1
        return found, th.ones_like(found[..., 0])


@pytest.mark.parametrize("masks", [None, [[True, True], [True, False], [False, True]]])
def test_a_new_strategy_is_one_class(masks, monkeypatch):
    monkeypatch.setitem(adjacency.STRATEGIES, "drop", Shifted)
    own, states = batch()
    reciprocity = Reciprocity(ReciprocityConfig(adjacency="drop", include_self=False), N, 0, masks)
    asked = []
    reciprocity.value(own, states, lambda s, peer: (asked.append(s), own)[1])
    assert len(asked) == N - 1
    for shift, seen in enumerate(asked, 1):
        peer = (th.arange(N) + shift) % N
        kept = th.ones(N, DIM).bool() if masks is None else th.tensor(masks) | ~th.tensor(masks)[peer]
        assert th.equal(seen.isclose(states + 1).all(1), kept)


def nearest_value(graph, own, values, states):
    """Only the peer whose value is next to the own one."""
    gap = (values - own[:, :, None, None]).abs().mean((0, 3)).masked_fill(graph[:, :, None] == 0, th.inf)
    return th.nn.functional.one_hot(gap.argmin(1), N).transpose(1, 2).to(own)


def test_a_new_rule_for_peers_weights_is_one_function(monkeypatch):
    monkeypatch.setitem(weights.RULES, "nearest", nearest_value)
    own, states = batch()
    reciprocity = Reciprocity(ReciprocityConfig(kappa=1.0), N, 0)
    reciprocity.rule = "nearest"
    found = reciprocity.value(own, states, lambda s, peer: own[:, peer, th.arange(BATCH)])[0]
    for i in range(N):
        for b in range(BATCH):
            others = [own[0, j, b] for j in range(N) if j != i]
            assert found[i, b] == min(others, key=lambda value: abs(value - own[0, i, b]))
