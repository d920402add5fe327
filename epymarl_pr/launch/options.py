"""The ``pr_*`` keys of an EPyMARL configuration: flat, checked by the dataclasses that every other front end uses.

They are flat (``pr_kappa``, not ``pr.kappa``) because EPyMARL's own plotting skips nested values when it tells runs
apart, so that a sweep over nested keys would draw its curves over one another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any, Literal

from epymarl_pr.launch.errors import UsageError
from marl_pr_common import __version__
from marl_pr_common.config import check_literals, from_mapping
from marl_pr_common.config.mapping import suggest
from marl_pr_common.reciprocity import ReciprocityConfig

Value = Literal["auto", "Q", "V", "A"]

PREFIX = "pr_"
LEARNER_PREFIXES = (PREFIX, "maptf_", "dvm_")
"""What stands before the host's name of a learner in ours."""
CRITICS_OF_OBSERVATIONS = ("ac_critic", "ac_critic_ns")
CRITICS = (*CRITICS_OF_OBSERVATIONS, "cv_critic", "cv_critic_ns")
"""EPyMARL's state-value critics that peers can be read from."""


@dataclass(frozen=True)
class Options:
    """Everything that the ``pr_*`` keys say.

    One key each for the fields of :class:`~marl_pr_common.reciprocity.ReciprocityConfig` and for those below.
    """

    reciprocity: ReciprocityConfig = field(default_factory=partial(ReciprocityConfig, estimator="one_state"))
    """Options of eq. 12. Other than elsewhere, ``estimator`` is "one_state" by default: EPyMARL's updates are short,
    and asking every peer about every adjacent state would take longer than the rest of them."""
    z: Value = "auto"
    """What is reciprocal, Z of eq. 12: the bootstrap value of the learner (auto), which is Q for qmix, vdn, iql and
    maddpg and V for the on-policy learners; or, for those, the advantage of the actor's gradient (A)."""
    observation_masks: tuple[tuple[bool, ...], ...] | None = None
    """What each agent sees, (n_agents, obs_dim) booleans (Definition 1); null if all see everything. For learners
    whose values depend on an agent's own observation: q_learner and the critics ac_critic, ac_critic_ns."""
    own_critics: bool = False
    """MADDPG: whether n_agents - 1 further critics of each agent's own stand in the place of its peers: the control
    that tells reciprocity from an ensemble of the same size."""
    seed: int | None = None
    """Seed of PR's own generators; null takes the run's seed."""
    full_checkpoint: bool = False
    """Whether saved models come with everything that an exact resume needs: targets, optimisers, replay buffer,
    random states, counters. Upstream's files stay as they are."""
    version: str = __version__
    """Version of marl-pr, for the record that sacred keeps; set by the launcher."""

    def __post_init__(self) -> None:
        check_literals(self)
        if not (self.seed is None or (type(self.seed) is int and self.seed >= 0)):
            raise ValueError(f"seed={self.seed!r}: expected an integer >= 0, or null for the run's seed.")


def defaults() -> dict[str, Any]:
    """Every ``pr_*`` key with its default."""
    options = Options()
    own = {name: getattr(options, name) for name in _own_fields()}
    return {PREFIX + key: value for key, value in {**asdict(options.reciprocity), **own}.items()}


def parse(keys: Mapping[str, Any], where: str = "configuration") -> Options:
    """The options in a configuration; keys without the prefix are the host's and are left alone.

    :param keys: a flat configuration, such as a YAML file's content or sacred's
    :param where: what it is, for the message
    :raises UsageError: for an unknown ``pr_*`` key or a refused value; the message names both
    """
    given = {key.removeprefix(PREFIX): value for key, value in keys.items() if key.startswith(PREFIX)}
    known = [key.removeprefix(PREFIX) for key in defaults()]
    for key in given:
        if key not in known:
            hint = suggest(PREFIX + key, [PREFIX + name for name in known], bare=True)
            names = ", ".join(PREFIX + name for name in known)
            raise UsageError(f"{where}: unknown key {PREFIX}{key}. Known keys: {names}.{hint}")
    own = _own_fields()
    reciprocity = {key: value for key, value in given.items() if key not in own}
    try:
        config = from_mapping(ReciprocityConfig, {**_changed_defaults(), **reciprocity}, where)
        rest = {key: value for key, value in given.items() if key in own}
        return from_mapping(Options, {"reciprocity": config, **rest}, where)
    except ValueError as error:
        raise UsageError(prefixed(str(error), given)) from error


def check_learner(options: Options, args: Any) -> None:
    """Refuse options that a learner does not have.

    :param args: EPyMARL's arguments, with ``learner`` and what that learner reads
    :raises UsageError: naming the key, the learner and what it takes
    """
    learner = host_learner(args.learner)
    on_policy = learner in ("ppo_learner", "actor_critic_learner")
    maddpg = learner == "maddpg_learner"
    allowed = ("auto", "V", "A") if on_policy else ("auto", "Q")
    if options.z not in allowed:
        raise UsageError(f"pr_z={options.z} with {learner}: it takes {', '.join(allowed)}.")
    if options.reciprocity.in_actor and not maddpg:
        raise UsageError(f"pr_in_actor=True with {learner}: only maddpg_learner has an actor that a critic trains.")
    if maddpg and args.standardise_returns:
        raise UsageError(
            "standardise_returns=True with maddpg_learner: EPyMARL's MADDPG fails with it (its statistics have one "
            "entry per agent, its targets one column). Use standardise_returns=False; standardise_rewards works."
        )
    _check_own_critics(options, learner)
    critic = getattr(args, "critic_type", None)
    if on_policy and critic not in CRITICS:
        raise UsageError(f"critic_type={critic} has no reciprocity. Critics that have: {', '.join(CRITICS)}.")
    if critic == "cv_critic_ns" and getattr(args, "obs_individual_obs", False):
        raise UsageError(
            "obs_individual_obs=True with critic_type=cv_critic_ns: EPyMARL's critic gives all observations to a layer "
            "that is made for one. Use obs_individual_obs=False, or the shared cv_critic."
        )
    own_views = learner == "q_learner" or (on_policy and critic in CRITICS_OF_OBSERVATIONS)
    if options.observation_masks is not None and not own_views:
        raise UsageError(
            f"pr_observation_masks with {learner} ({critic}): its critic sees the state, not one agent's observation. "
            "Masks are for q_learner and the critics ac_critic, ac_critic_ns."
        )


def host_learner(learner: object) -> str:
    """EPyMARL's name of the learner that one of ours is made of."""
    name = str(learner)
    for prefix in LEARNER_PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _check_own_critics(options: Options, learner: str) -> None:
    """The control has no peers: what concerns peers and adjacent states has no meaning in it."""
    if not options.own_critics:
        return
    if learner != "maddpg_learner":
        raise UsageError(f"pr_own_critics=True with {learner}: only maddpg_learner has this control.")
    for name, plain in (("adjacency", "same"), ("peers", "complete"), ("sync_interval", 1)):
        value = getattr(options.reciprocity, name)
        if value != plain:
            raise UsageError(f"pr_own_critics=True with pr_{name}={value}: own critics need pr_{name}={plain}.")


def _own_fields() -> list[str]:
    return [item.name for item in fields(Options) if item.name != "reciprocity"]


def _changed_defaults() -> dict[str, Any]:
    ours, common = asdict(Options().reciprocity), asdict(ReciprocityConfig())
    return {key: value for key, value in ours.items() if value != common[key]}


def prefixed(message: str, given: Collection[str], prefix: str = PREFIX) -> str:
    """A message about the field ``kappa`` as one about the key ``pr_kappa``."""
    for key in sorted(given, key=len, reverse=True):
        for mark in ("=", ":", "'"):
            message = message.replace(f" {key}{mark}", f" {prefix}{key}{mark}")
        if message.startswith(f"{key}="):
            message = prefix + message
    return message
