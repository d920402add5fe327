"""``--config=maptf`` and ``dvm``, with and without ``_pr``: which learner, which keys, and what is refused.

Like ``X_pr`` they are derived from the checkout's own YAML. Imitating other agents means something only where agents
have networks of their own: the bases are EPyMARL's configurations with separate networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from epymarl_pr.launch import options
from epymarl_pr.launch.errors import UsageError
from marl_pr_common.config import from_mapping
from marl_pr_common.config.mapping import suggest
from marl_pr_common.transfer.config import DVMConfig, MAPTFConfig

Config = MAPTFConfig | DVMConfig


@dataclass(frozen=True)
class Algorithm:
    """kind: of transfer; base: the checkout's configuration; learner: its name in the registry."""

    kind: str
    base: str
    learner: str


ALGORITHMS = {
    "maptf": Algorithm("maptf", "maddpg_ns", "maptf_maddpg_learner"),
    "maptf_mappo": Algorithm("maptf", "mappo_ns", "maptf_ppo_learner"),
    "dvm": Algorithm("dvm", "maddpg_ns", "dvm_maddpg_learner"),
}
CONFIGS: dict[str, type[Config]] = {"maptf": MAPTFConfig, "dvm": DVMConfig}
WITHOUT_PR = ("pr_seed", "pr_full_checkpoint", "pr_version")
"""Keys that make sense where there is no reciprocity."""


def defaults(kind: str) -> dict[str, Any]:
    """Every key of a kind with its default: ``maptf_c1`` and so on."""
    return {f"{kind}_{name}": value for name, value in asdict(CONFIGS[kind]()).items()}


def parse(keys: Mapping[str, Any], kind: str, where: str = "configuration") -> Config:
    """The options of a kind in a configuration; other keys are left alone.

    :raises UsageError: for an unknown key of that kind or a refused value; the message names both
    """
    prefix, known = f"{kind}_", list(defaults(kind))
    given = {key: value for key, value in keys.items() if key.startswith(prefix)}
    for key in given:
        if key not in known:
            hint = suggest(key, known, bare=True)
            raise UsageError(f"{where}: unknown key {key}. Known keys: {', '.join(known)}.{hint}")
    values = {key.removeprefix(prefix): value for key, value in given.items()}
    try:
        return from_mapping(CONFIGS[kind], values, where)
    except ValueError as error:
        raise UsageError(options.prefixed(str(error), values, prefix)) from error


def foreign_keys(given: Mapping[str, Any], name: str, kind: str = "") -> None:
    """Refuse keys of a kind of transfer that ``--config=NAME`` does not have.

    :raises UsageError: naming the first one and where it belongs
    """
    for key in given:
        other = next((found for found in CONFIGS if key.startswith(f"{found}_") and found != kind), None)
        if other:
            raise UsageError(f"{key} with --config={name}: it belongs to --config={other} and {other}_pr.")


def algorithm(base: Mapping[str, Any], name: str, given: Mapping[str, Any], suffix: str) -> dict[str, Any]:
    """The configuration of ``--config=NAME``.

    :param base: the checkout's configuration that it is derived from
    :param given: what the command line sets
    :param suffix: of names with reciprocity
    :raises UsageError: for keys that are refused
    """
    found = ALGORITHMS[name.removesuffix(suffix)]
    reciprocal = name.endswith(suffix)
    foreign_keys(given, name, found.kind)
    where = f"--config={name}"
    keys = {key: value for key, value in given.items() if key.startswith(options.PREFIX)}
    wrong = [key for key in keys if key not in WITHOUT_PR and key in options.defaults()]
    if wrong and not reciprocal:
        raise UsageError(f"{wrong[0]} with {where}: {name} is without reciprocity. Use --config={name}{suffix}.")
    off = {} if reciprocal else {"pr_kappa": 0.0}
    config = {**base, **options.defaults(), **off, **defaults(found.kind)}
    changed = {**config, "learner": found.learner, "name": name}
    options.check_learner(options.parse({**off, **keys}, where), _Namespace({**changed, **given}))
    parse(given, found.kind, where)
    check_learner({**changed, **given}, found.kind)
    return changed


def check_learner(args: Mapping[str, Any], kind: str) -> None:
    """Refuse networks that a kind of transfer can't work with.

    :raises UsageError: naming the key and what it must be
    """
    wanted: dict[str, Any] = {"agent": "rnn_ns"}
    if kind == "dvm":
        wanted |= {"critic_type": "maddpg_critic_ns", "use_rnn": False, "obs_agent_id": False}
    for key, value in wanted.items():
        if args.get(key) != value:
            raise UsageError(f"{key}={args.get(key)} with {kind}: it needs {key}={value}. {_WHY[key]}")
    if kind == "dvm" and args.get("pr_own_critics"):
        raise UsageError(
            "pr_own_critics=True with dvm: distilled critics go to the peers, and this control has none. "
            "Use pr_own_critics=False, or --config=maddpg_ns_pr for it."
        )


_WHY = {
    "agent": "Agents that share one network have nothing to transfer to each other.",
    "critic_type": "Every agent's own critic is distilled.",
    "use_rnn": "Policies are distilled on single steps, without their history.",
    "obs_agent_id": "One distilled network stands for all agents.",
}


class _Namespace:
    """A configuration whose keys are attributes, as EPyMARL's arguments are."""

    def __init__(self, config: Mapping[str, Any]):
        self.__dict__.update({"standardise_returns": False, **config})
