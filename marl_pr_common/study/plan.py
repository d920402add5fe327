"""From a study's YAML to its cells: every arm on every task with every seed, each with all it will do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marl_pr_common.config.mapping import at
from marl_pr_common.envs.registry import is_ours
from marl_pr_common.runs.files import file_name
from marl_pr_common.study.cell import CELLS, Manifest
from marl_pr_common.study.config import ArmEntry, StudyConfig, overlay
from marl_pr_common.study.hosts import Host, load_host, require_arm


@dataclass(frozen=True)
class Cell:
    """One process of a study, and the directory that it writes."""

    manifest: Manifest
    directory: Path

    @property
    def name(self) -> str:
        """Unique in the study."""
        return self.manifest.name


def resolve(config: StudyConfig, out: Path) -> tuple[Cell, ...]:
    """All cells of a study, seed by seed, so that early results have every arm. Nothing is written.

    :param config: at one scale
    :raises ValueError: if an arm, a setting or a task is refused; the message names it
    """
    host = load_host(config.host)
    entries = {arm: host_settings(host, arm, entry) for arm, entry in config.arms.items()}
    cells = []
    for seed in config.seeds:
        for task in config.tasks:
            for arm, (label, own) in entries.items():
                settings = overlay(overlay(config.settings, config.tasks[task].settings), own)
                try:
                    plan = host.plan(task, seed, settings)
                except ValueError as error:
                    raise ValueError(f"arm {arm} on {task}: {error}") from error
                name = cell_name(arm, task, seed)
                manifest = Manifest(name, config.host, arm, label, task, seed, plan)
                cells.append(Cell(manifest, out / CELLS / name))
    _require_unique(cells)
    _require_comparable(config, cells)
    if config.sweep and not swept(config, tuple(cells)):
        raise ValueError(f"sweep={config.sweep!r}: no arm has a number there; expected a setting such as pr.kappa.")
    return tuple(cells)


def host_settings(host: Host, name: str, entry: ArmEntry) -> tuple[str, dict[str, Any]]:
    """An arm's label, and its settings: the host's own for it below those of the study's entry."""
    arm = require_arm(host, entry.arm or name)
    settings = overlay(arm.settings, entry.settings)
    own, made = arm.text, dict(_leaves(settings))
    named = {name: value for name, value in _leaves(arm.settings) if not isinstance(value, Mapping)}
    changed = [name for name, value in named.items() if name not in made or made[name] != value]
    if changed:  # it is not what its name says
        shown = {name: value for name, value in _leaves(entry.settings) if not isinstance(value, Mapping)}
        shown = shown if arm.numbers else {name: made[name] for name in changed if name in made} or shown
        own = f"{arm.label}, {', '.join(f'{name}={value}' for name, value in shown.items())}"
    return label_of(name, entry, own), settings


def label_of(name: str, entry: ArmEntry, own: str) -> str:
    """What a report calls an arm; ``own`` is its host's word for it."""
    return entry.label or (own if entry.arm in (None, name) else f"{own} ({name})")


def cell_name(arm: str, task: str, seed: int) -> str:
    """A name that is also a file's: ``td3_pr-Hopper-v5-seed0``, ``td3_pr-my_envs.maze-make-seed0``."""
    if re.fullmatch(r"[\w.]+:[\w.]+", task) and not is_ours(task):
        task = task.replace(":", "-")  # in which neither module nor factory has one: names stay apart
    return file_name(f"{arm}-{task}-seed{seed}")


def swept(config: StudyConfig, cells: tuple[Cell, ...]) -> dict[str, float]:
    """Arm -> the value of the setting that ``config.sweep`` names; arms where it is no number are left out."""
    return numbers_at(config.sweep, {cell.manifest.arm: cell.manifest.plan.settings for cell in reversed(cells)})


def numbers_at(key: str | None, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Arm -> the number at ``key`` of its settings; arms that have none there are left out."""
    found = {arm: at(of_arm, key or "") for arm, of_arm in settings.items()}
    return {
        arm: float(one) for arm, one in found.items() if isinstance(one, (int, float)) and not isinstance(one, bool)
    }


def require_effect(study: StudyConfig, scale: str | None = None) -> None:
    """That no setting is written for nothing; to be asked of a study as its author wrote it, with all arms.

    :param scale: the one that is to run
    :raises ValueError: for a setting of the study, of a task or of a scale that every arm sets otherwise
    """
    host = load_host(study.host)
    known = {name: entry for name, entry in study.arms.items() if (entry.arm or name) in host.ARMS}
    arms = [dict(_leaves(host_settings(host, name, entry)[1])) for name, entry in known.items()]
    places = {"settings": study.settings, **{f"tasks: {name}": task.settings for name, task in study.tasks.items()}}
    if scale is not None and scale in study.scales:
        places[f"scales: {scale}: settings"] = study.scales[scale].settings
    for where, settings in places.items():
        for name, value in _leaves(settings):
            own = [leaves.get(name, value) for leaves in arms]
            if isinstance(value, Mapping) and any(isinstance(one, Mapping) for one in own):
                continue  # laid over one another key by key
            if own and all(one != value for one in own):
                raise ValueError(
                    f"{where}: {name}={value!r} has no effect: every arm sets its own ({', '.join(map(str, own[:3]))}"
                    f"{', ...' if len(own) > 3 else ''}). Give it to an arm: arms: NAME: {{settings: {{{name}: ...}}}}."
                )


def _leaves(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        yield f"{above}{key}", value
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")


def _require_unique(cells: list[Cell]) -> None:
    for name in _doubled(cell.name.casefold() for cell in cells):  # as Windows and macOS compare names
        tasks = dict.fromkeys(cell.manifest.task for cell in cells if cell.name.casefold() == name)
        advice = "rename an arm so that its name and the task's stay apart"
        if len({cell.manifest.arm for cell in cells if cell.name.casefold() == name}) == 1:
            advice = f"the tasks {' and '.join(tasks)} have one name as files. Give one of them another"
        raise ValueError(f"Two cells are called {name}: {advice}.")


def _require_comparable(config: StudyConfig, cells: Sequence[Cell]) -> None:
    """Refuse, before anything runs, what no report could compare.

    :raises ValueError: if an arm and its reference differ in budget or evaluation, or two arms have one label
    """
    labels: dict[str, str] = {}
    plans = {(cell.manifest.task, cell.manifest.arm): cell.manifest.plan for cell in cells}
    for cell in cells:
        arm, task, plan = cell.manifest.arm, cell.manifest.task, cell.manifest.plan
        if labels.setdefault(cell.manifest.label, arm) != arm:
            raise ValueError(f"arms {labels[cell.manifest.label]} and {arm} have one label, {cell.manifest.label!r}.")
        reference = config.reference_of(arm)
        other = plans[task, reference]
        if plan.evaluation != other.evaluation:
            raise ValueError(
                f"arms {arm} and {reference} on {task} are evaluated differently and can't be compared: "
                f"{plan.evaluation!r} and {other.evaluation!r}."
            )
        if other.env_steps_per_agent != plan.env_steps_per_agent and other.total_env_steps != plan.total_env_steps:
            raise ValueError(
                f"arms {arm} and {reference} on {task} have neither the same env steps per agent "
                f"({plan.env_steps_per_agent:,} and {other.env_steps_per_agent:,}) nor the same in total "
                f"({plan.total_env_steps:,} and {other.total_env_steps:,}), and can't be compared. Give {arm} another "
                "reference, or the same budget."
            )


def _doubled(names: Iterator[str]) -> list[str]:
    seen: set[str] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
