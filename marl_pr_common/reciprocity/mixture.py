"""Eq. 4 and 12 of arXiv 2304.05632 as pure functions of tensors.

Axes are named in every docstring: i is the agent whose value is formed, j a peer, a an adjacent state, b a row of the
batch. ``(...)`` stands for any leading axes, such as the critics of clipped double Q-learning.
"""

from __future__ import annotations

import torch as th

from marl_pr_common.reciprocity import guards
from marl_pr_common.reciprocity.config import ReciprocityConfig, Weights
from marl_pr_common.reciprocity.weights import NORMALISATIONS, sum_peers


def adjacency_weights(
    distance: th.Tensor, weights: Weights = "exponential", temperature: float = 1.0, axis: int = 0
) -> th.Tensor:
    """Weights of the adjacent states of one state, eq. 4: exp(d - rho) / Z; the dimension d cancels.

    :param distance: rho_s#, the distance of each adjacent state, >= 0; any shape. An infinite distance means that
        the state does not belong to the adjacency space: its weight is 0
    :param weights: "exponential" is eq. 4; "uniform" the version of the paper's experiments
    :param temperature: divides the distance; 1 is eq. 4
    :param axis: the axis of the adjacent states
    :return: same shape as ``distance``; sums to 1 along ``axis`` (to 0 where every distance is infinite)
    """
    inside = th.isfinite(distance)
    if weights == "uniform":
        weight = inside.to(distance.dtype)
    else:
        # exp(-rho) relative to the nearest state: the shift cancels in Z and keeps exp() from underflowing
        nearest = th.where(inside, distance, th.inf).amin(axis, keepdim=True)
        nearest = th.where(th.isfinite(nearest), nearest, 0.0)
        weight = th.where(inside, th.exp((nearest - th.where(inside, distance, 0.0)) / temperature), 0.0)
    total = weight.sum(axis, keepdim=True)
    return weight / th.where(total > 0, total, 1.0)


def reciprocal_value(
    own: th.Tensor,
    peers: th.Tensor,
    peer_weights: th.Tensor,
    adjacent_weights: th.Tensor,
    config: ReciprocityConfig,
) -> th.Tensor:
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
    peer_weights = _per_row(peer_weights)
    weights = peer_weights[:, :, None, :] * adjacent_weights[:, None, :, :]  # (i, j, n_adjacent, batch)
    # one pass over the values where nothing is wrong, as nearly always; where that could not be read, all of it
    if not guards.at_hand(peers) or not th.isfinite(peers.sum()):
        weights, peers = _usable(weights, peers)
    normalisation = NORMALISATIONS[config.normalize]
    total, some = normalisation.double_sum(weights, peers, peer_weights)
    share = config.kappa * normalisation.together(adjacent_weights.shape[1])
    # an agent without peers in this row keeps its own value, whatever kappa is
    return th.where(some, (1 - config.kappa) * own + share * total, own)  # eq. 12


def with_itself(
    own: th.Tensor, peers: th.Tensor, peer_weights: th.Tensor, kept: th.Tensor
) -> tuple[th.Tensor, th.Tensor]:
    """The agent among its peers, with its own value of s for every adjacent state.

    :param kept: (i,): what each agent keeps of the weights; 0 leaves its place as it is
    :return: ``peers`` and ``peer_weights``, arguments of :func:`reciprocal_value`, with their diagonals filled
    """
    itself = th.diag(kept)
    values = th.where((itself > 0)[:, :, None, None], own[..., :, None, None, :], peers)
    return values, peer_weights + (itself if peer_weights.ndim == 2 else itself[:, :, None])


def sampled_reciprocal_value(
    own: th.Tensor, peer: th.Tensor, scale: th.Tensor, config: ReciprocityConfig, kept: th.Tensor | None = None
) -> th.Tensor:
    """An unbiased estimate of eq. 12 from one peer and one adjacent state per row, drawn with their weights.

    :param own: Z_i(s, a), (..., n_agents, batch)
    :param peer: Z_j(s#, a) of the drawn peer and state, (..., n_agents, batch); not finite counts as no peer
    :param scale: (n_agents, 1): sum of all weights of the double sum, 1 for a mean; 0 for an agent without peers
    :param kept: (n_agents,): the part of that weight that each agent keeps for its own value of s
    :return: (..., n_agents, batch)
    """
    if kept is not None:
        share = config.kappa * (1 - kept[:, None]) * scale
        return th.where(th.isfinite(peer) & (scale > 0), (1 - share) * own + share * peer, own)
    return th.where(th.isfinite(peer) & (scale > 0), (1 - config.kappa) * own + config.kappa * scale * peer, own)


def one_voice_value(own: th.Tensor, peer: th.Tensor, spoken: th.Tensor) -> th.Tensor:
    """An unbiased estimate of eq. 12 from one critic per row.

    :param own: Z_i(s, a), (..., n_agents, batch)
    :param peer: Z_j(s#, a) of the drawn peer and state, like ``own``; not finite counts as no peer
    :param spoken: (n_agents, batch) booleans: the rows for which a peer was drawn
    """
    return th.where(spoken & th.isfinite(peer), peer, own)


def peer_statistics(
    own: th.Tensor, peers: th.Tensor, peer_weights: th.Tensor, adjacent_weights: th.Tensor
) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
    """What the peers believe beside the agent's own value, for the logs; arguments as in :func:`reciprocal_value`.

    :return: per agent, each (..., n_agents): the mean peer value, the gap (peers minus own), and the disagreement,
        the mean of abs(Z_j - Z_i). NaN for an agent that has no usable peer value
    """
    weights, values = _usable(_per_row(peer_weights)[:, :, None, :] * adjacent_weights[:, None, :, :], peers)
    mine = own[..., :, None, None, :]
    total = sum_peers(weights).sum(-1)  # a row of zeros gives 0 / 0 = NaN on purpose: nothing was compared

    def mean(quantity: th.Tensor) -> th.Tensor:
        return sum_peers(weights * quantity).sum(-1) / total

    return mean(values), mean(values - mine), mean(abs(values - mine))


def without_bad_gradients(actions: th.Tensor) -> th.Tensor:
    """The actions for the peers to value: what comes back from a broken peer (0 times NaN is NaN) counts as 0."""
    passed = actions.view_as(actions)
    if passed.requires_grad:
        passed.register_hook(lambda gradient: gradient.nan_to_num(0.0, 0.0, 0.0))  # type: ignore[no-untyped-call]
    return passed


def _per_row(peer_weights: th.Tensor) -> th.Tensor:
    return peer_weights[:, :, None] if peer_weights.ndim == 2 else peer_weights


def _usable(weights: th.Tensor, values: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """Both with 0 where the value is not finite."""
    usable = th.isfinite(values)
    return th.where(usable, weights, 0.0), th.where(usable, values, 0.0)
