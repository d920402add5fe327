"""The options of MAPTF and DVM; docs/maptf.md and docs/dvm.md say where each default comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from marl_pr_common.config import check_literals

OptionSet = Literal["all", "self"]


@dataclass(frozen=True)
class MAPTFConfig:
    """Options of MAPTF (Yang et al., NeurIPS 2021, arXiv 2002.08030)."""

    options: OptionSet = "all"
    """Whom an agent may imitate: any agent, itself included (all), or itself alone (self): the base learner."""
    c1: float = 0.005
    """Weight of the transfer loss in the actor's."""
    c3: float = 5e-4
    """How fast that weight decays: f(e) = 0.5 + tanh(3 - c3 e) / 2 after e episodes."""
    xi: float = 0.005
    """Added to an option's advantage: how much better than it another must be for its termination to grow."""
    embedding: int = 32
    """Size of the features phi that rewards are linear in."""
    encoder_hidden: int = 64
    """Hidden units of phi and of its decoder."""
    option_hidden: int = 128
    """Hidden units of both layers below the successor and termination heads."""
    option_lr: float = 1e-5
    """Adam's learning rate of the successor features."""
    termination_lr: float = 1e-5
    """Adam's learning rate of the termination probabilities."""
    reward_lr: float = 3e-4
    """Adam's learning rate of phi, its decoder and the preferences w_i."""
    option_batch_size: int = 32
    """Transitions of single agents in one update."""
    option_replay: int = 100_000
    """Transitions of single agents that the options' replay holds."""
    option_start: int = 1000
    """Env steps before the options learn."""
    option_update_every: int = 10
    """Env steps of the team for each update of the options. The paper updates at every one, which is 1."""
    target_interval: int = 1000
    """Updates between two copies into the options' target network."""
    greedy_step: float = 0.005
    """Growth per episode of the probability that an option is chosen greedily; it begins at 0."""
    greedy_max: float = 0.95
    """Where that probability ends."""
    reconstruction: float = 0.1
    """Weight of the decoder's error beside the reward's."""
    option_clip: float = 10.0
    """Largest norm of a gradient of successor features or terminations."""
    reward_clip: float = 0.2
    """Largest norm of a gradient of phi, its decoder and the preferences."""

    def __post_init__(self) -> None:
        check_literals(self)
        _check_ranges(
            self, {"greedy_max": 1.0}, zero=("c1", "c3", "xi", "option_start", "greedy_step", "reconstruction")
        )


@dataclass(frozen=True)
class DVMConfig:
    """Options of DVM (Wadhwania et al., IROS 2019, arXiv 1903.06592)."""

    episodes: int = 1000
    """K: episodes of the team between two distillations."""
    minibatches: int = 2048
    """M: minibatches of a distillation."""
    batch_size: int = 1024
    """Env steps of the team in one minibatch, with what every agent saw and did in them."""
    temperature: float = 1.0
    """T of the teachers' softmax: below 1 they are sharper than they act."""

    def __post_init__(self) -> None:
        check_literals(self)
        _check_ranges(self, {}, zero=())


def _check_ranges(config: Any, largest: dict[str, float], zero: tuple[str, ...]) -> None:
    """Raise ValueError for a number that is not finite, below 0, 0 where that makes no sense, or too large."""
    for field in fields(config):
        value, name = getattr(config, field.name), field.name
        if field.type == "int" and type(value) is not int:
            raise ValueError(f"{name}={value!r}: expected an integer.")
        if field.type not in ("int", "float"):
            continue
        least = ">= 0" if name in zero else "> 0"
        most = f" and <= {largest[name]:g}" if name in largest else ""
        fits = value > 0 or (value == 0 and name in zero)
        if not (fits and value <= largest.get(name, math.inf) and math.isfinite(value)):
            raise ValueError(f"{name}={value!r}: expected a finite number {least}{most}.")
