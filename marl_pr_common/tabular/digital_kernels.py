"""The compiled loop of ``digital.py``: chain, rewards, Q_star and eq. 5 of all agents, fused."""

from __future__ import annotations

import numpy as np

from marl_pr_common.config.arrays import Floats, Ints
from marl_pr_common.envs.jit import jit
from marl_pr_common.tabular.schedules import Code
from marl_pr_common.tabular.star_kernels import schedule


def alias_table(transition: Floats) -> tuple[Floats, Ints]:
    """Walker's alias method for every row of (..., S): thresholds and aliases, so that one uniform number draws s'."""
    size = transition.shape[-1]
    threshold, alias = np.ones(transition.shape), np.zeros(transition.shape, dtype=np.int64)
    for index in np.ndindex(*transition.shape[:-1]):
        mass = transition[index] / transition[index].sum() * size
        small, large = list(np.flatnonzero(mass < 1.0)), list(np.flatnonzero(mass >= 1.0))
        alias[index] = np.arange(size)
        while small and large:
            low, high = small.pop(), large[-1]
            threshold[(*index, low)], alias[(*index, low)] = mass[low], high
            mass[high] -= 1.0 - mass[low]
            if mass[high] < 1.0:
                small.append(large.pop())
    return threshold, alias


@jit
def _star(
    values: Floats, means: Floats, indptr: Ints, indices: Ints, data: Floats, near: Ints, w: Floats, complete: bool,
    s: int, a: int, shrink: float, mixed: Floats, star: Floats,
) -> None:  # fmt: skip
    """Q_star of eq. 6 for every agent into ``star``, (N,): one number for all agents on the complete graph."""
    if complete:
        value = means[s, a]
        if shrink > 0.0:
            sharp = 0.0
            for e in range(indptr[s], indptr[s + 1]):
                sharp += data[e] * means[indices[e], a]
            value += shrink * (sharp - value)
        star[:] = value
        return
    n = star.shape[0]
    for j in range(n):
        mixed[j] = values[s, a, j] * (1.0 - shrink)
    if shrink > 0.0:
        for e in range(indptr[s], indptr[s + 1]):
            for j in range(n):
                mixed[j] += shrink * data[e] * values[indices[e], a, j]
    for i in range(n):
        total = 0.0
        for k in range(w.shape[1]):
            total += w[i, k] * mixed[near[i, k]]
        star[i] = total


@jit
def train_digital(
    threshold: Floats, alias: Ints, reward: Floats, noise: float, gamma: float,
    values: Floats, visits: Ints, means: Floats, frozen_values: Floats, frozen_means: Floats,
    indptr: Ints, indices: Ints, data: Floats, peers: Ints, mix: Floats, complete: bool,
    alpha: Code, beta: Code, pull: Code, refresh: int, s: int, first: int, steps: int, rng: np.random.Generator,
) -> int:  # fmt: skip
    """Run ``steps`` steps from state ``s``; the tables, (S, A, N) and (S, A), change in place. Returns the last
    state."""
    n_states, n_actions, n = values.shape
    mixed, star = np.zeros(n), np.zeros(n)
    for step in range(first, first + steps):
        if refresh > 1 and step % refresh == 0:
            frozen_values[:] = values
            frozen_means[:] = means
        a = int(rng.random() * n_actions)
        cell = rng.random() * n_states
        following = int(cell)
        if cell % 1.0 >= threshold[s, a, following]:
            following = alias[s, a, following]
        k = visits[s, a]
        step_a = schedule(alpha[0], alpha[1], alpha[2], k, 0.0)
        step_b = schedule(beta[0], beta[1], beta[2], k, 0.0)
        if step_b > 0.0:
            shrink = schedule(pull[0], pull[1], pull[2], k, k * n)
            m = step % mix.shape[0]
            _star(
                frozen_values, frozen_means, indptr, indices, data, peers[m], mix[m], complete,
                s, a, shrink, mixed, star,
            )  # fmt: skip
        total = 0.0
        for i in range(n):
            best = values[following, 0, i]
            for other in range(1, n_actions):
                best = max(best, values[following, other, i])
            old = values[s, a, i]
            target = reward[s, a, i] + noise * (2.0 * rng.random() - 1.0) + gamma * best
            new = old + step_a * (target - old) + step_b * (star[i] - old)  # eq. 5
            mixed[i] = new  # written back below: s' may equal s
            total += new
        values[s, a] = mixed
        means[s, a] = total / n
        visits[s, a] = k + 1
        s = following
    return s
