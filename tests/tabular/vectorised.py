"""The steps of ``kernels.py`` written another way, in NumPy over agents and seeds at once: their oracle.

Axes: b seed, i or j agent, m action asked for, k neighbour of a state. All functions act on the tables of all seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from marl_pr_common.config.arrays import Flags, Floats, Ints
from marl_pr_common.tabular.learner import TabularPR
from marl_pr_common.tabular.schedules import Code
from marl_pr_common.tabular.structs import NEAR_SUM, NEAR_WEIGHT, SUM, TOTAL, WEIGHT, Links, Rules, Tables

Transition = tuple[Ints, Ints, Floats, Ints, Flags, Flags, Flags, Floats]
"""states, actions, rewards, next states, terminated, active, masks of the next states, discounts of the next states."""


class Vectorised(TabularPR):
    """A learner by the functions below."""

    def act(self, states: Any, epsilon: float, uniforms: Any, active: Any = None, masks: Any = None) -> Ints:
        asked = self.inputs.asked(states, active, masks, uniforms)
        given = (asked.states, asked.active, asked.masks, epsilon, asked.uniforms)
        return act(self.tables, self.links, self.rules, *given, self.steps)

    def update(self, *transition: Any, active: Any = None, masks: Any = None, discounts: Any = None) -> None:
        states, actions, rewards, following, terminated, *more = transition
        active, masks, discounts = (*more, *(active, masks, discounts)[len(more) :])
        discounts = np.full(self.inputs.shape, self.rules.gamma) if discounts is None else discounts
        whole = self.inputs.transition(states, actions, rewards, following, terminated, active, masks, discounts)
        self.refresh()
        update(self.tables, self.frozen, self.links, self.rules, whole, self.steps)
        self.steps += 1


def schedule(code: Code, k: Ints, total: Ints) -> Floats:
    """Value of a schedule at visit numbers k with ``total`` class visits, any shape."""
    kind, c, tau = code
    if kind == 1:
        return np.asarray(c * (k + 1.0) ** -tau, dtype=np.float64)
    if kind == 2:
        return np.asarray(c / (c + total))
    return np.full(np.shape(k), c)


def neighbours(links: Links, x: Ints) -> tuple[Ints, Floats]:
    """Rows adjacent to each row of ``x`` and their weights, padded to the longest list: (*x.shape, K) each."""
    start, stop = links.indptr[x], links.indptr[x + 1]
    entry = start[..., None] + np.arange(max(int((stop - start).max(initial=0)), 1))
    inside = entry < stop[..., None]
    entry = np.where(inside, entry, 0)
    if len(links.indices) == 0:
        return entry, np.zeros(entry.shape)
    return links.indices[entry], np.where(inside, links.data[entry], 0.0)


def table_weight(rules: Rules, n: Ints) -> Floats | Ints:
    """Weights of tables' values after n visits."""
    if rules.by_count:
        return n
    return (n > 0).astype(np.float64) if rules.tried else np.ones(1)


def q_star(
    source: Tables, links: Links, rules: Rules, states: Ints, actions: Ints, own: Floats, n: Ints, step: int
) -> Floats:
    """Q_star of eq. 6 at (states, actions): states (B, N), the rest and the result (B, N, M)."""
    b = np.arange(states.shape[0])[:, None, None]
    x = links.first[links.cls] + states
    pool = source.pool
    here = pool[b, x[..., None], actions]
    pull = schedule(rules.pull, n, here[..., TOTAL])
    if rules.complete:
        same = _ratio(here[..., SUM], here[..., WEIGHT], own)
        if rules.pushed:
            top, bottom = here[..., NEAR_SUM], here[..., NEAR_WEIGHT]
        else:
            y, w = neighbours(links, x)
            index = (b[..., None], y[:, :, None, :], actions[..., None])
            top = (w[:, :, None, :] * pool[(*index, SUM)]).sum(axis=-1)
            bottom = (w[:, :, None, :] * pool[(*index, WEIGHT)]).sum(axis=-1)
    else:
        same, top, bottom = _graph_terms(source, links, rules, (states, actions, own), step)
    near = _ratio(top, bottom, same)
    return np.asarray(same + pull * (near - same))


def _graph_terms(
    source: Tables, links: Links, rules: Rules, at: tuple[Ints, Ints, Floats], step: int
) -> tuple[Floats, Floats, Floats]:
    states, actions, own = at
    w = links.mix[step % len(links.mix)]
    b = np.arange(states.shape[0])[:, None, None, None]
    j = np.arange(w.shape[0])[None, None, :, None]
    mate = w * (links.cls[:, None] == links.cls[None, :])
    index = (b, j, states[:, :, None, None], actions[:, :, None, :])  # (B, N, N, M)
    weight = mate[None, :, :, None] * table_weight(rules, source.n[index])
    same = _ratio((weight * source.q[index]).sum(axis=2), np.broadcast_to(weight, index_shape(index)).sum(axis=2), own)
    y, data = neighbours(links, links.first[links.cls] + states)  # (B, N, K)
    cls = np.searchsorted(links.first, y, side="right") - 1
    local = y - links.first[cls]
    member = (cls[:, :, None, :] == links.cls[None, None, :, None]) * data[:, :, None, :] * w[None, :, :, None]
    fitting = np.where(member > 0, local[:, :, None, :], 0)  # (B, N, N, K)
    deep = (b[..., None], j[..., None], fitting[..., None], actions[:, :, None, None, :])  # (B, N, N, K, M)
    weights = member[..., None] * table_weight(rules, source.n[deep])
    top = (weights * source.q[deep]).sum(axis=(2, 3))
    bottom = np.broadcast_to(weights, index_shape(deep)).sum(axis=(2, 3))
    return same, top, bottom


def index_shape(index: tuple[Ints, ...]) -> tuple[int, ...]:
    """The shape that broadcasting these index arrays gives."""
    return np.broadcast_shapes(*(np.shape(array) for array in index))


def q_hat(tables: Tables, links: Links, rules: Rules, states: Ints, step: int) -> Floats:
    """The values that are acted and bootstrapped on, all actions of states (B, N): (B, N, A)."""
    b = np.arange(states.shape[0])[:, None]
    own = tables.q[b, links.table, states]
    if not rules.decision:
        return own
    n = tables.n[b, links.table, states]
    actions = np.broadcast_to(np.arange(own.shape[-1]), own.shape)
    star = q_star(tables, links, rules, states, actions, own, n, step)
    if rules.trust < 0:
        return star
    return np.asarray(own + rules.trust / (rules.trust + n) * (star - own))


def act(
    tables: Tables, links: Links, rules: Rules, states: Ints, active: Flags, masks: Flags, epsilon: float,
    uniforms: Floats, step: int,
) -> Ints:  # fmt: skip
    """Epsilon-greedy actions, (B, N), among those that ``masks``, (B, N, A) or (B, N, 0), allow; 0 for agents that are
    not active."""
    values = allowed_values(q_hat(tables, links, rules, np.where(active, states, 0), step), masks)
    n_actions = values.shape[-1]
    best = values == values.max(axis=-1, keepdims=True)
    ties = best.sum(axis=-1)
    chosen = np.minimum(((uniforms - epsilon) / (1.0 - epsilon) * ties).astype(np.int64), ties - 1)
    greedy = (np.cumsum(best, axis=-1) > np.maximum(chosen, 0)[..., None]).argmax(axis=-1)
    room = masks.sum(axis=-1) if masks.shape[-1] else np.full(states.shape, n_actions)
    drawn = np.minimum((uniforms / epsilon * room).astype(np.int64), room - 1) if epsilon > 0 else np.zeros_like(room)
    explore = (np.cumsum(masks, axis=-1) > drawn[..., None]).argmax(axis=-1) if masks.shape[-1] else drawn
    return np.where(active, np.where(uniforms < epsilon, explore, greedy), 0)


def allowed_values(values: Floats, masks: Flags) -> Floats:
    """Minus infinity where an action is not allowed; masks (..., A), or (..., 0): all are."""
    return np.where(masks, values, -np.inf) if masks.shape[-1] else values


def update(tables: Tables, frozen: Tables, links: Links, rules: Rules, transition: Transition, step: int) -> None:
    """One synchronous update of all active agents of all seeds (eq. 5, or eq. 1 with bootstrap on Q_hat)."""
    states, actions, rewards, next_states, terminated, active, masks, discounts = transition
    states, actions = np.where(active, states, 0), np.where(active, actions, 0)
    b = np.arange(states.shape[0])[:, None]
    following = q_hat(tables, links, rules, np.where(active & ~terminated, next_states, 0), step)
    bootstrap = allowed_values(following, masks).max(axis=-1)
    target = rewards + discounts * np.where(terminated, 0.0, bootstrap)
    star = np.zeros_like(target)
    if rules.star:
        own, k = tables.q[b, links.table, states, actions], tables.n[b, links.table, states, actions]
        star = q_star(frozen, links, rules, states, actions[..., None], own[..., None], k[..., None], step)[..., 0]
    shared = len(np.unique(links.table)) < len(links.table)
    agents = np.arange(states.shape[1])
    # agents that write into one table do so one after the other, as in the kernel
    for some in agents[:, None] if shared else [agents]:
        _apply(tables, links, rules, (states, actions, target, star, active), some)


def _apply(
    tables: Tables, links: Links, rules: Rules, what: tuple[Ints, Ints, Floats, Floats, Flags], agents: Ints
) -> None:
    b, column = np.nonzero(what[4][:, agents])
    i = agents[column]
    s, a, target, star = what[0][b, i], what[1][b, i], what[2][b, i], what[3][b, i]
    t, x = links.table[i], links.first[links.cls[i]] + s
    old, k = tables.q[b, t, s, a], tables.n[b, t, s, a]
    new = old + schedule(rules.alpha, k, k) * (target - old)
    if rules.star:
        new += schedule(rules.beta, k, k) * (star - old)
    tables.q[b, t, s, a] = new
    tables.n[b, t, s, a] = k + 1
    if rules.by_count:
        d_sum, d_weight = (k + 1) * new - k * old, np.ones(len(k))
    else:
        first = (k == 0) & rules.tried
        d_sum, d_weight = np.where(first, new, new - old), first.astype(np.float64)
    _add(tables.pool, (b, x, a, TOTAL), 1.0)
    _add(tables.pool, (b, x, a, SUM), d_sum)
    _add(tables.pool, (b, x, a, WEIGHT), d_weight)
    if rules.pushed:
        transposed = links._replace(indptr=links.t_indptr, indices=links.t_indices, data=links.t_data)
        y, w = neighbours(transposed, x)
        at = (b[:, None], y, a[:, None])
        _add(tables.pool, (*at, NEAR_SUM), w * d_sum[:, None])
        _add(tables.pool, (*at, NEAR_WEIGHT), w * d_weight[:, None])


def _add(array: Floats, index: Any, values: Floats | float) -> None:
    """array[index] += values, one after the other where an index repeats, in the kernel's order."""
    np.add.at(array, index, values)


def _ratio(top: Floats, bottom: Floats, fallback: Floats) -> Floats:
    return np.asarray(np.divide(top, bottom, out=np.array(np.broadcast_to(fallback, np.shape(top))), where=bottom > 0))
