"""Compiled Q_star of eq. 6 at one state and action of one agent: what ``kernels.py`` acts on and pulls towards."""

from __future__ import annotations

from marl_pr_common.config.arrays import Floats, Ints
from marl_pr_common.envs.jit import jit
from marl_pr_common.tabular.schedules import Code
from marl_pr_common.tabular.structs import NEAR_SUM, NEAR_WEIGHT, SUM, TOTAL, WEIGHT, Links, Rules, Tables


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
def table_weight(rules: Rules, k: int) -> float:
    """Weight of one table's value after k visits."""
    if rules.by_count:
        return float(k)
    return 0.0 if rules.tried and k == 0 else 1.0


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
            weight = w[j] * table_weight(rules, n[j, s, a])
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
                weight = links.data[e] * w[j] * table_weight(rules, n[j, y, a])
                top += weight * q[j, y, a]
                bottom += weight
    return blend(same, top, bottom, shrink)
