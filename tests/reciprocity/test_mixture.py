"""Eq. 4 and 12 as pure functions: against three plain loops, and the properties that make them safe."""

import dataclasses

import numpy as np
import pytest
import torch as th
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from marl_pr_common.reciprocity import ReciprocityConfig, mixture, weights
from tests.reciprocity import brute_force

FINITE = st.floats(-1e3, 1e3, allow_nan=False, width=64)


@st.composite
def problems(draw, nan=False):
    """Values of up to 5 agents, 4 adjacent states and 3 rows; a random weighted graph, agents alone included."""
    n, a, batch = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    own = draw(hnp.arrays(np.float64, (n, batch), elements=FINITE))
    values = draw(hnp.arrays(np.float64, (n, n, a, batch), elements=FINITE))
    graph = draw(hnp.arrays(np.float64, (n, n), elements=st.sampled_from([0.0, 1.0, 2.5])))
    distance = draw(hnp.arrays(np.float64, (n, a, batch), elements=st.sampled_from([0.0, 1.0, 2.0, 7.5])))
    kappa = draw(st.floats(0, 1))
    return own, values, graph, distance, kappa


def state_weights(distance, kind="exponential"):
    return mixture.adjacency_weights(th.as_tensor(distance), kind).numpy()


def solve(own, values, graph, distance, config):
    """NumPy arrays in, NumPy array out."""
    near = mixture.adjacency_weights(th.as_tensor(distance), config.weights, config.temperature, axis=1)
    matrix = weights.NORMALISATIONS[config.normalize].rows(graph)
    own, values, matrix = (th.as_tensor(x) for x in (own, values, matrix))
    return mixture.reciprocal_value(own, values, matrix, near, config).numpy()


@given(problems(), st.sampled_from(["exponential", "uniform"]), st.sampled_from(["mean", "sum"]))
def test_equals_three_plain_loops(problem, kind, normalize):
    own, values, graph, distance, kappa = problem
    config = ReciprocityConfig(kappa=kappa, weights=kind, normalize=normalize, temperature=1.7)
    expected = brute_force.reciprocal_value(
        own, lambda i, j, a, b: values[i, j, a, b], graph, distance.transpose(0, 2, 1), config
    )
    np.testing.assert_allclose(solve(own, values, graph, distance, config), expected, rtol=1e-12, atol=1e-9)


@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(0, 1e4)), st.sampled_from(["exponential", "uniform"]))
def test_weights_sum_to_one_and_fall_with_distance(distance, kind):
    found = state_weights(distance, kind)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-12)
    assert (np.diff(np.take_along_axis(found, distance.argsort(0), 0), axis=0) <= 1e-15).all()


def test_weights_are_eq_4():
    distance, d = np.array([0.0, 1.0, 3.0]), 5
    expected = np.exp(d - distance) / np.exp(d - distance).sum()
    np.testing.assert_allclose(state_weights(distance), expected, rtol=1e-14)


def test_a_state_outside_the_adjacency_space_has_no_weight():
    np.testing.assert_array_equal(state_weights(np.array([np.inf, 2.0])), [0, 1])
    np.testing.assert_array_equal(state_weights(np.array([np.inf, np.inf])), [0, 0])


@given(problems())
def test_target_lies_between_the_smallest_and_the_largest_value(problem):
    own, values, graph, distance, kappa = problem
    mixed = solve(own, values, graph, distance, ReciprocityConfig(kappa=kappa))
    low = np.minimum(own, values.min((1, 2)))
    high = np.maximum(own, values.max((1, 2)))
    assert (mixed >= low - 1e-9).all()
    assert (mixed <= high + 1e-9).all()


@given(problems(), st.randoms(use_true_random=False))
def test_relabelling_the_agents_relabels_the_target(problem, random):
    own, values, graph, distance, kappa = problem
    config = ReciprocityConfig(kappa=kappa)
    order = list(range(len(own)))
    random.shuffle(order)
    relabelled = solve(own[order], values[order][:, order], graph[order][:, order], distance[order], config)
    np.testing.assert_allclose(relabelled, solve(own, values, graph, distance, config)[order], atol=1e-9)


@given(problems(), st.integers(0, 4))
def test_an_isolated_agent_gets_its_own_value(problem, agent):
    own, values, graph, distance, kappa = problem
    agent %= len(own)
    graph[agent] = 0
    for normalize in ("mean", "sum"):
        mixed = solve(own, values, graph, distance, ReciprocityConfig(kappa=kappa, normalize=normalize))
        np.testing.assert_array_equal(mixed[agent], own[agent])


@given(problems(), st.integers(0, 4), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_broken_peer_counts_as_absent(problem, broken, value):
    """Nobody else's target is touched by its values: each is what it would be if that peer were not there."""
    own, values, graph, distance, kappa = problem
    broken %= len(own)
    config = ReciprocityConfig(kappa=kappa)
    without = graph.copy()
    without[:, broken] = 0
    expected = solve(own, values, without, distance, config)
    values = values.copy()
    values[:, broken] = value
    mixed = solve(own, values, graph, distance, config)
    assert np.isfinite(mixed).all()
    np.testing.assert_allclose(mixed, expected, atol=1e-9)


@given(problems())
@settings(max_examples=30)
def test_kappa_zero_is_the_own_value_and_one_the_peers(problem):
    own, values, graph, distance, _ = problem
    np.testing.assert_array_equal(solve(own, values, graph, distance, ReciprocityConfig(kappa=0)), own)
    other_own = solve(own + 1, values, graph, distance, ReciprocityConfig(kappa=1))
    listens = graph.any(1)
    np.testing.assert_array_equal(
        other_own[listens], solve(own, values, graph, distance, ReciprocityConfig(kappa=1))[listens]
    )


def test_statistics_by_hand():
    own = np.array([[1.0, 3.0], [0.0, 0.0]])
    values = np.array([[[[9.0, 9.0]], [[2.0, 0.0]]], [[[1.0, np.nan]], [[9.0, 9.0]]]])
    graph, ones = np.array([[0.0, 1.0], [1.0, 0.0]]), np.ones((2, 1, 2))
    tensors = (th.as_tensor(x) for x in (own, values, graph, ones))
    peer, gap, disagreement = mixture.peer_statistics(*tensors)
    np.testing.assert_allclose(peer, [1.0, 1.0])
    np.testing.assert_allclose(gap, [-1.0, 1.0])
    np.testing.assert_allclose(disagreement, [2.0, 1.0])


@pytest.mark.parametrize(("kappa", "n_peers", "n_adjacent", "refused"), [(0.5, 2, 1, True), (0.5, 1, 1, False)])
def test_literal_sums_that_diverge_are_refused(kappa, n_peers, n_adjacent, refused):
    config = ReciprocityConfig(kappa=kappa, normalize="sum")
    if refused:
        with pytest.raises(ValueError, match=r"1\.485 >= 1"):
            weights.check_gain(config, 0.99, n_peers, n_adjacent)
    else:
        weights.check_gain(config, 0.99, n_peers, n_adjacent)
    weights.check_gain(dataclasses.replace(config, normalize="mean"), 0.99, n_peers, n_adjacent)
