"""Who shares what with whom: observation matrices, adjacency spaces and the peer graph, put together for eq. 4 and
6."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import block_array, csr_array, diags_array, issparse

from marl_pr_common.config.arrays import Floats, Ints
from marl_pr_common.envs.spaces import ObsSpace
from marl_pr_common.reciprocity import peers
from marl_pr_common.tabular.adjacency import adjacency
from marl_pr_common.tabular.schedules import TheoryWarning

Mixing = Literal["metropolis", "eq6"]
Weighting = Literal["mean", "count"]
PairAdjacency = Callable[[ObsSpace, ObsSpace], csr_array]
MAX_STATES = 10_000_000
"""States of one agent: beyond, neither tables nor adjacency fit into a computer's memory."""


def mixing(graph: ArrayLike | None, n_agents: int, kind: Mixing = "metropolis") -> Floats:
    """Weights W of the peers' values in eq. 6, N_i containing i: rows sum to 1.

    :param graph: (n_agents, n_agents) adjacency of the agents, or (M, n_agents, n_agents) for a graph that changes
        from step to step and repeats after M; None is the complete graph. Helpers: ``marl_pr_common.reciprocity.peers``
    :param kind: "metropolis" (doubly stochastic: consensus on the plain network mean), or "eq6" (1 / abs(N_i): on a
        graph whose degrees differ, the limit weights agents by their degree; warns)
    :returns: (M, n_agents, n_agents)
    :raises ValueError: for another shape, or negative weights
    """
    if kind not in ("metropolis", "eq6"):
        raise ValueError(f"mixing={kind!r}: expected 'metropolis' or 'eq6'.")
    base = peers.complete(n_agents) if graph is None else _graph(graph, n_agents)
    graphs = [peers.own_matrix(g, n_agents) for g in (base if base.ndim == 3 else [base])]
    if kind == "metropolis":
        return np.stack([peers.metropolis(g) for g in graphs])
    for g in graphs:
        degrees = (g + np.eye(n_agents) > 0).sum(axis=1)
        if degrees.min() != degrees.max():
            message = (
                f'mixing="eq6" on a graph whose neighbourhoods differ in size ({degrees.min()} to {degrees.max()}): '
                f"the limit weights agents by degree, not equally, so it is not Q* (Theorem 3). "
                f'Use mixing="metropolis".'
            )
            warnings.warn(message, TheoryWarning, stacklevel=2)
            break
    return np.stack([peers.normalized(g * (1 - np.eye(n_agents)) + np.eye(n_agents)) for g in graphs])


def _graph(graph: ArrayLike, n_agents: int) -> Floats:
    try:
        found = np.asarray(graph, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"graph={graph!r}: expected {n_agents} rows of {n_agents} numbers, as an array.") from error
    if found.ndim not in (2, 3) or found.shape[-2:] != (n_agents, n_agents) or not len(found):
        raise ValueError(
            f"graph has shape {found.shape}: expected (n_agents, n_agents) = {(n_agents,) * 2}, or (M, *) of these."
        )
    return found


class Reciprocity:
    """The structure of eq. 4 and 6 for N agents. Agents that share an observation matrix form a class.

    :param spaces: one per agent
    :param graph: peer graph as for :func:`mixing`; None is the complete graph, which is the fast case
    :param kind: how the graph becomes weights, see :func:`mixing`
    :param adjacent: S# between two spaces; by default ``adjacency(a, b)``: ordinal, level 1, eq. 4
    :param weighting: "mean" weighs all tables alike (eq. 6); "count" weighs a value by the number of visits behind it

    Where the view of agent j lacks a state of agent i, j takes no part in the same-state mean; an agent whose S# is
    empty takes no part in the adjacent mean. If nobody is left, the same-state mean stands in, then the own value.

    Note: here kappa weights the *same-state* term (eq. 6); in the deep version kappa weights the *peers* (eq. 12).
    """

    def __init__(
        self,
        spaces: Sequence[ObsSpace],
        graph: ArrayLike | None = None,
        kind: Mixing = "metropolis",
        adjacent: PairAdjacency = adjacency,
        weighting: Weighting = "mean",
    ) -> None:
        if weighting not in ("mean", "count"):
            raise ValueError(f"weighting={weighting!r}: expected 'mean' (eq. 6) or 'count'.")
        self.spaces = tuple(spaces)
        self.n_agents = len(self.spaces)
        for i, space in enumerate(self.spaces):
            if space.n_states > MAX_STATES:
                raise ValueError(
                    f"agent {i} has {space.n_states:,} states (features of {space.sizes} values): a table holds up to "
                    f"{MAX_STATES:,}. Observe fewer features, or coarser ones."
                )
        self.weighting = weighting
        kinds = list(dict.fromkeys(self.spaces))
        self.cls: Ints = np.array([kinds.index(space) for space in self.spaces], dtype=np.int64)
        """(n_agents,): class of each agent."""
        sizes = [space.n_states for space in kinds]
        self.first: Ints = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        """(n_classes + 1,): the states of class c are the rows first[c] .. first[c + 1] - 1 of ``adjacency``."""
        blocks = [[_checked(adjacent(a, b), a, b) for b in kinds] for a in kinds]
        if weighting == "mean":
            blocks = [[_row_normalised(block) for block in row] for row in blocks]
        self.adjacency: csr_array = block_array(blocks, format="csr")
        """(n_rows, n_rows) weights of s# (column) for s (row): normalised per class of s# for weighting "mean" (eq.
        4)."""
        self.adjacency.sum_duplicates()
        self._warn_empty(kinds)
        self.mix = mixing(graph, self.n_agents, kind)
        """(M, n_agents, n_agents): the weights W, one matrix per step, repeated after M steps."""
        self.complete = bool(np.allclose(self.mix, 1.0 / self.n_agents))
        """Whether all agents listen to all alike: then class sums replace the loop over peers."""
        mean_graph = np.mean([(w > 0) * (1.0 - np.eye(self.n_agents)) for w in self.mix], axis=0)
        self.lambda_2 = peers.algebraic_connectivity(mean_graph) if self.n_agents > 1 else np.inf
        """Second smallest eigenvalue of the mean Laplacian (Assumption 3)."""

    @property
    def n_states(self) -> int:
        """Size of the largest class's table."""
        return int(np.diff(self.first).max())

    @property
    def n_rows(self) -> int:
        """Number of states of all classes together."""
        return int(self.first[-1])

    def rows(self, agent: int) -> slice:
        """The rows of ``adjacency`` that are this agent's states."""
        return slice(int(self.first[self.cls[agent]]), int(self.first[self.cls[agent] + 1]))

    def q_star(
        self, q: Floats, pull: Floats | float, n: Ints | None = None, step: int = 0, tried: bool = False
    ) -> Floats:
        """Q_star of eq. 6 for every agent, state and action: the reference that the fast versions are tested against.

        :param q: (n_agents, S, A) tables; rows beyond an agent's own number of states are ignored
        :param pull: 1 - kappa, a number or (n_agents, S, A)
        :param n: (n_agents, S, A) visits, for weighting "count"
        :param step: which matrix of a changing graph
        :param tried: with weighting "mean", whether tables with no visit of (s, a) take no part
        :returns: (n_agents, S, A)
        """
        weight = np.ones_like(q)
        if n is not None and (self.weighting == "count" or tried):
            weight = np.asarray(n if self.weighting == "count" else n > 0, dtype=np.float64)
        w = self.mix[step % len(self.mix)]
        result = q.copy()
        spread = [self._spread(weight[j] * q[j], j) for j in range(self.n_agents)]
        spread_weight = [self._spread(weight[j], j) for j in range(self.n_agents)]
        pulls = np.broadcast_to(pull, q.shape)
        for i in range(self.n_agents):
            mates = [j for j in range(self.n_agents) if self.cls[j] == self.cls[i]]
            size = spaces_size(self, i)
            same = _ratio(
                sum(w[i, j] * (weight[j] * q[j])[:size] for j in mates),
                sum(w[i, j] * weight[j][:size] for j in mates),
                q[i, :size],
            )
            near = _ratio(
                sum(w[i, j] * spread[j][self.rows(i)] for j in range(self.n_agents)),
                sum(w[i, j] * spread_weight[j][self.rows(i)] for j in range(self.n_agents)),
                same,
            )
            result[i, :size] = same + pulls[i, :size] * (near - same)
        return result

    def _spread(self, values: Floats, agent: int) -> Floats:
        block = self.adjacency[:, self.rows(agent)]
        return np.asarray(block @ values[: block.shape[1]])

    def _warn_empty(self, kinds: list[ObsSpace]) -> None:
        empty = np.flatnonzero(np.diff(self.adjacency.indptr) == 0)
        if len(empty):
            c = int(np.searchsorted(self.first, empty[0], side="right")) - 1
            state = int(empty[0] - self.first[c])
            message = (
                f"The adjacency space is empty for {len(empty)} of {self.n_rows} states, the first is "
                f"state {state} with features {kinds[c].decode(state).tolist()}: there Q_star is the same-state mean. "
                f"Raise the level or use include_self=True."
            )
            warnings.warn(message, TheoryWarning, stacklevel=3)


def _checked(block: object, a: ObsSpace, b: ObsSpace) -> csr_array:
    """The matrix that a function of the user's gave for two spaces: its indices are read by compiled loops."""
    shape = (a.n_states, b.n_states)
    if not issparse(block) and not isinstance(block, np.ndarray):
        raise ValueError(f"adjacent() returned {type(block).__name__}: expected a sparse matrix of shape {shape}.")
    found = csr_array(block, dtype=np.float64)
    if found.shape != shape:
        raise ValueError(f"adjacent() returned a matrix of shape {found.shape}: expected {shape}, states of the two.")
    try:
        found.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(f"adjacent() returned a matrix that is none: {error}.") from error
    if not (np.isfinite(found.data).all() and (found.data >= 0).all()):
        raise ValueError(f"adjacent() returned weights {found.data}: expected finite numbers >= 0.")
    return found


def spaces_size(reciprocity: Reciprocity, agent: int) -> int:
    """Number of states of an agent."""
    rows = reciprocity.rows(agent)
    return int(rows.stop) - int(rows.start)


def _row_normalised(block: csr_array) -> csr_array:
    total = np.asarray(block.sum(axis=1)).ravel()
    return csr_array(diags_array(np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)) @ block)


def _ratio(numerator: Floats, denominator: Floats, fallback: Floats) -> Floats:
    return np.asarray(np.divide(numerator, denominator, out=fallback.copy(), where=denominator > 0))
