"""From done cells to results and report: every file is checked against the DONE that vouches for it.

A study whose arms have several references (TD3+PR against TD3, DDPG+PR against DDPG) gets one report for each, in a
directory with the reference's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from marl_pr_common.files import read_json
from marl_pr_common.provenance import as_plain
from marl_pr_common.report import ReportContext, context_of, write_report
from marl_pr_common.report.collect import differing
from marl_pr_common.runs import RESULTS, read_results, write_results
from marl_pr_common.study.cell import DONE, LOG, RUN_DIRECTORY, is_done, results_file
from marl_pr_common.study.config import StudyConfig
from marl_pr_common.study.plan import CELLS, Cell, swept


@dataclass(frozen=True)
class Collected:
    """What the cells of a study have left, and what is missing."""

    results: pd.DataFrame | None
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Cells that failed, each with its last words and its log."""
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def report(
    config: StudyConfig,
    cells: Sequence[Cell],
    out: Path,
    failed: Mapping[str, str],
    command: str = "",
) -> list[Path]:
    """Write results and reports of the cells that are done; nothing if none is.

    :param failed: directory of a cell that failed -> its last words
    :param command: the command line that makes the results again
    :return: the reports
    :raises NotComparableError: if the results cannot be compared, for instance after a change of versions; they are in
        ``results.parquet`` all the same
    """
    found = collect(cells, failed)
    if found.results is None:
        return []
    write_results(out / RESULTS, found.results)
    context = _context(config, cells, found, command)
    written = []
    for reference, arms in families(config).items():
        part = found.results[found.results["arm"].isin(arms)]
        if part.empty:
            continue
        folder = out if len(families(config)) == 1 else out / reference
        written.append(write_report(part, folder, ReportContext(**{**context, "reference": _present(reference, part)})))
    return written


def families(config: StudyConfig) -> dict[str, list[str]]:
    """Reference -> it, and the arms that are compared with it, in the study's order."""
    references = dict.fromkeys(config.reference_of(arm) for arm in config.arms)
    return {
        reference: [arm for arm in config.arms if reference in (arm, config.reference_of(arm))]
        for reference in references
    }


def collect(cells: Sequence[Cell], failed: Mapping[str, str]) -> Collected:
    """The results of all cells that are done, arms and tasks in the study's order, and what is missing and why."""
    good: list[Path] = []
    found = Collected(None)
    for cell in cells:
        if str(cell.directory) in failed:
            found.failed.append((f"{cell.name} ({failed[str(cell.directory)]})", f"{CELLS}/{cell.name}/{LOG}"))
        elif not is_done(cell.directory):
            found.missing.append(cell.name)
        elif not _vouched(cell):
            found.notes.append(f"{cell.name} is left out: its {RESULTS} is not the file that {DONE} vouches for.")
        else:
            good.append(results_file(cell.directory))
    results = read_results(good) if good else None
    return Collected(results, found.failed, found.missing, found.notes)


def diverged(results: pd.DataFrame, metric: str) -> list[str]:
    """Names of the runs with a value of ``metric`` that is not finite."""
    rows = results[(results["metric"] == metric) & ~np.isfinite(results["value"])]
    return sorted(rows["run"].unique())


def _context(config: StudyConfig, cells: Sequence[Cell], found: Collected, command: str) -> dict[str, Any]:
    assert found.results is not None
    sweep = swept(config, tuple(cells)) if config.sweep else {}
    first = {cell.manifest.arm: cell.manifest.plan.settings for cell in reversed(cells)}
    done = [cell.directory / RUN_DIRECTORY for cell in cells if is_done(cell.directory)]
    return {
        "title": config.title or "Study",
        "description": config.question,
        "labels": {cell.manifest.arm: cell.manifest.label for cell in cells},
        "settings": differing(first, ignore=("seed", "env")),
        "failed": found.failed,
        "missing": found.missing,
        "notes": found.notes,
        "config_text": yaml.safe_dump(as_plain(config), sort_keys=False, allow_unicode=True, width=110),
        "command": command,
        "provenance": context_of(done).provenance,
        "sweep": {config.sweep: sweep} if config.sweep and len(set(sweep.values())) > 1 else {},
        "thresholds": {task: entry.threshold for task, entry in config.tasks.items() if entry.threshold is not None},
        "exclude": diverged(found.results, config.metric),
        "metric": config.metric,
    }


def _present(reference: str, results: pd.DataFrame) -> str | None:
    """The reference, unless it has no results yet."""
    return reference if reference in set(results["arm"]) else None


def _vouched(cell: Cell) -> bool:
    said = read_json(cell.directory / DONE).get("sha256")
    return said == hashlib.sha256(results_file(cell.directory).read_bytes()).hexdigest()
