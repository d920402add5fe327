"""The options of MAPTF and DVM; docs/maptf.md and docs/dvm.md say where each default comes from."""

from dataclasses import dataclass
from typing import Annotated, Literal

from marl_pr_common.config.mapping import Count, Must, NonNegative, Positive, Whole, check_literals

OptionSet = Literal["all", "self"]


@dataclass(frozen=True)
class MAPTFConfig:
    """Options of MAPTF (Yang et al., NeurIPS 2021, arXiv 2002.08030)."""

    options: OptionSet = "all"
    """Whom an agent may imitate: any agent, itself included (all), or itself alone (self): the base learner."""
    c1: NonNegative = 0.005
    """Weight of the transfer loss in the actor's."""
    c3: NonNegative = 5e-4
    """How fast that weight decays: f(e) = 0.5 + tanh(3 - c3 e) / 2 after e episodes."""
    xi: NonNegative = 0.005
    """Added to an option's advantage: how much better than it another must be for its termination to grow."""
    embedding: Count = 32
    """Size of the features phi that rewards are linear in."""
    encoder_hidden: Count = 64
    """Hidden units of phi and of its decoder."""
    option_hidden: Count = 128
    """Hidden units of both layers below the successor and termination heads."""
    option_lr: Positive = 1e-5
    """Adam's learning rate of the successor features."""
    termination_lr: Positive = 1e-5
    """Adam's learning rate of the termination probabilities."""
    reward_lr: Positive = 3e-4
    """Adam's learning rate of phi, its decoder and the preferences w_i."""
    option_batch_size: Count = 32
    """Transitions of single agents in one update."""
    option_replay: Count = 100_000
    """Transitions of single agents that the options' replay holds."""
    option_start: Whole = 1000
    """Env steps before the options learn."""
    option_update_every: Count = 10
    """Env steps of the team for each update of the options. The paper updates at every one, which is 1."""
    target_interval: Count = 1000
    """Updates between two copies into the options' target network."""
    greedy_step: NonNegative = 0.005
    """Growth per episode of the probability that an option is chosen greedily; it begins at 0."""
    greedy_max: Annotated[float, Must("a finite number > 0 and <= 1", lambda x: 0 < x <= 1)] = 0.95
    """Where that probability ends."""
    reconstruction: NonNegative = 0.1
    """Weight of the decoder's error beside the reward's."""
    option_clip: Positive = 10.0
    """Largest norm of a gradient of successor features or terminations."""
    reward_clip: Positive = 0.2
    """Largest norm of a gradient of phi, its decoder and the preferences."""

    def __post_init__(self) -> None:
        check_literals(self)


@dataclass(frozen=True)
class DVMConfig:
    """Options of DVM (Wadhwania et al., IROS 2019, arXiv 1903.06592)."""

    episodes: Count = 1000
    """K: episodes of the team between two distillations."""
    minibatches: Count = 2048
    """M: minibatches of a distillation."""
    batch_size: Count = 1024
    """Env steps of the team in one minibatch, with what every agent saw and did in them."""
    temperature: Positive = 1.0
    """T of the teachers' softmax: below 1 they are sharper than they act."""

    def __post_init__(self) -> None:
        check_literals(self)
