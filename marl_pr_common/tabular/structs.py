"""The arrays and settings of a learner, as its kernels take them.

Axes: t table, i or j agent, s state of a table, a action, x row = state of a class of agents (``Reciprocity.first``).
"""

from __future__ import annotations

from typing import NamedTuple

from marl_pr_common.config.arrays import Floats, Ints
from marl_pr_common.tabular.schedules import Code

TOTAL, SUM, WEIGHT, NEAR_SUM, NEAR_WEIGHT = 0, 1, 2, 3, 4


class Tables(NamedTuple):
    """What one seed has learnt."""

    q: Floats
    """(T, S, A) values."""
    n: Ints
    """(T, S, A) visits."""
    pool: Floats
    """(X, A, 5), what a class of agents knows together. TOTAL: visits. SUM, WEIGHT: sums over the class of w Q and
    of w,
    where w is n for weighting "count" and 1 for "mean". NEAR_SUM, NEAR_WEIGHT: A @ SUM and A @ WEIGHT, kept up to date
    when ``Rules.pushed``."""


class Links(NamedTuple):
    """Who shares what with whom, from ``Reciprocity``."""

    table: Ints
    """(N,): table of each agent."""
    cls: Ints
    """(N,): class of each agent."""
    first: Ints
    """(C + 1,): first row of each class."""
    indptr: Ints
    indices: Ints
    data: Floats
    """A (rows s, columns s#), compressed by rows."""
    t_indptr: Ints
    t_indices: Ints
    t_data: Floats
    """A compressed by columns."""
    mix: Floats
    """(M, N, N): W."""


class Rules(NamedTuple):
    """How to learn."""

    decision: bool
    """Act and bootstrap on Q_hat; otherwise eq. 5."""
    star: bool
    """Whether eq. 5 has a reciprocity potential at all (beta > 0)."""
    complete: bool
    """Complete graph: Q_star from the class sums."""
    pushed: bool
    """Whether NEAR_SUM and NEAR_WEIGHT are kept up to date (decision mode, which reads them at every action)."""
    by_count: bool
    """Weighting "count"."""
    tried: bool
    """Weighting "mean" with action masks: only tables whose agent has taken the action take part, as it may be
    forbidden."""
    gamma: float
    trust: float
    """m_b of the safety blend; negative: none."""
    alpha: Code
    beta: Code
    pull: Code
    """Schedule of 1 - kappa."""
