"""What the theorems speak about, as numbers: boundedness, consensus, distance to Q*, and the policy MSE of Figure 2.

All functions take tables q of shape (..., N, S, A), agents third from the end, and reduce the last three axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from marl_pr_common.config.arrays import Floats


def boundedness(q: Floats) -> Floats:
    """Theorem 1: sup |Q_i(s, a)|, (...,)."""
    return np.asarray(np.abs(q).max(axis=(-3, -2, -1)))


def consensus_error(q: Floats) -> Floats:
    """Theorem 2, eq. 9: sup over i, s, a of |Q_i - Qbar|, (...,)."""
    return np.asarray(np.abs(q - q.mean(axis=-3, keepdims=True)).max(axis=(-3, -2, -1)))


def mean_distance(q: Floats, q_star: Floats) -> Floats:
    """sup |Qbar - Q*|, (...,): what Figures 2 and 3 of the paper leave out.

    :param q_star: (S, A) from ``optimal_q``
    """
    return np.asarray(np.abs(q.mean(axis=-3) - q_star).max(axis=(-2, -1)))


def distance(q: Floats, q_star: Floats) -> Floats:
    """Theorem 3, eq. 11: sup over i, s, a of |Q_i - Q*|, (...,)."""
    return np.asarray(np.abs(q - q_star).max(axis=(-3, -2, -1)))


def process_distance(q: Floats, q_kappa_1: Floats) -> Floats:
    """Corollary 1, eq. 10: sup |Q_i - Qtilde_i| of two processes that saw the same transitions, (...,)."""
    return np.asarray(np.abs(q - q_kappa_1).max(axis=(-3, -2, -1)))


def boltzmann(q: ArrayLike, temperature: float = 1.0) -> Floats:
    """Policy exp(Q / T) / Z over the last axis, same shape as q.

    :raises ValueError: for a temperature that is not positive
    """
    if not temperature > 0:
        raise ValueError(f"temperature={temperature}: expected a number > 0.")
    scaled = np.asarray(q, dtype=np.float64) / temperature
    weight = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


def policy_mse(q: Floats, temperature: float = 1.0) -> Floats:
    """Figure 2, lower part: mean squared error between all agents' Boltzmann policies and their average, (...,)."""
    policy = boltzmann(q, temperature)
    return np.asarray(((policy - policy.mean(axis=-3, keepdims=True)) ** 2).mean(axis=(-3, -2, -1)))


def decay_slope(steps: ArrayLike, errors: ArrayLike) -> float:
    """Least-squares slope of log(error) against log(steps): -tau for an error that falls like steps^-tau."""
    return float(np.polyfit(np.log(np.asarray(steps, dtype=float)), np.log(np.asarray(errors, dtype=float)), 1)[0])
