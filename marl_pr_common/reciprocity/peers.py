"""Neighbour sets N_i: which agents an agent listens to, as a matrix, and that graph's Laplacian."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marl_pr_common.reciprocity.config import ReciprocityConfig

Matrix = NDArray[np.float64]


def complete(n_agents: int) -> Matrix:
    """All other agents: (n_agents, n_agents) of ones with a zero diagonal."""
    return np.ones((n_agents, n_agents)) - np.eye(n_agents)


def ring(n_agents: int) -> Matrix:
    """The agents before and after on a ring: two peers each, one with 2 agents, none with 1."""
    matrix = np.zeros((n_agents, n_agents))
    agent = np.arange(n_agents)
    matrix[agent, (agent + 1) % n_agents] = 1
    matrix[agent, (agent - 1) % n_agents] = 1
    np.fill_diagonal(matrix, 0)
    return matrix


def random(n_agents: int, n_peers: int, rng: np.random.Generator) -> Matrix:
    """``n_peers`` other agents each, drawn without replacement; the graph is directed. A lone agent has no peers.

    :raises ValueError: if there are fewer than ``n_peers`` other agents
    """
    if n_agents == 1:
        return complete(1)
    if not 1 <= n_peers <= n_agents - 1:
        raise ValueError(
            f'n_peers={n_peers} with n_agents={n_agents}: peers="random" needs 1 <= n_peers <= n_agents - 1. '
            'Use fewer peers, or peers="complete".'
        )
    matrix = np.zeros((n_agents, n_agents))
    for i in range(n_agents):
        others = np.delete(np.arange(n_agents), i)
        matrix[i, rng.choice(others, size=n_peers, replace=False)] = 1
    return matrix


def own_matrix(matrix: ArrayLike, n_agents: int) -> Matrix:
    """A user's weights w_ij >= 0, checked; row i says how agent i weights each agent j. A zero row isolates i.

    :raises ValueError: for another shape than (n_agents, n_agents), or negative or non-finite weights
    """
    try:
        result = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"peer_matrix={matrix!r}: expected {n_agents} rows of {n_agents} numbers.") from error
    if result.shape != (n_agents, n_agents):
        raise ValueError(f"peer_matrix has shape {result.shape}: expected (n_agents, n_agents) = {(n_agents,) * 2}.")
    if not np.isfinite(result).all() or (result < 0).any():
        raise ValueError(f"peer_matrix={result.tolist()}: expected finite weights >= 0.")
    return result


GRAPHS: dict[str, Callable[[ReciprocityConfig, int, np.random.Generator], Matrix]] = {
    "complete": lambda config, n_agents, rng: complete(n_agents),
    "ring": lambda config, n_agents, rng: ring(n_agents),
    "random": lambda config, n_agents, rng: random(n_agents, config.n_peers, rng),
    "matrix": lambda config, n_agents, rng: own_matrix(config.peer_matrix, n_agents),  # type: ignore[arg-type]
}
"""Option ``peers`` -> the graph (n_agents, n_agents) of so many agents."""


def normalized(matrix: Matrix) -> Matrix:
    """Rows scaled to sum to 1; a row of zeros stays one."""
    total = matrix.sum(axis=1, keepdims=True)
    result: Matrix = np.divide(matrix, total, out=np.zeros_like(matrix), where=total > 0)
    return result


def laplacian(matrix: Matrix) -> Matrix:
    """Graph Laplacian D - W of Assumption 3, (n_agents, n_agents). Self-loops cancel."""
    result: Matrix = np.diag(matrix.sum(axis=1)) - matrix
    return result


def algebraic_connectivity(matrix: Matrix) -> float:
    """lambda_2 of Assumption 3: the second smallest eigenvalue of the Laplacian of the undirected graph.

    It is > 0 exactly if every agent's value can reach every other. For directed weights the symmetric part counts.
    """
    symmetric = (matrix + matrix.T) / 2
    if len(symmetric) < 2:
        return 0.0
    return float(np.sort(np.linalg.eigvalsh(laplacian(symmetric)))[1])


def metropolis(matrix: Matrix) -> Matrix:
    """Metropolis-Hastings weights of the undirected graph: symmetric, rows and columns sum to 1, diagonal included.

    Averaging with them reaches the network mean on any connected graph; row-normalised weights reach a mean that is
    weighted by degree (Xiao and Boyd, "Fast linear iterations for distributed averaging", 2004).
    """
    linked = ((matrix + matrix.T) > 0) & ~np.eye(len(matrix), dtype=bool)
    degree = linked.sum(axis=1)
    weights = np.where(linked, 1.0 / (1.0 + np.maximum(degree[:, None], degree[None, :])), 0.0)
    np.fill_diagonal(weights, 1.0 - weights.sum(axis=1))
    return weights
