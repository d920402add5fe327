"""``X_pr`` from the checkout's own ``X.yaml``: the same algorithm with a reciprocal learner and the ``pr_*`` keys.

It is derived at every launch, into a temporary folder, so that a user's edits of ``X.yaml`` are followed and no copy
of EPyMARL's hyperparameters can go stale here.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from epymarl_pr.envs import smax, starcraft
from epymarl_pr.launch import options
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.launch.locate import Checkout
from epymarl_pr.learners import table
from epymarl_pr.transfer import table as transfer
from marl_pr_common import __version__
from marl_pr_common.config.mapping import suggest

SUFFIX = "_pr"
LEARNERS = {host: table.OURS + host for host in table.LEARNERS}
"""EPyMARL's learners and the names under which their reciprocal subclasses are registered."""


def algorithm(checkout: Checkout, name: str, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration of ``--config=NAME`` with reciprocity, or None where EPyMARL's own file is what is meant.

    That is ``X_pr`` for an ``X.yaml`` of the checkout, a file of the user's that holds ``pr_*`` keys itself, or one of
    :mod:`epymarl_pr.transfer.table`.

    :param given: what the command line sets, dotted names and values
    :raises UsageError: for an unknown name, a learner without reciprocity, or ``pr_*`` keys that are refused
    """
    folder = checkout.src / "config" / "algs"
    own = folder / f"{name}.yaml"
    base = name.removesuffix(SUFFIX)
    if base in transfer.ALGORITHMS and not os.path.isfile(own):
        return transfer.algorithm(read(folder / f"{transfer.ALGORITHMS[base].base}.yaml"), name, given, SUFFIX)
    transfer.foreign_keys(given, name)
    source = own if os.path.isfile(own) else folder / f"{base}.yaml"  # False for a name that no file can have
    if not os.path.isfile(source):
        raise UsageError(_unknown("--config", name, folder, LEARNERS))
    config = read(source)
    keys = {key: value for key, value in given.items() if key.startswith(options.PREFIX)}
    if source == own and not any(key.startswith(options.PREFIX) for key in config):
        if keys:
            first = next(iter(keys))
            raise UsageError(
                f"{first} with --config={name}: {name} is upstream's algorithm, without reciprocity. "
                f"Use --config={name}{SUFFIX}."
            )
        if "name" not in config:
            raise UsageError(
                f"--config={name}: {source} has no name. Write `name: {Path(name).name}`: results go there."
            )
        return None
    learner = config.get("learner")
    if learner not in {**LEARNERS, **{value: value for value in LEARNERS.values()}}:
        raise UsageError(
            f"--config={name}: {source.name} uses learner {learner!r}, which has no reciprocity. "
            f"Learners that have: {', '.join(LEARNERS)}."
        )
    written = {key: value for key, value in config.items() if key.startswith(options.PREFIX)}
    found = options.parse({**written, **keys}, f"--config={name}")
    options.check_learner(found, SimpleNamespace(**{"standardise_returns": False, **config, **given}))
    changed = {"learner": LEARNERS.get(learner, learner), "name": Path(name).name, "pr_version": __version__}
    if found.act:
        changed["pr_kappa"] = written.get("pr_kappa")  # None: (n_agents - 1) / n_agents, once there are agents
    return {**config, **options.defaults(), **written, **changed}


def environment(checkout: Checkout, name: str, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration of ``--env-config=NAME`` where it needs more keys than EPyMARL's own file has, else None.

    Sacred refuses keys that a file does not name. For the environments of this package, their options are added; for
    an environment that EPyMARL does not know, everything is.

    :raises UsageError: for an unknown name
    """
    from epymarl_pr.envs.ours import env_args  # needs gymnasium, of which the launcher says if it is missing

    folder = checkout.src / "config" / "envs"
    source = folder / f"{name}.yaml"
    if name in ENVIRONMENTS and not os.path.isfile(source):
        derived, host = ENVIRONMENTS[name]
        found = derived(read(folder / host))
        _known_arguments(given, found["env_args"], f"--env-config={name}")
        return found
    if not os.path.isfile(source):
        raise UsageError(_unknown("--env-config", name, folder, ()))
    config = read(source)
    host_args = config.get("env_args") or {}
    added = env_args(given.get("env_args.key", host_args.get("key")))
    if not added:
        more = _further_arguments(given, host_args) if config.get("env") == GYMMA else {}
        return {**config, "env_args": merged(host_args, more)} if more else None
    # the environment's own limit follows the one that the user gives, as in any other environment of EPyMARL
    limit = given.get("env_args.time_limit", added["time_limit"])
    arguments = {**host_args, **added, "max_cycles": limit}
    _known_arguments(given, arguments, str(given.get("env_args.key", host_args.get("key"))))
    return {**config, "env_args": arguments}


def _further_arguments(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for the environment itself, which EPyMARL's wrapper hands on to it.

    :param given: what the command line sets, dotted names and values
    :param known: settings that the file names
    :raises UsageError: for what is a setting of the run, or a misspelt one of the wrapper
    """
    found: dict[str, Any] = {}
    for key, value in given.items():
        name = key.removeprefix("env_args.")
        if not key.startswith("env_args.") or name.partition(".")[0] in known:
            continue
        if name in OF_THE_RUN:
            raise UsageError(f"{key}={value}: that is a setting of the run: ... with {name}={value}")
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if close:
            raise UsageError(f"{key}={value}: EPyMARL's gymma has no such setting. Did you mean env_args.{close[0]}?")
        found[name] = value
    return found


def _known_arguments(given: Mapping[str, Any], known: Mapping[str, Any], what: str) -> None:
    """Refuse settings of an environment that it does not have; sacred would say no more than that it is a conflict.

    :param given: what the command line sets, dotted names and values
    :raises UsageError: naming the first one, and those that there are
    """
    for key, value in given.items():
        name = key.removeprefix("env_args.").partition(".")[0]
        if key.startswith("env_args.") and name not in {*known, "seed"}:
            there = [f"env_args.{argument}" for argument in known]
            hint = suggest(key, there, bare=True)
            raise UsageError(f"{key}={value}: {what} has no such setting. It has {', '.join(there)}.{hint}")


ENVIRONMENTS: dict[str, tuple[Callable[[Mapping[str, Any]], dict[str, Any]], str]] = {
    smax.NAME: (smax.config, "smaclite.yaml"),
    "smaclite_3s_vs_5z": (starcraft.smaclite("3s_vs_5z"), "smaclite.yaml"),
    "smaclite_5m_vs_6m": (starcraft.smaclite("5m_vs_6m"), "smaclite.yaml"),
    starcraft.SMACV2: (starcraft.smacv2, "sc2.yaml"),
}
"""``--env-config`` that EPyMARL has not -> how it is derived, and from which of its files."""
FLAGS: dict[str, tuple[Callable[[Checkout, str, Mapping[str, Any]], dict[str, Any] | None], str]] = {
    "--config": (algorithm, "algs"),
    "--env-config": (environment, "envs"),
}
"""Flag of EPyMARL's ``main.py`` -> how its configuration is derived, and the checkout's folder of such files."""


GYMMA = "gymma"
OF_THE_RUN = ("seed", "common_reward", "reward_scalarisation")
"""What EPyMARL adds to an environment's arguments itself."""


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Configurations over one another as ``main.py`` and sacred lay them; names may be dotted."""
    result: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            *path, last = name.split(".")
            place = result
            for step in path:
                place = place.setdefault(step, {})
            if isinstance(value, Mapping):
                below = place.get(last)
                value = merged(below if isinstance(below, dict) else {}, value)
            place[last] = value
    return result


def read(file: Path) -> dict[str, Any]:
    """One of the checkout's YAML files.

    :raises UsageError: if it is not a mapping
    """
    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{file} holds {type(content).__name__}, expected `key: value` lines.")
    return content


def write(config: Mapping[str, Any], folder: Path, name: str) -> str:
    """Write a derived configuration and return the name under which EPyMARL's ``main.py`` finds it.

    ``main.py`` joins it to its own folder with ``os.path.join``, in which an absolute path wins.
    """
    file = folder / f"{len(list(folder.iterdir()))}-{Path(name).name}.yaml"  # not where a path says: that is the user's
    file.write_text(yaml.safe_dump(_plain(config), sort_keys=False))
    return str(file.with_suffix(""))


def _plain(value: Any) -> Any:
    """The same with lists and dicts alone, as YAML writes them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _unknown(flag: str, name: str, folder: Path, learners: Mapping[str, str] | tuple[()]) -> str:
    found = sorted(folder.glob("*.yaml"))
    names = [file.stem for file in found] + ([] if learners else list(ENVIRONMENTS))
    if learners:
        names += [file.stem + SUFFIX for file in found if read(file).get("learner") in learners]
        names += [known + suffix for known in transfer.ALGORITHMS for suffix in ("", SUFFIX)]
    hint = suggest(name, names, bare=True)
    own = os.path.abspath(name)
    if name and any(map(os.path.isfile, (own, f"{own}.yaml"))):
        hint = f" Of a file of your own give the whole path without .yaml: {flag}={own.removesuffix('.yaml')}"
    return f"{flag}={name}: no such file in {folder}, and nothing to derive it from. Known: {', '.join(names)}.{hint}"
