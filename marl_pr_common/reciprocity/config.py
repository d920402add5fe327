"""The options of Policy Reciprocity: one frozen dataclass that YAMLs, constructors and commands are checked against."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from marl_pr_common.config.mapping import Count, Must, check_literals

Adjacency = Literal["same", "noise", "resample", "drop", "neighbours"]
Metric = Literal["l0", "euclidean", "cosine"]
Weights = Literal["exponential", "uniform"]
Peers = Literal["complete", "ring", "random", "matrix"]
Normalize = Literal["mean", "sum"]
MinOver = Literal["peer", "mixture"]
Estimator = Literal["full", "one_state", "sampled", "one_voice"]
Trust = Literal["uniform", "td"]


@dataclass(frozen=True)
class ReciprocityConfig:
    """Options of the reciprocal value Z* of eq. 12 (arXiv 2304.05632, section IV).

    Z*_i(s, a) = (1 - kappa) Z_i(s, a) + kappa * sum_j sum_{s#} w_j w_{s#} Z_j(s#, a)
    """

    kappa: Annotated[float, Must("a number in [0, 1]; 0 switches reciprocity off", lambda x: 0 <= x <= 1)] = 0.5
    """Weight of the peers in the value target, in [0, 1]; 0 is the upstream algorithm. (The tabular eq. 6 uses
    the letter the other way round: there kappa weights the same-state term.)"""
    adjacency: Adjacency = "same"
    """Which states s# are adjacent to s: s itself (same), s with at most rho coordinates changed by Gaussian noise
    (noise), by values seen elsewhere in the batch (resample) or to their mean (drop), or the nearest rows of the
    batch (neighbours)."""
    rho: Count = 1
    """Adjacency level: at most this many coordinates of s# differ from s (noise, resample, drop)."""
    n_adjacent: Count = 1
    """Number of adjacent states per state, s itself not counted. Unused by adjacency "same"."""
    include_self: bool = True
    """Whether s itself belongs to its adjacency space. Adjacency "same" always contains it."""
    weights: Weights = "exponential"
    """Weights of the adjacent states: exp(-rho_s# / temperature), normalised (exponential, eq. 4), or equal
    (uniform, as in the paper's experiments)."""
    temperature: Annotated[float, Must("a number > 0", lambda x: x > 0)] = 1.0
    """Temperature of the exponential weights; 1 is eq. 4, infinity is uniform."""
    noise_scale: Annotated[float, Must("a finite number > 0", lambda x: 0 < x < math.inf)] = 0.1
    """Standard deviation of adjacency "noise", as a fraction of each coordinate's running standard deviation."""
    metric: Metric = "euclidean"
    """Distance of adjacency "neighbours"."""
    peers: Peers = "complete"
    """Neighbour sets N_i: all other agents (complete), the two next on a ring (ring), n_peers random ones
    (random, redrawn every sync_interval), or peer_matrix (matrix)."""
    n_peers: Count = 1
    """Size of N_i for peers "random"."""
    peer_matrix: tuple[tuple[float, ...], ...] | None = None
    """For peers "matrix": (n_agents, n_agents) weights >= 0, row i says how agent i weights each agent j.
    In Python or a YAML file; not on the command line."""
    normalize: Normalize = "mean"
    """Whether the weights of the double sum add up to 1 (mean), or every peer weighs 1 and the adjacent states of a
    state together as many as they are (sum): with uniform weights the literal eq. 12."""
    min_over: MinOver = "peer"
    """Clipped double Q: take the minimum over the critics inside each agent, then mix (peer), or mix each critic
    and take the minimum last (mixture)."""
    estimator: Estimator = "full"
    """Evaluate every peer on every adjacent state (full); every peer on one adjacent state, drawn with its weight
    (one_state); one random peer on one random adjacent state per row of the batch (sampled); or every row by one
    critic alone, the agent's own with probability 1 - kappa, else a peer's (one_voice). The draws are unbiased, and
    cheaper. With adjacency "same", full and one_state are one and the same."""
    trust: Trust = "uniform"
    """Whether all peers count as the graph says (uniform), or the less, the worse their target critics predict the
    agent's own targets (td): each counts in proportion to D^-trust_power, D the running mean of the squared TD error.
    The agent then stands among its peers, with its own value of s."""
    trust_power: Annotated[float, Must("a finite number > 0", lambda x: 0 < x < math.inf)] = 8.0
    """How strongly errors tell with trust "td"; a peer with twice the error counts 2^-trust_power."""
    sync_interval: Count = 1
    """Gradient steps between two snapshots of the peers' target networks; 1 reads the live target networks."""
    in_actor: bool = False
    """Whether the actor's gradient also follows the reciprocal value (the paper's eq. 13 uses the own critic)."""
    consensus: Annotated[float, Must("a number in [0, 1]; 0 switches it off", lambda x: 0 <= x <= 1)] = 0.0
    """Elastic averaging: after every optimiser step each agent's parameters move by this share towards the mean of its
    peers', weighted as in eq. 12. All agents then begin with the same weights."""

    def __post_init__(self) -> None:
        check_literals(self)
        if (self.peers == "matrix") != (self.peer_matrix is not None):
            raise ValueError(
                f'peers={self.peers!r} with peer_matrix={self.peer_matrix!r}: peers="matrix" and peer_matrix go '
                "together. Give both or neither."
            )
        if self.normalize == "sum":
            self._refuse_for_literal_sums()

    def _refuse_for_literal_sums(self) -> None:
        reasons = {
            "trust": (self.trust, "uniform", "trust divides a weight of 1 among the agent and its peers"),
            "consensus": (self.consensus, 0, "parameters move towards a mean"),
        }
        for name, (value, plain, reason) in reasons.items():
            if value != plain:
                raise ValueError(f'{name}={value!r} with normalize="sum": {reason}. Use normalize="mean".')
        if self.estimator == "one_voice":
            raise ValueError(
                'estimator="one_voice" with normalize="sum": the weights are probabilities of whose critic values a '
                'row, and literal weights add up to more than 1. Use normalize="mean".'
            )
