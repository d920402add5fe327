"""The arrays of a learner, made from its structure."""

from __future__ import annotations

import numpy as np

from marl_pr_common.tabular.reciprocity import Reciprocity
from marl_pr_common.tabular.structs import NEAR_SUM, NEAR_WEIGHT, SUM, WEIGHT, Links, Rules, Tables


def copy_tables(tables: Tables) -> Tables:
    """Tables of their own memory."""
    return Tables(tables.q.copy(), tables.n.copy(), tables.pool.copy())


def links_of(reciprocity: Reciprocity, share: bool) -> Links:
    """Who shares what with whom.

    :param share: one table for all agents of a class
    """
    a = reciprocity.adjacency
    t = a.T.tocsr()
    index = [array.astype(np.int64) for array in (a.indptr, a.indices, t.indptr, t.indices)]
    table = reciprocity.cls if share else np.arange(reciprocity.n_agents)
    return Links(
        table,
        reciprocity.cls,
        reciprocity.first,
        index[0],
        index[1],
        a.data,
        index[2],
        index[3],
        t.data,
        reciprocity.mix,
    )


def tables_of(
    reciprocity: Reciprocity, links: Links, rules: Rules, n_actions: int, n_seeds: int, q_init: float
) -> Tables:
    """Untrained tables, with a leading seed axis.

    :raises ValueError: if they do not fit into memory
    """
    try:
        return _tables(reciprocity, links, rules, n_actions, n_seeds, q_init)
    except MemoryError as error:
        raise ValueError(
            f"tables of {reciprocity.n_states:,} states x {n_actions:,} actions of {reciprocity.n_agents} agents, in "
            f"{n_seeds} copies, do not fit into memory ({error}). Observe fewer features, or coarser ones, and merge "
            "actions."
        ) from error


def _tables(
    reciprocity: Reciprocity, links: Links, rules: Rules, n_actions: int, n_seeds: int, q_init: float
) -> Tables:
    shape = (n_seeds, int(links.table.max()) + 1, reciprocity.n_states, n_actions)
    members = np.repeat(np.bincount(reciprocity.cls), np.diff(reciprocity.first))
    pool = np.zeros((n_seeds, reciprocity.n_rows, n_actions, 5))
    if not rules.by_count:
        pool[..., WEIGHT] = members[:, None]
        pool[..., SUM] = members[:, None] * q_init
    if rules.pushed:
        _push(pool[0], reciprocity)
        pool[:] = pool[0]
    return Tables(np.full(shape, float(q_init)), np.zeros(shape, dtype=np.int64), pool)


def pool_tried(tables: Tables, reciprocity: Reciprocity, links: Links, pushed: bool) -> None:
    """Make the pool, in place, that weighting "mean" has when only tables with a visit of (s, a) take part."""
    for q, n, pool in zip(*tables, strict=True):
        pool[..., [SUM, WEIGHT]] = 0.0
        for i in range(reciprocity.n_agents):
            rows, t = reciprocity.rows(i), links.table[i]
            tried = n[t, : rows.stop - rows.start] > 0
            pool[rows, :, SUM] += np.where(tried, q[t, : rows.stop - rows.start], 0.0)
            pool[rows, :, WEIGHT] += tried
        if pushed:
            _push(pool, reciprocity)


def _push(pool: np.ndarray, reciprocity: Reciprocity) -> None:
    pool[..., NEAR_SUM] = reciprocity.adjacency @ pool[..., SUM]
    pool[..., NEAR_WEIGHT] = reciprocity.adjacency @ pool[..., WEIGHT]
