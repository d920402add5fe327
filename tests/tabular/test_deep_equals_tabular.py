"""The deep target of ``marl_pr_common.reciprocity.mixture`` on one-hot features equals the tabular one to 1e-6."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th

from marl_pr_common.envs import ObsSpace
from marl_pr_common.reciprocity import ReciprocityConfig, mixture
from marl_pr_common.reciprocity.weights import peer_matrix
from marl_pr_common.tabular import TabularConfig, adjacency

N, S, A = 4, 6, 3
SPACE = ObsSpace((S,), ordinal=(True,))


@pytest.fixture
def q() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, S, A))


def networks(q: np.ndarray) -> list[th.nn.Linear]:
    """Q-networks without hidden layer: on one-hot features the weights are the table."""
    made = []
    for table in q:
        layer = th.nn.Linear(S, A, bias=False)
        with th.no_grad():
            layer.weight.copy_(th.as_tensor(table.T, dtype=th.float32))
        made.append(layer)
    return made


def adjacent(s: np.ndarray) -> tuple[th.Tensor, th.Tensor]:
    """States s - 1, s, s + 1 and their distances, infinite outside the line: (3, batch) each."""
    states = s[None] + np.array([-1, 0, 1])[:, None]
    outside = (states < 0) | (states >= S)
    distance = np.where(outside, np.inf, np.abs(states - s))
    return th.as_tensor(np.clip(states, 0, S - 1)), th.as_tensor(distance, dtype=th.float32)


@pytest.mark.parametrize("kappa", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("weights", ["exponential", "uniform"])
def test_eq_12(q: np.ndarray, kappa: float, weights: str) -> None:
    config = ReciprocityConfig(kappa=kappa, weights=weights)
    nets = networks(q)
    states, actions = np.repeat(np.arange(S), A), np.tile(np.arange(A), S)
    near, distance = adjacent(states)
    one_hot = th.nn.functional.one_hot
    column = th.as_tensor(actions)
    with th.no_grad():
        own = th.stack([net(one_hot(th.as_tensor(states), S).float()).gather(1, column[:, None])[:, 0] for net in nets])
        peers = th.stack(
            [net(one_hot(near, S).float()).gather(2, column.expand(3, -1)[..., None])[..., 0] for net in nets]
        )
        result = mixture.reciprocal_value(
            own,
            peers[None].expand(N, -1, -1, -1),
            th.as_tensor(peer_matrix(config, N, np.random.default_rng(0)), dtype=th.float32),
            mixture.adjacency_weights(distance, config.weights)[None].expand(N, -1, -1),
            config,
        )
    temperature = 1.0 if weights == "exponential" else np.inf
    tabular = TabularConfig(weighting="mean", temperature=temperature)
    # Q_# of each agent alone, and then the mean over the *other* agents: eq. 12's N_i does not contain i
    sharp = np.stack([tabular.reciprocity([SPACE]).q_star(table[None], 1.0)[0] for table in q])
    expected = (1 - kappa) * q + kappa * (sharp.sum(axis=0) - sharp) / (N - 1)
    np.testing.assert_allclose(result.numpy().reshape(N, S, A), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kappa", [0.0, 0.5, 1.0])
def test_eq_6(q: np.ndarray, kappa: float) -> None:
    """Here kappa weights the same-state term; N_i contains i."""
    reciprocity = TabularConfig(weighting="mean", temperature=1.0).reciprocity([SPACE] * N)
    weights = adjacency(SPACE, SPACE).toarray()
    weights /= weights.sum(axis=1, keepdims=True)
    sharp = np.einsum("xy,jya->jxa", weights, q)
    result = np.tensordot(np.full((N, N), 1 / N), kappa * q + (1 - kappa) * sharp, 1)
    np.testing.assert_allclose(reciprocity.q_star(q, 1 - kappa), result, rtol=0, atol=1e-12)


def test_kappa_of_the_two_conventions_meets(q: np.ndarray) -> None:
    """With S# = {s}, eq. 6 is the network mean for every kappa, and eq. 12 is it for kappa = (N - 1) / N."""
    reciprocity = TabularConfig(weighting="mean", level=0).reciprocity([SPACE] * N)
    config = ReciprocityConfig(kappa=(N - 1) / N)
    flat = q.reshape(N, 1, S * A)
    peers = np.broadcast_to(flat[None], (N, N, 1, S * A))
    matrix = peer_matrix(config, N, np.random.default_rng(0))
    tensors = (th.as_tensor(x.copy()) for x in (q.reshape(N, -1), peers, matrix, np.ones((N, 1, S * A))))
    deep = mixture.reciprocal_value(*tensors, config).numpy()
    np.testing.assert_allclose(deep.reshape(q.shape), reciprocity.q_star(q, 0.7), rtol=0, atol=1e-12)
