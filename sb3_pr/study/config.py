"""The options of one training run: the schema of ``configs/sb3/*.yaml`` and of ``marl-pr train``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from marl_pr_common.config.mapping import Count, Must, NonNegative, Positive, Whole, check_literals
from marl_pr_common.envs.factories import is_team
from marl_pr_common.reciprocity import ReciprocityConfig
from sb3_pr.algorithms.spec import ALGORITHMS

if TYPE_CHECKING:
    Algorithm = str
else:
    Algorithm = Literal[ALGORITHMS]
"""Upstream's name of an algorithm, or that name with ``_pr``."""

EVALUATION_SEED = 10_000
"""Of the first evaluation episode of a run with seed 0; see :attr:`TrainConfig.evaluation_seed`."""
SELDOM = 5_000
"""Steps of each agent between two evaluations, at most, where nobody says."""


CountOrNone = Annotated[
    int | None, Must("an integer >= 1, or null", lambda x: x is None or (type(x) is int and x >= 1))
]


@dataclass(frozen=True)
class TrainConfig:
    """One run of an algorithm, with or without reciprocity, on a gymnasium task with continuous actions.

    Every count of steps is per agent. Stable-Baselines3 itself counts total_timesteps, learning_starts and buffer_size
    over all agents; `train` multiplies, so that all arms of a comparison mean the same. The defaults are the
    paper's settings for HalfCheetah and Hopper (arXiv 2304.05632, Fig. 5) where it gives them.
    """

    env: str = "Pendulum-v1"
    """Gymnasium id of the task, with its version; or CooperativeNavigation-N or PredatorPrey-N, whose N agents share
    one world; or package.module:factory, a function or class of your own that returns a gymnasium env or a PettingZoo
    ParallelEnv, importable from the current directory."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the environment, for training and evaluation: frame_skip:4 terminate_when_unhealthy:false, or a
    mapping, {frame_skip: 4}. Runs with other ones are not compared."""
    algo: Algorithm = "td3_pr"
    """Upstream's algorithm (one agent), or the same with Policy Reciprocity, X_pr (n_agents agents)."""
    n_agents: Count = 3
    """Number of agents of X_pr, each in its own copy of the task. A team's is that of the environment, and is taken
    from it. Upstream's algorithms are always one agent."""
    timesteps_per_agent: Count = 1_000_000
    """Environment steps of each agent; all agents together take n_agents times as many."""
    seed: Annotated[int, Must("an integer in [0, 2**31 - 1]", lambda x: type(x) is int and 0 <= x < 2**31)] = 0
    """Seed of networks, exploration, replay and tasks."""
    shared_replay: bool = False
    """Whether every agent learns from the transitions of all agents. With pr.kappa 0 this is a control arm."""
    own_critics: bool = False
    """Whether every agent mixes in n_agents - 1 further critics of its own instead of its peers' (X_pr): the
    control that tells reciprocity from an ensemble of the same size."""
    learning_rate: Annotated[float, Must("a number in (0, 1e6]", lambda x: 0 < x <= 1e6)] = 3e-4
    """Adam's step size, for actors and critics."""
    buffer_size: Count = 1_000_000
    """Transitions that the replay buffer keeps of each agent."""
    learning_starts: Whole = 1_000
    """Steps of each agent with uniformly random actions and no update."""
    batch_size: Count = 256
    """Transitions per update of each agent."""
    tau: Annotated[float, Must("a number in (0, 1]", lambda x: 0 < x <= 1)] = 0.005
    """Polyak factor of the target networks, in (0, 1]."""
    gamma: Annotated[float, Must("a number in [0, 1]", lambda x: 0 <= x <= 1)] = 0.99
    """Discount factor, in [0, 1]."""
    action_noise: NonNegative = 0.1
    """Standard deviation of the Gaussian exploration noise, as a fraction of half the action range (td3, td3_pr, ddpg,
    ddpg_pr; sac explores by its policy)."""
    noise_factor: Positive = 1.0
    """Factor on action_noise, for the arm with twice the exploration."""
    policy_delay: Count = 2
    """Critic updates per actor update (td3, td3_pr)."""
    target_policy_noise: NonNegative = 0.2
    """Standard deviation of the noise on target actions (td3, td3_pr)."""
    target_noise_clip: NonNegative = 0.5
    """Largest noise on target actions (td3, td3_pr)."""
    ent_coef: float | str = "auto"
    """Weight of the entropy (sac, sac_pr): a number, or auto: every agent learns its own; auto_X begins with X."""
    target_entropy: float | str = "auto"
    """Entropy that a learnt weight steers to; auto is minus the number of actions (sac, sac_pr)."""
    net_arch: tuple[int, ...] = (256, 256)
    """Hidden units per layer of every actor and critic."""
    train_freq: Count = 1
    """Steps of each agent between two updates."""
    gradient_steps: Count = 1
    """Updates of each agent every train_freq steps."""
    eval_every: CountOrNone = None
    """Steps of each agent between two evaluations; one more comes before the first step and one after the last. Left
    out: a twentieth of timesteps_per_agent, 5,000 at most (in studies 5,000)."""
    eval_episodes: Count = 10
    """Episodes per agent and evaluation, without exploration noise, on a task of their own."""
    eval_vote: bool = True
    """Whether evaluations of several agents on copies of one task also play the vote of their critics over what each
    would do (eval/vote): as many episodes as for one more agent."""
    eval_max_steps: Whole = 0
    """Steps of one episode after which an evaluation fails, since it would never end; 0 is 30,000, or the task's own
    time limit if that is longer, and 10,000 for a team."""
    checkpoint_every: Whole = 50_000
    """Steps of each agent between two checkpoints, from which an interrupted run goes on exactly; 0 saves none in
    between. A checkpoint holds the replay buffer; the newest two are kept."""
    final_checkpoint: bool = True
    """Whether a complete run keeps a last checkpoint, replay included (cells of a comparison do not)."""
    device: str = "auto"
    """torch device: auto, cpu, cuda, cuda:1, mps."""
    threads: Count = 1
    """CPU threads of torch. More than one seldom pays for networks of this size."""
    fast: bool = False
    """Products by oneDNN where that keeps float32 precision, observations stored in float32 (X_pr)."""
    pr: ReciprocityConfig = field(default_factory=ReciprocityConfig)
    """Options of Policy Reciprocity (X_pr)."""

    def __post_init__(self) -> None:
        check_literals(self)
        if not self.net_arch or min(self.net_arch) < 1:
            raise ValueError(f"net_arch={self.net_arch!r}: expected at least one layer of at least one unit.")
        check_entropy(self.ent_coef, self.target_entropy)
        check_env_kwargs(self.env_kwargs)
        if not self.env:
            raise ValueError("env is empty: expected a gymnasium id such as 'Hopper-v5'.")

    @property
    def evaluation_protocol(self) -> str:
        """How evaluations are made, in words: the same for all runs that may be compared."""
        whose = "of the whole team" if self.multi_agent else "per agent"
        episodes = f"{self.eval_episodes} episode{'' if self.eval_episodes == 1 else 's'} {whose}"
        given = f", env_kwargs {json.dumps(self.env_kwargs, sort_keys=True)}" if self.env_kwargs else ""
        own = f"seeds from {EVALUATION_SEED} * (1 + seed) on"
        seeds = f"seed {EVALUATION_SEED} + seed" if self.multi_agent else own
        return f"{episodes}, deterministic, {seeds}{given}"

    @property
    def evaluation_seed(self) -> int:
        """Of the first episode of every evaluation, equal in all arms; each further one's is one more, but in a world
        that agents share further episodes follow from the first.

        Seeds of a study below 200,000 with up to 10,000 episodes have none in common: their evaluations are as
        independent as an interval over seeds takes them to be.
        """
        return EVALUATION_SEED + self.seed if self.multi_agent else EVALUATION_SEED * (1 + self.seed) % 2**31

    @property
    def evaluation_interval(self) -> int:
        """Steps of each agent between two evaluations: as given, else so that there are at least twenty."""
        return self.eval_every or max(1, min(SELDOM, self.timesteps_per_agent // 20))

    @property
    def reciprocal(self) -> bool:
        """Whether the algorithm is one of this package, rather than upstream's own."""
        return self.algo.endswith("_pr")

    @property
    def multi_agent(self) -> bool:
        """Whether the task is one world with several agents, rather than a task that every agent has a copy of."""
        return is_team(self.env)

    @property
    def team_size(self) -> int:
        """Number of agents that this run really has."""
        return self.n_agents if self.reciprocal else 1


def check_env_kwargs(given: Mapping[str, Any]) -> None:
    """:raises ValueError: for names that are none, or values that no JSON can hold, as run.json must"""
    for key, value in given.items():
        if not isinstance(key, str) or not key.isidentifier():
            raise ValueError(f"env_kwargs: {key!r}: expected the name of an argument.")
        if isinstance(value, str) and "e" in value.lower() and _reads_as_number(value):
            raise ValueError(
                f"env_kwargs: {key}={value} is text in YAML, which wants a point and a sign, as in 1.0e-3."
            )
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"env_kwargs: {key}={value!r}: expected numbers, text, true, false, null, or lists and mappings."
            ) from error


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_entropy(ent_coef: Any, target_entropy: Any) -> None:
    """:raises ValueError: for what is neither "auto" nor a finite number, or a temperature that would begin at 0"""
    begins = ent_coef
    if isinstance(ent_coef, str) and (ent_coef == "auto" or ent_coef.startswith("auto_")):
        begins = ent_coef.removeprefix("auto").removeprefix("_") or "1"
    number = _number(begins)
    if number is None or number < 0 or (number == 0 and begins is not ent_coef):
        raise ValueError(f"ent_coef={ent_coef!r}: expected a number >= 0, 'auto', or 'auto_x' to begin with x > 0.")
    if target_entropy != "auto" and _number(target_entropy) is None:
        raise ValueError(f"target_entropy={target_entropy!r}: expected 'auto' or a finite number.")


def _number(value: Any) -> float | None:
    try:
        return float(value) if math.isfinite(float(value)) else None
    except (TypeError, ValueError):
        return None
