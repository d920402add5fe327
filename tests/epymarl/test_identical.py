"""Off is off: with ``pr_kappa=0`` a learner is upstream's, bit for bit, whatever else is set."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch as th

from tests.epymarl import hosts


def trained(checkout: Any, name: str, updates: int = 4, **changes: Any) -> tuple[Any, dict[str, Any]]:
    """A learner after some updates, and the random states that it leaves behind."""
    made = hosts.learner(checkout, name, **changes)
    random.seed(5)
    samples = [hosts.batch(made, seed) for seed in range(updates)]
    np.random.seed(7)
    th.manual_seed(7)
    for step, sample in enumerate(samples):
        made.train(sample, 10 * (step + 1), step)
    generators = {"torch": th.get_rng_state(), "numpy": np.random.get_state()[1:3], "python": random.getstate()}
    return made, generators


def parts(made: Any) -> dict[str, Any]:
    """Everything that a learner keeps: networks, targets, optimisers, running statistics, counters, logs."""
    found: dict[str, Any] = {"stats": dict(made.logger.stats), "warnings": made.logger.warnings}
    for name, value in vars(made).items():
        value = getattr(value, "wrapped", value)
        if name.startswith("pr_") or name in ("args", "logger", "reciprocity", "test_buffer"):
            continue
        if isinstance(value, (int, float)):
            found[name] = value
        elif isinstance(value, th.optim.Optimizer):
            found[name] = value.state_dict()
        elif isinstance(value, list):
            found[name] = value
        elif hasattr(value, "count"):
            found[name] = vars(value)
        else:
            found[name] = [module.state_dict() for module in hosts.modules(value) if isinstance(module, th.nn.Module)]
    return found


def same(left: Any, right: Any) -> bool:
    if isinstance(left, th.Tensor):
        return th.equal(left, right)
    if isinstance(left, np.ndarray):
        return np.array_equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right) or (left != left and right != right)


CORNERS = [(2, True), (0.1, False), (2, False), (0.1, True)]
"""Hard or soft target updates, recurrent or not. Every learner meets all four, every algorithm one or two."""


@pytest.mark.parametrize(
    "name, target, recurrent",
    [(name, *CORNERS[(k + k // 4) % 4]) for k, name in enumerate(hosts.ALGORITHMS)],
)
@pytest.mark.few(5)
def test_kappa_0_is_upstream(checkout: Any, name: str, target: float, recurrent: bool) -> None:
    shared = {"target_update_interval_or_tau": target, "use_rnn": recurrent}
    upstream, left = trained(checkout, name, **shared)
    ours, right = trained(checkout, f"{name}_pr", **shared, pr_kappa=0.0, pr_adjacency="resample")
    assert same(left, right)
    found, expected = parts(ours), parts(upstream)
    assert found.keys() == expected.keys()
    for key in expected:
        assert same(found[key], expected[key]), key
    assert type(ours).train is not type(upstream).train


@pytest.mark.parametrize("name", ["qmix_ns", "mappo_ns", "maddpg_ns"])
def test_kappa_is_what_makes_the_difference(checkout: Any, name: str) -> None:
    shared = {"target_update_interval_or_tau": 2}
    upstream, left = trained(checkout, name, **shared)
    ours, right = trained(checkout, f"{name}_pr", **shared, pr_kappa=0.5, pr_adjacency="resample")
    assert same(left, right)  # PR draws from a generator of its own
    optimiser = "critic_optimiser" if hasattr(ours, "critic") else "optimiser"
    assert not same(parts(ours)[optimiser], parts(upstream)[optimiser])


@pytest.mark.parametrize("peers", [{"pr_peers": "matrix", "pr_peer_matrix": [[0.0] * 3] * 3}])
@pytest.mark.parametrize("name", ["qmix_ns", "mappo_ns", "maddpg_ns"])
def test_no_peers_is_upstream(checkout: Any, name: str, peers: dict[str, Any]) -> None:
    upstream, left = trained(checkout, name)
    ours, right = trained(checkout, f"{name}_pr", pr_kappa=0.5, **peers)
    assert same(left, right)
    assert same(parts(ours), parts(upstream))
