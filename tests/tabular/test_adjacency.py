"""Adjacency spaces against all pairs; Remark 1's number; other metrics; bad input."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from marl_pr_common.envs import ObsSpace
from marl_pr_common.tabular import adjacency, adjacency_from_features

ABC = ObsSpace((2, 3, 3, 2), (True, True, True, False), (True, True, False, False))
ABD = ObsSpace((2, 3, 3, 2), (True, True, False, True), (True, True, False, False))


def rho(a: ObsSpace, s: int, b: ObsSpace, x: int, metric: str, missing: str) -> float:
    """Definition 2 by hand; features that one side does not see are -1 in ``decode``."""
    total = 0.0
    for k, (u, v) in enumerate(zip(a.decode(s).tolist(), b.decode(x).tolist(), strict=True)):
        if a.keep[k] != b.keep[k]:
            total += missing == "count"
        elif a.keep[k] and u != v:
            total += 1 if metric == "l0" else (abs(u - v) if a.ordinal[k] else math.inf)
    return total


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("metric", ["l0", "ordinal"])
@pytest.mark.parametrize("missing", ["ignore", "count"])
def test_against_all_pairs(level: int, metric: str, missing: str) -> None:
    for a, b in itertools.product([ABC, ABD], repeat=2):
        built = adjacency(a, b, level, 2.0, metric, missing).toarray()
        for s, x in itertools.product(range(a.n_states), range(b.n_states)):
            distance = rho(a, s, b, x, metric, missing)
            expected = math.exp(-distance / 2.0) if distance <= level else 0.0
            assert built[s, x] == pytest.approx(expected, abs=1e-15)


def test_remark_1() -> None:
    """s = [a, b, c] and s# = [a, b, d] are at distance 2 when what only one sees counts, and 0 when it is ignored."""
    s, x = int(ABC.encode([1, 2, 2, 0])), int(ABD.encode([1, 2, 0, 1]))
    assert adjacency(ABC, ABD, 1, missing="count").toarray()[s, x] == 0
    assert adjacency(ABC, ABD, 2, missing="count").toarray()[s, x] == pytest.approx(math.exp(-2))
    assert adjacency(ABC, ABD, 0).toarray()[s, x] == 1


def test_adjacent_digits() -> None:
    """|i - j| <= 1, clipped at the ends; under l0 every digit is adjacent."""
    digits = ObsSpace((20,), ordinal=(True,))
    near = adjacency(digits, digits).toarray() > 0
    assert (near == (abs(np.subtract.outer(np.arange(20), np.arange(20))) <= 1)).all()
    assert (adjacency(digits, digits, metric="l0").toarray() > 0).all()
    assert np.trace(adjacency(digits, digits, include_self=False).toarray()) == 0


def test_features() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 3)), rng.normal(size=(9, 3))
    distance = np.linalg.norm(a[:, None] - b[None], axis=-1)
    expected = np.where(distance <= 1.5, np.exp(-distance), 0)
    np.testing.assert_allclose(adjacency_from_features(a, b, 1.5).toarray(), expected)
    cosine = 1 - (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    built = adjacency_from_features(a, b, 0.3, math.inf, "cosine").toarray()
    np.testing.assert_array_equal(built > 0, cosine <= 0.3)
    own = adjacency_from_features(a, b, 2.0, metric=lambda x, y: abs(x[:, None, 0] - y[None, :, 0])).toarray()
    np.testing.assert_array_equal(own > 0, abs(a[:, :1] - b[:, 0]) <= 2.0)
    assert np.trace(adjacency_from_features(a, a, 1.0, include_self=False).toarray()) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: adjacency(ABC, ObsSpace((2, 3))), "two views of the same global state"),
        (lambda: adjacency(ABC, ABD, level=-1), "level=-1"),
        (lambda: adjacency(ABC, ABD, temperature=0.0), "temperature=0"),
        (lambda: adjacency_from_features(np.ones((2, 3)), np.ones((2, 2)), 1.0), "expected"),
        (lambda: adjacency_from_features(np.ones((2, 3)), np.ones((2, 3)), -1.0), "radius=-1"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
