"""What a cell will do: settings checked against the checkout before anything runs."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping
from typing import Any

from epymarl_pr.launch import checks, derive, locate, options, values
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.study import probe
from marl_pr_common.config.mapping import at, flatten, suggest
from marl_pr_common.runs.provenance import as_plain
from marl_pr_common.study.hosts import Plan

OWN = ("config", "env_config", "resumable")
"""Settings of a plan that are not keys after `with`: flags of EPyMARL's command line, and what follows from them."""
ENV_CONFIG = "gymma"
REFUSED = {
    "seed": "a study sets it, see its `seeds`",
    "checkpoint_path": "a study goes on with its cells itself",
    "load_step": "a study goes on with its cells itself",
    "local_results_path": "results lie in the directory of the study",
    "use_tensorboard": "EPyMARL writes TensorBoard's files into its own folder; the results are in results.parquet",
    "evaluate": "a study trains",
    "save_replay": "a study trains",
}
RESUMABLE = {"pr_full_checkpoint": True, "save_model": True}
"""What an arm with reciprocity is run with, unless the study says otherwise."""


def plan(task: str, seed: int, settings: Mapping[str, Any]) -> Plan:
    """See :class:`marl_pr_common.study.hosts.Host`.

    ``settings`` of the plan: ``config``, ``env_config``, dotted keys of EPyMARL, and ``resumable``: whether a killed
    cell goes on from its checkpoint; else it begins anew.

    :raises ValueError: for a setting that is refused, or without a checkout; the message says what to do
    """
    try:
        return copy.deepcopy(_plan(task, json.dumps(as_plain(settings), sort_keys=True)))
    except UsageError as error:
        raise ValueError(f"epymarl: {task}: {error}") from error


@functools.cache
def _plan(task: str, given_settings: str) -> Plan:
    """The same for every seed."""
    settings = json.loads(given_settings)
    checkout = locate.find()
    checks.packages()
    name, env_name = str(settings.get("config")), str(settings.get("env_config", ENV_CONFIG))
    given = {key: value for key, value in flatten(settings).items() if key not in OWN}
    if "resumable" in settings:
        raise UsageError("resumable: not a setting; arms with reciprocity are, unless pr_full_checkpoint is false.")
    for key, reason in REFUSED.items():
        if key in given:
            raise UsageError(f"{key}={given[key]!r}: not in a study; {reason}.")
    # settings of one transfer algorithm that a study shares are for its arms
    given = {key: value for key, value in given.items() if _concerns(key, name)}
    plain = {key: value for key, value in given.items() if not key.startswith(options.PREFIX)}
    ours = derive.algorithm(checkout, name, plain)
    if not (ours and (name.endswith(derive.SUFFIX) or str(ours["learner"]).startswith(options.PREFIX))):
        # settings of reciprocity that a study shares are for the arms that have it
        given = plain
    if ours:
        given = RESUMABLE | given
    given |= {f"env_args.{_label(checkout, env_name)}": task.removeprefix(f"{env_name}:")}
    config = configuration(checkout, name, env_name, given)
    checks.full_checkpoint(config)
    checks.replay(config)
    checks.rewards(config)
    values.check(config)
    n_agents = probe.n_agents(checkout, config)
    resumable = bool(config.get("pr_full_checkpoint"))
    return Plan(
        settings={"config": name, "env_config": env_name, "resumable": resumable, **given},
        n_agents=n_agents,
        env_steps_per_agent=int(config["t_max"]),
        total_env_steps=int(config["t_max"]) * n_agents,
        evaluation=protocol(config),
    )


def _concerns(key: str, name: str) -> bool:
    """Whether a key is not one of another transfer algorithm's."""
    prefix = next((prefix for prefix in options.LEARNER_PREFIXES[1:] if key.startswith(prefix)), "")
    return name.startswith(prefix.removesuffix("_"))


def configuration(checkout: locate.Checkout, name: str, env_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The whole configuration of a run.

    :raises UsageError: for a key that it does not have
    """
    layers = [derive.read(checkout.src / "config" / "default.yaml")]
    for flag, chosen in (("--env-config", env_name), ("--config", name)):
        derived, folder = derive.FLAGS[flag]
        own = checkout.src / "config" / folder / f"{chosen}.yaml"
        layers.append(derived(checkout, chosen, given) or derive.read(own))
    base = derive.merged(*layers)
    known = flatten(base)
    for key in given:
        if key not in known and not isinstance(at(base, key), Mapping):
            hint = suggest(key, known, bare=True)
            raise UsageError(f"{key}: neither --config={name} nor --env-config={env_name} has this key.{hint}")
    return derive.merged(base, given)


def protocol(config: Mapping[str, Any]) -> str:
    """How a run is evaluated, in words; equal for runs that may be compared."""
    at_once = int(config["batch_size_run"])
    episodes = max(1, int(config["test_nepisode"]) // at_once) * at_once
    actions = "greedy" if config["test_greedy"] else "sampled"
    summed = config["common_reward"] and config["reward_scalarisation"] == "sum"
    unit = "sum over agents" if summed else "mean over agents"
    return (
        f"mean return of {episodes} episodes with {actions} actions, {unit}, after the first episode and then every "
        f"{config['test_interval']} steps per agent"
    )


def _label(checkout: locate.Checkout, env_name: str) -> str:
    """Whether this configuration of environments calls the task ``key`` or ``map_name``."""
    config = derive.environment(checkout, env_name, {})
    config = config or derive.read(checkout.src / "config" / "envs" / f"{env_name}.yaml")
    return "map_name" if "map_name" in (config.get("env_args") or {}) else "key"
