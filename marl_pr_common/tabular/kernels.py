"""Compiled IQL and IQL+PR for one seed: acting and updating all agents of one step (eq. 1, 4, 5, 6; Algorithm 1).

Axes: t table, i or j agent, s state of a table, a action, x row = state of a class of agents (``Reciprocity.first``).
The innermost functions take plain arrays: passing tuples of arrays to them costs more than their work.
"""

from __future__ import annotations

import numpy as np

from marl_pr_common.config.arrays import Flags, Floats, Ints
from marl_pr_common.envs.jit import jit
from marl_pr_common.tabular.star_kernels import hat_row, schedule, star_complete, star_graph
from marl_pr_common.tabular.structs import NEAR_SUM, NEAR_WEIGHT, SUM, TOTAL, WEIGHT, Links, Rules, Tables


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
def keep_allowed(values: Floats, mask: Flags, kept: Ints) -> int:
    """Move the values of the allowed actions to the front, the actions themselves into ``kept``; how many they are."""
    m = 0
    for a in range(values.shape[0]):
        if mask[a]:
            values[m], kept[m] = values[a], a
            m += 1
    return m


@jit
def act(
    tables: Tables,
    links: Links,
    rules: Rules,
    states: Ints,
    active: Flags,
    masks: Flags,
    epsilon: float,
    uniforms: Floats,
    step: int,
    actions: Ints,
) -> None:
    """Fill ``actions``, (N,), of the active agents; 0 for the others.

    :param masks: (N, A) allowed actions, at least one for each active agent, or (N, 0): all
    """
    values, kept = np.empty(tables.q.shape[2]), np.empty(tables.q.shape[2], np.int64)
    for i in range(states.shape[0]):
        actions[i] = 0
        if active[i]:
            values_row(tables, links, rules, i, states[i], step, values)
            if masks.shape[1] == 0:
                actions[i] = choose(values, epsilon, uniforms[i])
            else:
                m = keep_allowed(values, masks[i], kept)
                actions[i] = kept[choose(values[:m], epsilon, uniforms[i])]


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
    masks: Flags,
    discounts: Floats,
    step: int,
    work: Floats,
) -> None:
    """One synchronous update of all active agents by eq. 5 (faithful) or by eq. 1 with bootstrap on Q_hat (decision).

    :param masks: (N, A) actions allowed in the next state, or (N, 0): all
    :param discounts: (N,) of the next state: gamma, or a power of it where a transition took several steps
    :param frozen: the tables that Q_star is read from: a snapshot, or ``tables`` themselves
    :param work: (2, N) scratch
    """
    q, n = tables.q, tables.n
    values, kept = np.empty(q.shape[2]), np.empty(q.shape[2], np.int64)
    for i in range(states.shape[0]):  # first all reads, then all writes: Q^{t+1} from Q^t
        if not active[i]:
            continue
        work[0, i] = rewards[i]
        if not terminated[i]:
            values_row(tables, links, rules, i, next_states[i], step, values)
            m = q.shape[2] if masks.shape[1] == 0 else keep_allowed(values, masks[i], kept)
            work[0, i] += discounts[i] * values[:m].max()
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
    elif rules.tried and k == 0:
        d_sum, d_weight = new, 1.0
    if rules.pushed:
        record(tables.pool, links.t_indptr, links.t_indices, links.t_data, x, a, d_sum, d_weight)
    else:
        tables.pool[x, a, TOTAL] += 1
        tables.pool[x, a, SUM] += d_sum
        tables.pool[x, a, WEIGHT] += d_weight
