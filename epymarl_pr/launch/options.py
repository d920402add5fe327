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
from epymarl_pr.learners import table
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
    act: bool = False
    """IQL, VDN, QMIX with separate networks: whether every agent acts and bootstraps on Q*, what all networks say of
    its own observation. ``kappa`` is then (n_agents - 1) / n_agents by default, one equal voice each (with ``trust``
    "td" 1: trust alone decides, also how much the agent listens to itself); S# is {s}."""
    shared_experience: bool = False
    """IQL, VDN, QMIX with separate networks: whether every network is regressed on what all agents lived through: a
    control, with reciprocity or, with ``kappa`` 0, alone."""
    own_critics: bool = False
    """MADDPG, IQL, VDN: whether n_agents - 1 further critics of each agent's own stand in the place of its peers: the
    control that tells reciprocity from an ensemble of the same size."""
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


def parse(keys: Mapping[str, Any], where: str = "configuration", n_agents: int | None = None) -> Options:
    """The options in a configuration; keys without the prefix are the host's and are left alone.

    :param keys: a flat configuration, such as a YAML file's content or sacred's
    :param where: what it is, for the message
    :param n_agents: for the default of ``pr_kappa`` with ``pr_act``, written as None; None where it is not known yet
    :raises UsageError: for an unknown ``pr_*`` key or a refused value; the message names both
    """
    given = {key.removeprefix(PREFIX): value for key, value in keys.items() if key.startswith(PREFIX)}
    known = [key.removeprefix(PREFIX) for key in defaults()]
    for key in given:
        if key not in known:
            hint = suggest(PREFIX + key, [PREFIX + name for name in known], bare=True)
            names = ", ".join(PREFIX + name for name in known)
            raise UsageError(f"{where}: unknown key {PREFIX}{key}. Known keys: {names}.{hint}")
    if given.get("act") and given.get("kappa", 0) is None:
        given["kappa"] = _default_kappa(given, n_agents or 2)
    own = _own_fields()
    reciprocity = {key: value for key, value in given.items() if key not in own}
    try:
        config = from_mapping(ReciprocityConfig, {**_changed_defaults(), **reciprocity}, where)
        rest = {key: value for key, value in given.items() if key in own}
        return from_mapping(Options, {"reciprocity": config, **rest}, where)
    except ValueError as error:
        raise UsageError(prefixed(str(error), given)) from error


def _default_kappa(given: Mapping[str, Any], n_agents: int) -> float:
    """One equal voice for every network; where trust decides, W is trust's, the agent itself among its peers."""
    alone = n_agents == 1
    return 0.0 if alone else 1.0 if given.get("trust") == "td" else (n_agents - 1) / n_agents


def check_learner(options: Options, args: Any) -> None:
    """Refuse options that a learner does not have.

    :param args: EPyMARL's arguments, with ``learner`` and what that learner reads
    :raises UsageError: naming the key, the learner and what it takes
    """
    learner = host_learner(args.learner)
    if learner not in table.LEARNERS:
        raise UsageError(
            f"learner={args.learner} has no reciprocity. Learners that have: {', '.join(table.LEARNERS)}."
            f"{suggest(learner, table.LEARNERS, bare=True)}"
        )
    record = table.LEARNERS[learner]
    on_policy = record.z == table.STATE_VALUES
    if options.z not in record.z:
        raise UsageError(f"pr_z={options.z} with {learner}: it takes {', '.join(record.z)}.")
    _check_has(options, record, learner)
    if learner == "maddpg_learner" and args.standardise_returns:
        raise UsageError(
            "standardise_returns=True with maddpg_learner: EPyMARL's MADDPG fails with it (its statistics have one "
            "entry per agent, its targets one column). Use standardise_returns=False; standardise_rewards works."
        )
    _check_separate(options, args)
    _check_act(options)
    _check_own_critics(options, args, learner)
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


def _check_has(options: Options, record: table.Record, learner: str) -> None:
    """Options that not every learner has; parameters are never drawn together."""
    given = {**asdict(options.reciprocity), **{name: getattr(options, name) for name in _own_fields()}}
    for name, why in table.WHY.items():
        if given[name] and name not in record.has:
            known = table.which_have(name)
            verb = "has" if len(known) == 1 else "have"
            raise UsageError(f"{PREFIX}{name}={given[name]} with {learner}: only {' and '.join(known)} {verb} {why}.")
    if given["consensus"]:
        raise UsageError(
            f"pr_consensus={given['consensus']}: EPyMARL's learners don't have it, TD3PR has. Use pr_consensus=0."
        )


def _check_separate(options: Options, args: Any) -> None:
    """What concerns every agent's own network needs one for each, and all that it sees."""
    for key, wanted in (("act", options.act), ("shared_experience", options.shared_experience)):
        if not wanted:
            continue
        where = f"{PREFIX}{key}=True"
        if getattr(args, "agent", "rnn") == "rnn":
            raise UsageError(
                f"{where} with agent=rnn: the agents share one network, and have nothing to tell each other. Use "
                "--config=iql_ns_pr, vdn_ns_pr or qmix_ns_pr, or mac=non_shared_mac agent=rnn_ns."
            )
        if options.observation_masks is not None:
            raise UsageError(
                f"{where} with pr_observation_masks: every network looks at what each agent sees. Leave one out."
            )


def _check_act(options: Options) -> None:
    """Agents decide on what networks say of one and the same observation, all of them."""
    for name, allowed in (("adjacency", ("same",)), ("estimator", ("one_state", "full"))):
        value = getattr(options.reciprocity, name)
        if options.act and value not in allowed:
            raise UsageError(
                f"pr_act=True with pr_{name}={value}: all networks are asked about the agent's own observation; it "
                f"needs pr_{name}={' or '.join(allowed)}."
            )


def _check_own_networks(args: Any) -> None:
    """Networks of an ensemble need one unit."""
    if getattr(args, "mixer", None) == "qmix":
        raise UsageError(
            "pr_own_critics=True with q_learner: only maddpg_learner and q_learner without mixer=qmix have this "
            "control; every further network would come with a mixer of its own, and so in another unit."
        )
    if args.standardise_returns:
        raise UsageError(
            "pr_own_critics=True with standardise_returns=True: every further network would have running statistics of "
            "its own. Use standardise_returns=False."
        )


def _check_own_critics(options: Options, args: Any, learner: str) -> None:
    """The control has no peers: what concerns peers and adjacent states has no meaning in it."""
    if not options.own_critics:
        return
    if learner == "q_learner":
        _check_own_networks(args)
    for name, plain in (("adjacency", "same"), ("peers", "complete"), ("sync_interval", 1), ("trust", "uniform")):
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
