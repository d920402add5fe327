"""Compiled IQL and IQL+PR for one seed: acting and updating all agents of one step (eq. 1, 4, 5, 6; Algorithm 1).

Axes: t table, i or j agent, s state of a table, a action, x row = state of a class of agents (``Reciprocity.first``).
The innermost functions take plain arrays: passing tuples of arrays to them costs more than their work. The NumPy
version of the same steps is ``vectorised.py``; tests hold the two together to 1e-12.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marl_pr_common.envs.jit import jit
from marl_pr_common.tabular.schedules import Code
from marl_pr_common.tabular.structs import NEAR_SUM, NEAR_WEIGHT, SUM, TOTAL, WEIGHT, Links, Rules, Tables

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@jit
def schedule(kind: int, c: float, tau: float, k: int, total: float) -> float:
    """Value of a schedule after k own and ``total`` class visits, see ``schedules.py``."""
    if kind == 1:
        return c * float((k + 1.0) ** -tau)
    if kind == 2:
        return c / (c + total)
    return c


@jit
def blend(same: float, top: float, bottom: float, pull: float) -> float:
    """kappa Q_same + (1 - kappa) Q_near, eq. 6; Q_near = top / bottom falls back to Q_same when S# holds nothing."""
    if bottom > 0:
        return same + pull * (top / bottom - same)
    return same


@jit
def hat_row(q: Floats, n: Ints, pool: Floats, t: int, s: int, x: int, trust: float, pull: Code, out: Floats) -> None:
    """Q_hat = (1 - w) Q + w Q_star of all actions on the complete graph, from the pushed sums, into ``out``, (A,)."""
    for a in range(out.shape[0]):
        own, k = q[t, s, a], n[t, s, a]
        weight = pool[x, a, WEIGHT]
        same = pool[x, a, SUM] / weight if weight > 0 else own
        shrink = schedule(pull[0], pull[1], pull[2], k, pool[x, a, TOTAL])
        star = blend(same, pool[x, a, NEAR_SUM], pool[x, a, NEAR_WEIGHT], shrink)
        if trust < 0:
            out[a] = star
        else:
            out[a] = own + trust / (trust + k) * (star - own)


@jit
def star_complete(
    pool: Floats, indptr: Ints, indices: Ints, data: Floats, x: int, a: int, own: float, k: int, pull: Code
) -> float:
    """Q_star of eq. 6 at row x and action a on the complete graph, from the class sums."""
    weight = pool[x, a, WEIGHT]
    same = pool[x, a, SUM] / weight if weight > 0 else own
    shrink = schedule(pull[0], pull[1], pull[2], k, pool[x, a, TOTAL])
    top, bottom = 0.0, 0.0
    if shrink > 0:
        for e in range(indptr[x], indptr[x + 1]):
            top += data[e] * pool[indices[e], a, SUM]
            bottom += data[e] * pool[indices[e], a, WEIGHT]
    return blend(same, top, bottom, shrink)


@jit
def star_graph(
    tables: Tables, links: Links, rules: Rules, i: int, s: int, a: int, own: float, k: int, step: int
) -> float:
    """Q_star of eq. 6 at (s, a) of agent i on any graph, from the tables of its neighbours."""
    q, n = tables.q, tables.n
    cls, first = links.cls, links.first
    w = links.mix[step % links.mix.shape[0], i]
    c = cls[i]
    x = first[c] + s
    top, bottom = 0.0, 0.0
    for j in range(w.shape[0]):
        if w[j] > 0 and cls[j] == c:
            weight = w[j] * (n[j, s, a] if rules.by_count else 1.0)
            top += weight * q[j, s, a]
            bottom += weight
    same = top / bottom if bottom > 0 else own
    pull = rules.pull
    shrink = schedule(pull[0], pull[1], pull[2], k, tables.pool[x, a, TOTAL])
    if shrink == 0.0:
        return same
    top, bottom = 0.0, 0.0
    for e in range(links.indptr[x], links.indptr[x + 1]):
        y = links.indices[e]
        d = 0
        while first[d + 1] <= y:
            d += 1
        y -= first[d]
        for j in range(w.shape[0]):
            if w[j] > 0 and cls[j] == d:
                weight = links.data[e] * w[j] * (n[j, y, a] if rules.by_count else 1.0)
                top += weight * q[j, y, a]
                bottom += weight
    return blend(same, top, bottom, shrink)


@jit
def values_row(tables: Tables, links: Links, rules: Rules, i: int, s: int, step: int, out: Floats) -> None:
    """The values that agent i acts and bootstraps on in its state s, into ``out``, (A,)."""
    t = links.table[i]
    if not rules.decision:
        out[:] = tables.q[t, s]
    elif rules.complete:
        x = links.first[links.cls[i]] + s
        hat_row(tables.q, tables.n, tables.pool, t, s, x, rules.trust, rules.pull, out)
    else:
        for a in range(out.shape[0]):
            own, k = tables.q[t, s, a], tables.n[t, s, a]
            star = star_graph(tables, links, rules, i, s, a, own, k, step)
            out[a] = star if rules.trust < 0 else own + rules.trust / (rules.trust + k) * (star - own)


@jit
def choose(values: Floats, epsilon: float, uniform: float) -> int:
    """Epsilon-greedy action; one uniform number decides on exploring, on the random action and between ties."""
    n_actions = values.shape[0]
    if uniform < epsilon:
        return int(min(int(uniform / epsilon * n_actions), n_actions - 1))
    best, ties = -np.inf, 0
    for a in range(n_actions):
        if values[a] > best:
            best, ties = values[a], 1
        elif values[a] == best:
            ties += 1
    chosen = min(int((uniform - epsilon) / (1.0 - epsilon) * ties), ties - 1)
    for a in range(n_actions):
        if values[a] == best:
            if chosen == 0:
                return a
            chosen -= 1
    return 0


@jit
def act(
    tables: Tables,
    links: Links,
    rules: Rules,
    states: Ints,
    active: Flags,
    epsilon: float,
    uniforms: Floats,
    step: int,
    actions: Ints,
) -> None:
    """Fill ``actions``, (N,), of the active agents; 0 for the others."""
    values = np.empty(tables.q.shape[2])
    for i in range(states.shape[0]):
        actions[i] = 0
        if active[i]:
            values_row(tables, links, rules, i, states[i], step, values)
            actions[i] = choose(values, epsilon, uniforms[i])


@jit
def record(
    pool: Floats, indptr: Ints, indices: Ints, data: Floats, x: int, a: int, d_sum: float, d_weight: float
) -> None:
    """Book a change of w Q and w at (x, a), and push it to the rows that (x, a) is adjacent to."""
    pool[x, a, TOTAL] += 1
    pool[x, a, SUM] += d_sum
    pool[x, a, WEIGHT] += d_weight
    for e in range(indptr[x], indptr[x + 1]):
        pool[indices[e], a, NEAR_SUM] += data[e] * d_sum
        pool[indices[e], a, NEAR_WEIGHT] += data[e] * d_weight


@jit
def update(
    tables: Tables,
    frozen: Tables,
    links: Links,
    rules: Rules,
    states: Ints,
    actions: Ints,
    rewards: Floats,
    next_states: Ints,
    terminated: Flags,
    active: Flags,
    step: int,
    work: Floats,
) -> None:
    """One synchronous update of all active agents by eq. 5 (faithful) or by eq. 1 with bootstrap on Q_hat (decision).

    :param frozen: the tables that Q_star is read from: a snapshot, or ``tables`` themselves
    :param work: (2, N) scratch
    """
    q, n = tables.q, tables.n
    values = np.empty(q.shape[2])
    for i in range(states.shape[0]):  # first all reads, then all writes: Q^{t+1} from Q^t
        if not active[i]:
            continue
        work[0, i] = rewards[i]
        if not terminated[i]:
            values_row(tables, links, rules, i, next_states[i], step, values)
            work[0, i] += rules.gamma * values.max()
        if rules.star:
            t, s, a = links.table[i], states[i], actions[i]
            x = links.first[links.cls[i]] + s
            if rules.complete:
                work[1, i] = star_complete(
                    frozen.pool, links.indptr, links.indices, links.data, x, a, q[t, s, a], n[t, s, a], rules.pull
                )
            else:
                work[1, i] = star_graph(frozen, links, rules, i, s, a, q[t, s, a], n[t, s, a], step)
    for i in range(states.shape[0]):
        if active[i]:
            _apply(tables, links, rules, i, states[i], actions[i], work[0, i], work[1, i])


@jit
def _apply(tables: Tables, links: Links, rules: Rules, i: int, s: int, a: int, target: float, star: float) -> None:
    t = links.table[i]
    x = links.first[links.cls[i]] + s
    old, k = tables.q[t, s, a], tables.n[t, s, a]
    alpha, beta = rules.alpha, rules.beta
    new = old + schedule(alpha[0], alpha[1], alpha[2], k, 0.0) * (target - old)  # eq. 5, local autonomy
    if rules.star:
        new += schedule(beta[0], beta[1], beta[2], k, 0.0) * (star - old)  # eq. 5, reciprocity potential
    tables.q[t, s, a] = new
    tables.n[t, s, a] = k + 1
    d_sum, d_weight = new - old, 0.0
    if rules.by_count:
        d_sum, d_weight = (k + 1) * new - k * old, 1.0
    if rules.pushed:
        record(tables.pool, links.t_indptr, links.t_indices, links.t_data, x, a, d_sum, d_weight)
    else:
        tables.pool[x, a, TOTAL] += 1
        tables.pool[x, a, SUM] += d_sum
        tables.pool[x, a, WEIGHT] += d_weight
