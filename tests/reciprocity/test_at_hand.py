"""Values that are all at hand are mixed as values that were asked for."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch as th

from marl_pr_common.reciprocity import Reciprocity, ReciprocityConfig

N, CRITICS, BATCH = 4, 3, 5
GRAPH = [[0.0, 2.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0], [0.5, 0.5, 0.5, 0.0]]
"""Agent 1 listens to nobody, agent 2 to itself, too."""
CASES: list[dict[str, Any]] = [
    {},
    {"kappa": 0.3, "peers": "ring"},
    {"normalize": "sum"},
    {"peers": "matrix", "peer_matrix": GRAPH},
    {"peers": "matrix", "peer_matrix": GRAPH, "normalize": "sum", "kappa": 1.0},
    {"trust": "td"},
    {"trust": "td", "peers": "ring"},
    {"min_over": "peer"},
]


def both(config: ReciprocityConfig, said: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """Z* of values at hand, and of the same ones asked for."""
    reciprocity = Reciprocity(config, N, seed=0)
    assert reciprocity.active
    if reciprocity.watches_errors:
        reciprocity.observe_errors(np.random.default_rng(1).uniform(0.1, 2.0, (N, N)))
    own, states = said[:, range(N), range(N)].clone(), th.zeros(N, BATCH, 0, dtype=said.dtype)
    row = th.arange(BATCH)

    def evaluate(_: th.Tensor, peer: th.Tensor) -> th.Tensor:
        batch = row.repeat(peer.shape[1] // BATCH)
        return said[:, th.arange(N)[:, None], peer, batch]

    return reciprocity.value_of_all(own, said, states, record=False), reciprocity.value(own, states, evaluate, False)


@pytest.mark.parametrize("options", CASES)
def test_as_if_they_had_been_asked_for(options: dict[str, Any]) -> None:
    said = th.randn(CRITICS, N, N, BATCH, dtype=th.float64, generator=th.Generator().manual_seed(0))
    got, expected = both(ReciprocityConfig(**{"min_over": "mixture", **options}), said)
    th.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    assert not th.equal(expected[0], said[0, range(N), range(N)])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("options", CASES)
def test_who_says_what_means_nothing_is_left_out(options: dict[str, Any], bad: float) -> None:
    said = th.randn(CRITICS, N, N, BATCH, dtype=th.float64, generator=th.Generator().manual_seed(0))
    said[1, 0, 3, 2] = said[:, 3, 1] = bad
    got, expected = both(ReciprocityConfig(**{"min_over": "mixture", **options}), said)
    th.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12, equal_nan=True)
    assert th.isfinite(got).all()


def test_weights_and_kappa_of_now_count() -> None:
    said = th.randn(1, N, N, BATCH, dtype=th.float64, generator=th.Generator().manual_seed(0))
    reciprocity = Reciprocity(ReciprocityConfig(kappa=0.5, trust="td", min_over="mixture"), N, seed=0)
    own, states = said[:, range(N), range(N)], th.zeros(N, BATCH, 0, dtype=said.dtype)
    found = []
    changes: list[tuple[float, dict[str, Any]]] = [
        (1.0, {}),
        (2.0, {}),
        (2.0, {"kappa": 0.9}),
        (2.0, {"kappa": 0.9, "trust_power": 2.0}),
    ]
    for error, options in changes:
        matrix = np.full((N, N), 1.0)
        matrix[:, 0] = error
        reciprocity.observe_errors(matrix)
        options = {"kappa": 0.5, "trust": "td", "min_over": "mixture", **options}
        reciprocity.configure(ReciprocityConfig(**options))
        found.append(reciprocity.value_of_all(own, said, states, record=False))
    assert reciprocity.errors is not None
    reciprocity.errors[:, 1] = 9.0  # in place, as who restores a state may write
    found.append(reciprocity.value_of_all(own, said, states, record=False))
    assert not any(th.equal(before, after) for before, after in itertools.pairwise(found))
