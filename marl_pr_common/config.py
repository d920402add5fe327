"""The options of Policy Reciprocity: one frozen dataclass that YAMLs, constructors and commands are checked against."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from marl_pr_common.convert import convert

Adjacency = Literal["same", "noise", "resample", "drop", "neighbours"]
Metric = Literal["l0", "euclidean", "cosine"]
Weights = Literal["exponential", "uniform"]
Peers = Literal["complete", "ring", "random", "matrix"]
Normalize = Literal["mean", "sum"]
MinOver = Literal["peer", "mixture"]
Estimator = Literal["full", "one_state", "sampled"]

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True)
class ReciprocityConfig:
    """Options of the reciprocal value Z* of eq. 12 (arXiv 2304.05632, section IV).

    Z*_i(s, a) = (1 - kappa) Z_i(s, a) + kappa * sum_j sum_{s#} w_j w_{s#} Z_j(s#, a)
    """

    kappa: float = 0.5
    """Weight of the peers in the value target, in [0, 1]; 0 is the upstream algorithm. (The tabular eq. 6 uses
    the letter the other way round: there kappa weights the same-state term.)"""
    adjacency: Adjacency = "same"
    """Which states s# are adjacent to s: s itself (same), s with at most rho coordinates changed by Gaussian noise
    (noise), by values seen elsewhere in the batch (resample) or to their mean (drop), or the nearest rows of the
    batch (neighbours)."""
    rho: int = 1
    """Adjacency level: at most this many coordinates of s# differ from s (noise, resample, drop)."""
    n_adjacent: int = 1
    """Number of adjacent states per state, s itself not counted. Unused by adjacency "same"."""
    include_self: bool = True
    """Whether s itself belongs to its adjacency space. Adjacency "same" always contains it."""
    weights: Weights = "exponential"
    """Weights of the adjacent states: exp(-rho_s# / temperature), normalised (exponential, eq. 4), or equal
    (uniform, as in the paper's experiments)."""
    temperature: float = 1.0
    """Temperature of the exponential weights; 1 is eq. 4, infinity is uniform."""
    noise_scale: float = 0.1
    """Standard deviation of adjacency "noise", as a fraction of each coordinate's running standard deviation."""
    metric: Metric = "euclidean"
    """Distance of adjacency "neighbours"."""
    peers: Peers = "complete"
    """Neighbour sets N_i: all other agents (complete), the two next on a ring (ring), n_peers random ones
    (random, redrawn every sync_interval), or peer_matrix (matrix)."""
    n_peers: int = 1
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
    (one_state); or one random peer on one random adjacent state per row of the batch (sampled). The draws are
    unbiased, and cheaper. With adjacency "same", full and one_state are one and the same."""
    sync_interval: int = 1
    """Gradient steps between two snapshots of the peers' target networks; 1 reads the live target networks."""
    in_actor: bool = False
    """Whether the actor's gradient also follows the reciprocal value (the paper's eq. 13 uses the own critic)."""

    def __post_init__(self) -> None:
        check_literals(self)
        _check(0.0 <= self.kappa <= 1.0, "kappa", self.kappa, "a number in [0, 1]; 0 switches reciprocity off")
        for name in ("rho", "n_adjacent", "n_peers", "sync_interval"):
            value = getattr(self, name)
            _check(type(value) is int and value >= 1, name, value, "an integer >= 1")
        _check(self.temperature > 0, "temperature", self.temperature, "a number > 0")
        _check(0 < self.noise_scale < math.inf, "noise_scale", self.noise_scale, "a finite number > 0")
        if (self.peers == "matrix") != (self.peer_matrix is not None):
            raise ValueError(
                f'peers={self.peers!r} with peer_matrix={self.peer_matrix!r}: peers="matrix" and peer_matrix go '
                "together. Give both or neither."
            )


def check_literals(config: object) -> None:
    """Raise ValueError if a field annotated with ``Literal``, ``bool`` or ``float`` holds anything else.

    For a wrong choice the nearest one is suggested.
    """
    hints = get_type_hints(type(config))
    for field in fields(config):  # type: ignore[arg-type]
        choices = get_args(hints[field.name])
        value = getattr(config, field.name)
        if hints[field.name] is bool:
            _check(isinstance(value, bool), field.name, value, "True or False")
        if hints[field.name] is float:
            _check(isinstance(value, numbers.Real) and not isinstance(value, bool), field.name, value, "a number")
        if choices and all(isinstance(choice, str) for choice in choices) and value not in choices:
            raise ValueError(f"{field.name}={value!r} is not one of {', '.join(choices)}.{_suggest(value, choices)}")


def from_mapping(cls: type[ConfigT], options: Mapping[str, Any], where: str = "options") -> ConfigT:
    """Build the dataclass ``cls`` from a mapping; a nested mapping builds the nested dataclass.

    :param options: field names and values, for instance a YAML file's content
    :param where: what the mapping is, for the message
    :raises ValueError: for an unknown key or a value that the dataclass refuses; the message names both
    """
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    for key in options:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}. Known keys: {', '.join(known)}.{_suggest(key, known)}")
    hints = get_type_hints(cls)
    return cls(**{key: convert(value, hints[key], f"{where}: {key}", from_mapping) for key, value in options.items()})


def _check(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name}={value!r}: expected {expected}.")


def _suggest(value: object, choices: Collection[str]) -> str:
    close = difflib.get_close_matches(str(value), choices, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
