"""The reciprocity target as pure functions: eq. 4, 6 and 12 of arXiv 2304.05632, for NumPy arrays and torch tensors.

Axes are named in every docstring: i is the agent whose value is formed, j a peer, a an adjacent state, b a row of the
batch. ``(...)`` stands for any leading axes, such as the critics of clipped double Q-learning.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch as th

from marl_pr_common.reciprocity.config import ReciprocityConfig, Weights

Array = TypeVar("Array", np.ndarray, th.Tensor)


def _namespace(array: Array) -> Any:
    return th if isinstance(array, th.Tensor) else np


def adjacency_weights(
    distance: Array, weights: Weights = "exponential", temperature: float = 1.0, axis: int = 0
) -> Array:
    """Weights of the adjacent states of one state, eq. 4: exp(d - rho) / Z; the dimension d cancels.

    :param distance: rho_s#, the distance of each adjacent state, >= 0; any shape. An infinite distance means that
        the state does not belong to the adjacency space: its weight is 0
    :param weights: "exponential" is eq. 4; "uniform" the version of the paper's experiments
    :param temperature: divides the distance; 1 is eq. 4
    :param axis: the axis of the adjacent states
    :return: same shape as ``distance``; sums to 1 along ``axis`` (to 0 where every distance is infinite)
    """
    xp = _namespace(distance)
    inside = xp.isfinite(distance)
    if weights == "uniform":
        weight = xp.where(inside, xp.ones_like(distance), xp.zeros_like(distance))
    else:
        finite = xp.where(inside, distance, xp.zeros_like(distance))
        # exp(-rho) relative to the nearest state: the shift cancels in Z and keeps exp() from underflowing
        nearest = xp.where(inside, distance, xp.full_like(distance, xp.inf))
        nearest = nearest.min(axis, keepdims=True) if xp is np else nearest.amin(axis, keepdim=True)
        nearest = xp.where(xp.isfinite(nearest), nearest, xp.zeros_like(nearest))
        weight = xp.where(inside, xp.exp((nearest - finite) / temperature), xp.zeros_like(distance))
    total = _sum(weight, axis)
    result: Array = weight / xp.where(total > 0, total, xp.ones_like(total))
    return result


def adjacent_value(values: Array, weights: Array, axis: int = 0) -> Array:
    """Q_#(s, a) of eq. 4: the weighted mean of the values at the adjacent states.

    :param values: Q(s#, a), any shape
    :param weights: from :func:`adjacency_weights`, same shape
    :param axis: the axis of the adjacent states, summed away
    """
    result: Array = (values * weights).sum(axis)
    return result


def tabular_reciprocal_value(same: Array, adjacent: Array, peer_weights: Array, kappa: float) -> Array:
    """Q_* of eq. 6: sum_j w_ij (kappa Q_j(s, a) + (1 - kappa) Q_#j(s, a)).

    Here kappa weights the *same-state* term; in eq. 12 (:func:`reciprocal_value`) it weights the peers.

    :param same: Q_j(s, a), (n_agents, ...)
    :param adjacent: Q_#j(s, a), (n_agents, ...)
    :param peer_weights: (n_agents, n_agents), row i holds the weights w_ij of agent i, usually 1 / abs(N_i)
    :param kappa: in [0, 1]
    :return: (n_agents, ...)
    """
    mixed = kappa * same + (1 - kappa) * adjacent
    flat = peer_weights @ mixed.reshape(mixed.shape[0], -1)
    return flat.reshape(mixed.shape)


def reciprocal_value(
    own: Array, peers: Array, peer_weights: Array, adjacent_weights: Array, config: ReciprocityConfig
) -> Array:
    """Z*_i of eq. 12: (1 - kappa) Z_i(s, a) + kappa sum_j sum_s# w_j w_s# Z_j(s#, a).

    A peer value that is not finite is left out. With ``normalize="mean"`` the other weights of that row are scaled
    up to sum to 1 again; a row without any peer value left keeps the agent's own value.

    :param own: Z_i(s_b, a_b), (..., n_agents, batch)
    :param peers: Z_j(s#, a_b) with s# adjacent to agent i's state s_b, (..., i, j, n_adjacent, batch)
    :param peer_weights: w_j, (i, j) or per row (i, j, batch); 0 where j is not in N_i
    :param adjacent_weights: w_s#, (i, n_adjacent, batch); sums to 1 over n_adjacent
    :param config: ``kappa`` and ``normalize`` are read
    :return: (..., n_agents, batch)
    """
    xp = _namespace(own)
    if peer_weights.ndim == 2:
        peer_weights = peer_weights[:, :, None]
    weight = peer_weights[:, :, None, :] * adjacent_weights[:, None, :, :]  # (i, j, n_adjacent, batch)
    values = peers
    if not xp.isfinite(peers.sum()):  # one pass over the values where nothing is wrong, as nearly always
        usable = xp.isfinite(peers)
        weight = xp.where(usable, weight, xp.zeros_like(weight))
        values = xp.where(usable, peers, xp.zeros_like(peers))
    mixture = _sum_peers(weight * values)
    if config.normalize == "sum":
        # the literal double sum: the states of S# count |S#| together, 1 each with uniform weights
        mixed = (1 - config.kappa) * own + config.kappa * adjacent_weights.shape[1] * mixture
    else:
        total = _sum_peers(weight)
        mean = mixture / xp.where(total > 0, total, xp.ones_like(total))
        mixed = xp.where(total > 0, (1 - config.kappa) * own + config.kappa * mean, own)
    # an agent without peers in this row keeps its own value, whatever kappa is
    alone = _sum(peer_weights, 1)[:, 0] == 0
    result: Array = xp.where(alone, own, mixed)
    return result


def sampled_reciprocal_value(own: Array, peer: Array, scale: Array, config: ReciprocityConfig) -> Array:
    """An unbiased estimate of eq. 12 from one peer and one adjacent state per row, drawn with their weights.

    :param own: Z_i(s, a), (..., n_agents, batch)
    :param peer: Z_j(s#, a) of the drawn peer and state, (..., n_agents, batch); not finite counts as no peer
    :param scale: (n_agents, 1): sum of all weights of the double sum, 1 for a mean; 0 for an agent without peers
    :return: (..., n_agents, batch)
    """
    xp = _namespace(own)
    result: Array = xp.where(
        xp.isfinite(peer) & (scale > 0), (1 - config.kappa) * own + config.kappa * scale * peer, own
    )
    return result


def peer_statistics(
    own: Array, peers: Array, peer_weights: Array, adjacent_weights: Array
) -> tuple[Array, Array, Array]:
    """What the peers believe beside the agent's own value, for the logs; arguments as in :func:`reciprocal_value`.

    :return: per agent, each (..., n_agents): the mean peer value, the gap (peers minus own), and the disagreement,
        the mean of abs(Z_j - Z_i). NaN for an agent that has no usable peer value
    """
    xp = _namespace(own)
    if peer_weights.ndim == 2:
        peer_weights = peer_weights[:, :, None]
    weight = peer_weights[:, :, None, :] * adjacent_weights[:, None, :, :]
    usable = xp.isfinite(peers)
    weight = xp.where(usable, weight, xp.zeros_like(weight))
    values = xp.where(usable, peers, xp.zeros_like(peers))
    mine = own[..., :, None, None, :]
    total = _sum_peers(weight).sum(-1)  # a row of zeros gives 0 / 0 = NaN on purpose: nothing was compared

    def mean(quantity: Array) -> Array:
        with np.errstate(invalid="ignore"):
            result: Array = _sum_peers(weight * quantity).sum(-1) / total
        return result

    return mean(values), mean(values - mine), mean(abs(values - mine))


def without_bad_gradients(actions: th.Tensor) -> th.Tensor:
    """The actions for the peers to value: what comes back from a broken peer (0 times NaN is NaN) counts as 0."""
    passed = actions.view_as(actions)
    if passed.requires_grad:
        passed.register_hook(lambda gradient: gradient.nan_to_num(0.0, 0.0, 0.0))  # type: ignore[no-untyped-call]
    return passed


def target_gain(config: ReciprocityConfig, gamma: float, n_peers: float, n_adjacent: int) -> float:
    """Largest factor by which one update can amplify the values: gamma (1 - kappa + kappa abs(N_i) abs(S#)).

    The target is a contraction, and the values stay bounded, only below 1. With ``normalize="mean"`` the weights
    sum to 1 and the gain is gamma.

    :param n_peers: the largest row sum of the peer weights, abs(N_i) for a plain graph
    :param n_adjacent: abs(S#)
    """
    if config.normalize == "mean" or n_peers == 0 or config.kappa == 0:
        return gamma
    return gamma * (1 - config.kappa + config.kappa * n_peers * n_adjacent)


def check_gain(config: ReciprocityConfig, gamma: float, n_peers: float, n_adjacent: int) -> None:
    """Refuse literal sums that diverge.

    :raises ValueError: if the gain of :func:`target_gain` is >= 1 under ``normalize="sum"``
    """
    gain = target_gain(config, gamma, n_peers, n_adjacent)
    if config.normalize == "sum" and config.kappa > 0 and gain >= 1:
        raise ValueError(
            f'normalize="sum" would diverge: gamma * (1 - kappa + kappa * |N_i| * |S#|) = {gain:.4g} >= 1 with '
            f"gamma={gamma}, kappa={config.kappa}, |N_i|={n_peers:g}, |S#|={n_adjacent}. "
            'Use normalize="mean", or fewer peers, fewer adjacent states or a smaller kappa.'
        )


def _sum(array: Array, axis: int) -> Array:
    """Sum that keeps the axis."""
    result: Array = array.sum(axis, keepdims=True) if isinstance(array, np.ndarray) else array.sum(axis, keepdim=True)
    return result


def _sum_peers(array: Array) -> Array:
    """Sum over peers j and adjacent states: (..., i, j, n_adjacent, batch) -> (..., i, batch)."""
    result: Array = array.sum((-3, -2))
    return result
