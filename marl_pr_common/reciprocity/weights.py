"""How much each peer counts in each row of eq. 12: the one place where ``normalize`` and peers' weights are decided.

*Trust* says how much of the graph's weight each peer has left, from what is known of its errors. A *rule* says how much
a peer counts in a batch, from that and what is known of the batch; static graphs are its special case.
A *normalisation* says what all weights of the double sum add up to.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch as th

from marl_pr_common.reciprocity import peers
from marl_pr_common.reciprocity.config import ReciprocityConfig

Rule = Callable[[th.Tensor, th.Tensor, th.Tensor | None, th.Tensor], th.Tensor]
"""(graph, own, values, states) -> weights w_j >= 0, (i, j), or per row of the batch (i, j, batch).

graph: (i, j), normalised as the options say; 0 where j is not in N_i, and there the weight is 0 too
own: Z_i(s, a), (n_critics, i, batch)
values: Z_j(s#, a), (n_critics, i, j, n_adjacent, batch); None for the estimator "sampled", which draws by the weights
    whom to ask and needs them as (i, j)
states: s, (i, batch, dim)
"""


def uniform(graph: th.Tensor, own: th.Tensor, values: th.Tensor | None, states: th.Tensor) -> th.Tensor:
    """The graph's own weights, the same in every row."""
    return graph


RULES: dict[str, Rule] = {"uniform": uniform}
"""Option ``trust`` -> how much a peer counts in each row."""

Trust = Callable[[peers.Matrix, peers.Matrix, float], peers.Matrix]
"""(graph, errors, power) -> weights W_ij, (i, j), of the same rows: what remains of the graph's, and on the diagonal
what the agent keeps for itself where it is no peer of its own.

graph: (i, j), 0 where j is not in N_i
errors: D_ij, running mean squared TD error of j's values on i's own data; NaN where nothing is known, infinite where
    j's last values were not finite
power: of the option ``trust_power``
"""


def trust_all(graph: peers.Matrix, errors: peers.Matrix, power: float) -> peers.Matrix:
    """The graph, whatever the errors."""
    return graph


def trust_by_error(graph: peers.Matrix, errors: peers.Matrix, power: float) -> peers.Matrix:
    """W_ij in proportion to g_ij D_ij^-power over N_i and i itself; rows sum to 1, or to 0 without peers.

    The agent counts as much as an average peer of its own would, unless the graph says how much. A peer of whom
    nothing is known is as good as the agent; where nothing is known of the agent itself, all are alike. Without errors
    in sight it is so left with 1 - kappa + kappa / (abs(N_i) + 1), and with bad peers only, with everything. Nobody
    whose values are not finite counts; where that holds for all, the agent keeps to itself.
    """
    heard = graph > 0
    with_itself = graph + np.diag(np.where(heard.diagonal(), 0.0, graph.sum(1) / np.maximum(heard.sum(1), 1)))
    own = errors.diagonal()[:, None]
    known = np.where(np.isnan(own), 1.0, np.where(np.isnan(errors), own, errors))
    known = np.where((with_itself > 0) & ~np.isinf(errors), known, np.inf)
    best = known.min(1, keepdims=True)
    with np.errstate(over="ignore"):
        ratio = np.divide(known, best, out=np.where(known > 0, np.inf, 1.0), where=(best > 0) & np.isfinite(known))
    weights = peers.normalized(with_itself * ratio**-power)
    return weights + np.diag(heard.any(1) & ~weights.any(1))


TRUST: dict[str, Trust] = {"uniform": trust_all, "td": trust_by_error}
"""Option ``trust`` -> the weights that it leaves in all rows. Every choice is here or in :data:`RULES`."""


class Mean:
    """The weights of the double sum add up to 1, over those of its values that are finite."""

    @staticmethod
    def rows(graph: peers.Matrix) -> peers.Matrix:
        """The graph's weights (i, j), scaled."""
        return peers.normalized(graph)

    @staticmethod
    def together(n_states: int) -> int:
        """What the weights of ``n_states`` adjacent states add up to."""
        return 1

    @staticmethod
    def total(peer_weights: th.Tensor, n_states: int) -> th.Tensor:
        """What all weights of the double sum add up to, (i, 1), for ``peer_weights`` (i, j); 0 without peers."""
        return (peer_weights.sum(1, keepdim=True) > 0).to(peer_weights.dtype)

    @staticmethod
    def double_sum(weights: th.Tensor, values: th.Tensor, peer_weights: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """Sum over peers and states, and which rows have one: a row without any peer value does not.

        :param weights: w_j w_s#, (..., i, j, n_adjacent, batch), 0 where there is no value; ``values`` likewise
        :return: each (..., i, batch)
        """
        total = sum_peers(weights)
        some = total > 0
        return sum_peers(weights * values) / th.where(some, total, 1.0), some


class LiteralSum:
    """Every peer weighs 1, or what the graph says, and the states of S# together abs(S#): eq. 12 to the letter with
    uniform weights of the states. Methods as in :class:`Mean`."""

    @staticmethod
    def rows(graph: peers.Matrix) -> peers.Matrix:
        return graph

    @staticmethod
    def together(n_states: int) -> int:
        return n_states

    @staticmethod
    def total(peer_weights: th.Tensor, n_states: int) -> th.Tensor:
        return peer_weights.sum(1, keepdim=True) * n_states

    @staticmethod
    def double_sum(weights: th.Tensor, values: th.Tensor, peer_weights: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        return sum_peers(weights * values), peer_weights.sum(1) != 0


Normalisation = type[Mean] | type[LiteralSum]
NORMALISATIONS: dict[str, Normalisation] = {"mean": Mean, "sum": LiteralSum}
"""Option ``normalize`` -> what all weights add up to."""


def sum_peers(terms: th.Tensor) -> th.Tensor:
    """Sum over peers j and adjacent states: (..., i, j, n_adjacent, batch) -> (..., i, batch)."""
    return terms.sum((-3, -2))


def peer_matrix(config: ReciprocityConfig, n_agents: int, rng: np.random.Generator) -> peers.Matrix:
    """The weights w_ij of eq. 12 as the options ``peers`` and ``normalize`` ask for them.

    :param rng: read by peers "random" only
    :return: (n_agents, n_agents); with ``normalize="mean"`` each row sums to 1, or to 0 for an agent without peers;
        with "sum" every peer weighs 1 (or what ``peer_matrix`` says)
    :raises ValueError: if the graph does not fit the number of agents
    """
    return NORMALISATIONS[config.normalize].rows(peers.GRAPHS[config.peers](config, n_agents, rng))


def check_gain(config: ReciprocityConfig, gamma: float, n_peers: float, n_adjacent: int) -> None:
    """Refuse literal sums that diverge.

    One update can amplify the values by gamma (1 - kappa + kappa abs(N_i) abs(S#)). The target is a contraction, and
    the values stay bounded, only below 1. With ``normalize="mean"`` the weights sum to 1 and the factor is gamma.

    :param n_peers: the largest row sum of the peer weights, abs(N_i) for a plain graph
    :param n_adjacent: abs(S#)
    :raises ValueError: if the factor is >= 1 under ``normalize="sum"``
    """
    if config.normalize == "mean" or config.kappa == 0:
        return
    gain = gamma if n_peers == 0 else gamma * (1 - config.kappa + config.kappa * n_peers * n_adjacent)
    if gain >= 1:
        raise ValueError(
            f'normalize="sum" would diverge: gamma * (1 - kappa + kappa * |N_i| * |S#|) = {gain:.4g} >= 1 with '
            f"gamma={gamma}, kappa={config.kappa}, |N_i|={n_peers:g}, |S#|={n_adjacent}. "
            'Use normalize="mean", or fewer peers, fewer adjacent states or a smaller kappa.'
        )
