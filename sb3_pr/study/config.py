"""The options of one training run: the schema of ``configs/sb3/*.yaml`` and of ``marl-pr train``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from marl_pr_common.config import check_literals
from marl_pr_common.envs.names import is_ours
from marl_pr_common.reciprocity import ReciprocityConfig

Algorithm = Literal["td3", "td3_pr", "ddpg", "ddpg_pr"]


EVALUATION_SEED = 10_000
"""Added to the run's seed: evaluation episodes differ from training episodes and are equal in all arms."""


@dataclass(frozen=True)
class TrainConfig:
    """One run of TD3 or DDPG, with or without reciprocity, on a gymnasium task with continuous actions.

    Every count of steps is per agent. Stable-Baselines3 itself counts total_timesteps, learning_starts and buffer_size
    over all agents; `train` multiplies, so that all arms of a comparison mean the same. The defaults are the
    paper's settings for HalfCheetah and Hopper (arXiv 2304.05632, Fig. 5) where it gives them.
    """

    env: str = "Pendulum-v1"
    """Gymnasium id of the task, with its version; or CooperativeNavigation-N or PredatorPrey-N, whose N agents share
    one world."""
    algo: Algorithm = "td3_pr"
    """Upstream TD3 or DDPG (one agent), or the same with Policy Reciprocity (n_agents agents)."""
    n_agents: int = 3
    """Number of agents of td3_pr and ddpg_pr, each in its own copy of the task, or the N of a multi-agent task. td3 and
    ddpg are always one agent."""
    timesteps_per_agent: int = 1_000_000
    """Environment steps of each agent; all agents together take n_agents times as many."""
    seed: int = 0
    """Seed of networks, exploration, replay and tasks."""
    shared_replay: bool = False
    """Whether every agent learns from the transitions of all agents. With pr.kappa 0 this is a control arm."""
    own_critics: bool = False
    """Whether every agent mixes in n_agents - 1 further critics of its own instead of its peers' (td3_pr, ddpg_pr): the
    control that tells reciprocity from an ensemble of the same size."""
    learning_rate: float = 3e-4
    """Adam's step size, for actors and critics."""
    buffer_size: int = 1_000_000
    """Transitions that the replay buffer keeps of each agent."""
    learning_starts: int = 1_000
    """Steps of each agent with uniformly random actions and no update."""
    batch_size: int = 256
    """Transitions per update of each agent."""
    tau: float = 0.005
    """Polyak factor of the target networks, in (0, 1]."""
    gamma: float = 0.99
    """Discount factor, in [0, 1]."""
    action_noise: float = 0.1
    """Standard deviation of the Gaussian exploration noise, as a fraction of half the action range."""
    policy_delay: int = 2
    """Critic updates per actor update (td3, td3_pr)."""
    target_policy_noise: float = 0.2
    """Standard deviation of the noise on target actions (td3, td3_pr)."""
    target_noise_clip: float = 0.5
    """Largest noise on target actions (td3, td3_pr)."""
    net_arch: tuple[int, ...] = (256, 256)
    """Hidden units per layer of every actor and critic."""
    train_freq: int = 1
    """Steps of each agent between two updates."""
    gradient_steps: int = 1
    """Updates of each agent every train_freq steps."""
    eval_every: int = 5_000
    """Steps of each agent between two evaluations; one more comes before the first step and one after the last."""
    eval_episodes: int = 10
    """Episodes per agent and evaluation, without exploration noise, on a task of their own."""
    checkpoint_every: int = 50_000
    """Steps of each agent between two checkpoints, from which an interrupted run goes on exactly; 0 saves none in
    between. A checkpoint holds the replay buffer; the newest two are kept."""
    final_checkpoint: bool = True
    """Whether a complete run keeps a last checkpoint, replay included (cells of a comparison do not)."""
    device: str = "auto"
    """torch device: auto, cpu, cuda, cuda:1, mps."""
    threads: int = 1
    """CPU threads of torch. More than one seldom pays for networks of this size."""
    fast: bool = False
    """Products by oneDNN where that keeps float32 precision, observations stored in float32 (td3_pr, ddpg_pr)."""
    pr: ReciprocityConfig = field(default_factory=ReciprocityConfig)
    """Options of Policy Reciprocity (td3_pr, ddpg_pr)."""

    def __post_init__(self) -> None:
        check_literals(self)
        for name in _POSITIVE:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name}={value!r}: expected an integer >= 1.")
        for name, (low, high, expected) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not (low <= value <= high and math.isfinite(value)):
                raise ValueError(f"{name}={value!r}: expected {expected}.")
        if self.tau == 0 or self.learning_rate == 0:
            raise ValueError(
                f"tau={self.tau!r}, learning_rate={self.learning_rate!r}: with 0 nothing would be learned."
            )
        if not self.net_arch or min(self.net_arch) < 1:
            raise ValueError(f"net_arch={self.net_arch!r}: expected at least one layer of at least one unit.")
        if not self.env:
            raise ValueError("env is empty: expected a gymnasium id such as 'Hopper-v5'.")

    @property
    def evaluation_protocol(self) -> str:
        """How evaluations are made, in words: the same for all runs that may be compared."""
        whose = "of the whole team" if self.multi_agent else "per agent"
        episodes = f"{self.eval_episodes} episode{'' if self.eval_episodes == 1 else 's'} {whose}"
        return f"{episodes}, deterministic, seed {EVALUATION_SEED} + seed"

    @property
    def reciprocal(self) -> bool:
        """Whether the algorithm is one of this package, rather than upstream's own."""
        return self.algo.endswith("_pr")

    @property
    def multi_agent(self) -> bool:
        """Whether the task is one world with several agents, rather than a task that every agent has a copy of."""
        return is_ours(self.env)

    @property
    def team_size(self) -> int:
        """Number of agents that this run really has."""
        return self.n_agents if self.reciprocal else 1


_POSITIVE = (
    *("n_agents", "timesteps_per_agent", "buffer_size", "batch_size", "policy_delay"),
    *("train_freq", "gradient_steps", "eval_every", "eval_episodes", "threads"),
)
_RANGES = {
    "seed": (0, 2**31 - 1, "an integer in [0, 2**31 - 1]"),
    "learning_rate": (0.0, 1e6, "a number in (0, 1e6]"),
    "learning_starts": (0, 2**62, "an integer >= 0"),
    "checkpoint_every": (0, 2**62, "an integer >= 0"),
    "tau": (0.0, 1.0, "a number in (0, 1]"),
    "gamma": (0.0, 1.0, "a number in [0, 1]"),
    "action_noise": (0.0, math.inf, "a finite number >= 0"),
    "target_policy_noise": (0.0, math.inf, "a finite number >= 0"),
    "target_noise_clip": (0.0, math.inf, "a finite number >= 0"),
}
