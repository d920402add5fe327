"""The schema of a study's YAML: which arms on which tasks, with how many seeds, on what budget."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from marl_pr_common.config import from_mapping
from marl_pr_common.config.mapping import suggest
from marl_pr_common.config.shipped import find_config, read_yaml

_RESERVED = ("cells", "stacks", "engine", "figures")
"""Folders of a study; reports of single references lie beside them."""


@dataclass(frozen=True)
class Task:
    """One task of a study."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings on this task, laid over those of the study."""
    threshold: float | None = None
    """A return for "steps to threshold"; None leaves that table out."""


@dataclass(frozen=True)
class ArmEntry:
    """One arm of a study: an arm of the host, with settings of its own if need be."""

    arm: str | None = None
    """The host's arm that it is; that of the same name by default."""
    label: str | None = None
    """Its name for readers; the host's by default."""
    reference: str | None = None
    """The arm that it is compared with; the study's first by default."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings laid over all others, those of the host's arm included."""


@dataclass(frozen=True)
class Scale:
    """The same study with other means."""

    note: str = ""
    """How long it takes and on what, or where its numbers are from."""
    seeds: tuple[int, ...] | None = None
    """Seeds; those of the study by default."""
    tasks: tuple[str, ...] | None = None
    """Tasks of the study that are run; all by default."""
    arms: tuple[str, ...] | None = None
    """Arms of the study that are run; all by default."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings laid over those of the study and of the task, below those of the arms."""


@dataclass(frozen=True)
class StudyConfig:
    """Algorithms x tasks x seeds x budget. Every arm runs every seed on every task."""

    title: str = ""
    """What the report is called."""
    question: str = ""
    """What is asked, in a sentence or two."""
    preregistered: str = ""
    """What was fixed before the first run, and when; reports say it below the question."""
    host: str = "sb3"
    """The framework that runs it: sb3, epymarl or tabular."""
    metric: str = "eval/return"
    """The metric that arms are compared by."""
    seeds: tuple[int, ...] = tuple(range(10))
    """Seeds; in YAML a list, or a number n for 0 ... n - 1."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The host's settings for all cells."""
    tasks: Mapping[str, Task] = field(default_factory=dict)
    """Task -> what is special about it."""
    arms: Mapping[str, ArmEntry] = field(default_factory=dict)
    """Arm -> what it is; the first is the reference."""
    stack: bool | str = "auto"
    """Whether cells that differ in their seeds alone run as one process, where each is a team of a stack: auto (where
    the host can and every algorithm stays its own), true (or refused), false (every cell a process of its own)."""
    sweep: str | None = None
    """A setting, dotted, that the arms differ in: the report draws the score against it."""
    scales: Mapping[str, Scale] = field(default_factory=dict)
    """Name -> the same study with other means; commands take the smallest by default, :meth:`at` the first."""

    def __post_init__(self) -> None:
        for name in ("tasks", "arms"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty: expected at least one.")
        _check_seeds(self.seeds, "seeds")
        if not (isinstance(self.stack, bool) or self.stack == "auto"):
            raise ValueError(f"stack={self.stack!r}: expected auto, true or false.")
        for name in self.arms:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,60}", name) or name in _RESERVED:
                raise ValueError(
                    f"arms: {name!r}: expected letters, digits and _ . + -, at most 61, other than "
                    f"{', '.join(_RESERVED)}; `label` is for readers."
                )
        for name, task in self.tasks.items():
            if task.threshold is not None and not math.isfinite(task.threshold):
                raise ValueError(f"tasks: {name}: threshold={task.threshold!r}: expected a finite number.")
        for name, entry in self.arms.items():
            if entry.reference is not None and entry.reference not in self.arms:
                raise ValueError(
                    f"arms: {name}: reference={entry.reference!r} is not an arm of this study: {', '.join(self.arms)}."
                )
        for name, scale in self.scales.items():
            _check_scale(self, name, scale)

    @property
    def reference(self) -> str:
        """The first arm."""
        return next(iter(self.arms))

    def reference_of(self, arm: str) -> str:
        """The arm that ``arm`` is compared with."""
        return self.arms[arm].reference or self.reference

    def at(self, scale: str | None) -> StudyConfig:
        """The study at one scale, the first by default; the result has no scales.

        :raises ValueError: if there is no such scale
        """
        if scale is None and not self.scales:
            return self
        name = next(iter(self.scales)) if scale is None else scale
        if name not in self.scales:
            known = ", ".join(self.scales) or "no scales"
            raise ValueError(f"scale={name!r}: this study has {known}.{suggest(name, self.scales)}")
        chosen = self.scales[name]
        tasks = {
            task: replace(entry, settings=overlay(entry.settings, chosen.settings))
            for task, entry in self.tasks.items()
            if chosen.tasks is None or task in chosen.tasks
        }
        arms = {arm: entry for arm, entry in self.arms.items() if chosen.arms is None or arm in chosen.arms}
        seeds = self.seeds if chosen.seeds is None else chosen.seeds
        return replace(self, seeds=seeds, tasks=tasks, arms=arms, scales={})


def load_study(name: str) -> StudyConfig:
    """The study that ``name`` means: a YAML file, or a shipped study such as "quick" or "fig5".

    :raises FileNotFoundError: if there is none
    :raises ValueError: for an unknown key, or a value that is refused; the message names it
    """
    path = find_config(name)
    return from_mapping(StudyConfig, with_seed_lists(read_yaml(path)), where=path.name)


MOST_SEEDS = 100_000
"""Of every arm: more is a number of steps in the wrong place."""


def with_seed_lists(options: Mapping[str, Any]) -> dict[str, Any]:
    """``seeds: 10`` as the list of 0 ... 9, in the study and in its scales.

    :raises ValueError: for what is neither a number from 1 on nor a list
    """
    result = dict(options)
    seeds = result.get("seeds")
    if seeds is not None and not isinstance(seeds, (list, tuple)):
        if type(seeds) is not int or seeds < 1:
            raise ValueError(f"seeds={seeds!r}: expected a number >= 1, or a list of seeds.")
        if seeds > MOST_SEEDS:
            raise ValueError(f"seeds={seeds:,}: that many runs of every arm; expected at most {MOST_SEEDS:,}.")
        result["seeds"] = list(range(seeds))
    if isinstance(scales := result.get("scales"), Mapping):
        result["scales"] = {
            name: with_seed_lists(scale) if isinstance(scale, Mapping) else scale for name, scale in scales.items()
        }
    return result


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` laid over ``below``; a mapping is laid over a mapping key by key."""
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        result[key] = overlay(under, value) if both else value  # type: ignore[arg-type]
    return result


def _check_seeds(seeds: tuple[int, ...], where: str) -> None:
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) >= 2**31:
        raise ValueError(f"{where}={list(seeds)!r}: expected at least one, each once, integers in [0, 2**31 - 1].")


def _check_scale(study: StudyConfig, name: str, scale: Scale) -> None:
    where = f"scales: {name}"
    if scale.seeds is not None:
        _check_seeds(scale.seeds, f"{where}: seeds")
    for kind, named, known in (("tasks", scale.tasks, study.tasks), ("arms", scale.arms, study.arms)):
        unknown = [item for item in named or () if item not in known]
        if unknown or named == ():
            raise ValueError(f"{where}: {kind}={list(named or ())!r}: expected some of {', '.join(known)}.")
    if scale.arms is not None:
        for arm in scale.arms:
            if study.reference_of(arm) not in scale.arms:
                raise ValueError(f"{where}: arms: {arm} is compared with {study.reference_of(arm)}, which is left out.")
