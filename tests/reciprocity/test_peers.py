"""Neighbour sets as matrices, their Laplacian, and what is refused."""

import numpy as np
import pytest

from marl_pr_common.reciprocity import ReciprocityConfig, peers
from marl_pr_common.reciprocity.weights import peer_matrix

RNG = np.random.default_rng(0)


def test_complete_ring_and_random():
    np.testing.assert_array_equal(peers.complete(3), [[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    np.testing.assert_array_equal(peers.ring(4), [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])
    assert peers.ring(2).tolist() == [[0, 1], [1, 0]]
    assert peers.ring(1).tolist() == [[0]]
    drawn = peers.random(6, 2, np.random.default_rng(1))
    assert (drawn.sum(1) == 2).all()
    assert (np.diag(drawn) == 0).all()


@pytest.mark.parametrize("graph", sorted(set(peers.GRAPHS) - {"matrix"}))
def test_rows_sum_to_one(graph):
    matrix = peer_matrix(ReciprocityConfig(peers=graph, n_peers=2), 5, RNG)
    np.testing.assert_allclose(matrix.sum(1), 1)


def test_own_matrix_keeps_weights_and_isolated_agents():
    config = ReciprocityConfig(peers="matrix", peer_matrix=((0.0, 3.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)))
    np.testing.assert_allclose(peer_matrix(config, 3, RNG), [[0, 0.75, 0.25], [0, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0, 1]], "shape"),
        ([[0, -1], [1, 0]], ">= 0"),
        ([[0, np.nan], [1, 0]], "finite"),
        ([["x", 1], [1, 0]], "numbers"),
    ],
)
def test_bad_matrices_are_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        peers.own_matrix(matrix, 2)


def test_too_many_random_peers_are_refused():
    with pytest.raises(ValueError, match="n_peers=3 with n_agents=3"):
        peers.random(3, 3, RNG)


def test_laplacian_and_connectivity():
    # the complete graph's Laplacian has eigenvalues 0 and n (n - 1 times); two separate pairs are not connected
    assert peers.algebraic_connectivity(peers.complete(5)) == pytest.approx(5)
    pairs = np.kron(np.eye(2), peers.complete(2))
    assert peers.algebraic_connectivity(pairs) == pytest.approx(0)
    np.testing.assert_allclose(peers.laplacian(peers.ring(4)).sum(1), 0)


def test_metropolis_weights_are_doubly_stochastic_on_a_star():
    star = np.zeros((5, 5))
    star[0, 1:] = star[1:, 0] = 1
    weights = peers.metropolis(star)
    np.testing.assert_allclose(weights, weights.T)
    np.testing.assert_allclose(weights.sum(0), 1)
    np.testing.assert_allclose(weights[0, 1], 1 / 5)
    assert np.linalg.matrix_power(weights, 200) == pytest.approx(1 / 5, abs=1e-6)
