"""From done cells to results and report: every file is checked against the DONE that vouches for it.

A study whose arms have several references (TD3+PR against TD3, DDPG+PR against DDPG) gets one report for each, in a
directory with the reference's name, and ``index.html`` leads to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from marl_pr_common.config.mapping import suggest
from marl_pr_common.report import ReportContext, context_of, write_index
from marl_pr_common.report.build import build, write
from marl_pr_common.report.collect import approximate, differing, records_of
from marl_pr_common.results.comparable import NotComparableError
from marl_pr_common.runs.files import file_name
from marl_pr_common.runs.provenance import as_plain
from marl_pr_common.runs.status import try_status
from marl_pr_common.runs.table import RESULTS, read_results, write_results
from marl_pr_common.study.cell import CELLS, DONE, LOG, RUN_DIRECTORY, is_done, results_file, vouched
from marl_pr_common.study.config import StudyConfig
from marl_pr_common.study.hosts import load_host
from marl_pr_common.study.plan import Cell, host_settings, label_of, numbers_at, swept
from marl_pr_common.study.stacks import said


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
) -> tuple[list[Path], list[str]]:
    """Write results and reports of the cells that are done; nothing if none is.

    :param failed: directory of a cell that failed -> its last words
    :param command: the command line that makes the results again
    :return: the reports, and why others could not be written: all runs diverged, or the results cannot be compared, for
        instance after a change of versions; they are in ``results.parquet`` all the same
    """
    found = collect(cells, failed)
    if found.results is None:
        return [], []
    write_results(out / RESULTS, found.results)
    return write_reports(config, found.results, out, _context(config, cells, found, command))


def write_reports(
    config: StudyConfig, results: pd.DataFrame, out: Path, context: Mapping[str, Any]
) -> tuple[list[Path], list[str]]:
    """One report for each reference of a study, and ``index.html`` where there are several.

    :param context: arguments of :class:`ReportContext`
    :return: see :func:`report`
    """
    written, refused, documents = [], [], {}
    for reference, arms in families(config).items():
        part = results[results["arm"].isin(arms)]
        own, reason = _family_context(config, part, reference, context)
        folder = out if len(families(config)) == 1 else out / file_name(reference)
        if reason:
            refused.append(reason)
            continue
        try:
            documents[folder.name] = build(part, own)
        except NotComparableError as error:
            refused.append(str(error))
        else:
            written.append(write(documents[folder.name], folder))
    _remove_stale(out, written)
    if len(families(config)) > 1 and written:
        write_index(out, context["title"], context["description"], documents)
    return written, refused


def report_again(config: StudyConfig, results: pd.DataFrame, out: Path, **more: Any) -> list[Path]:
    """The reports of a study from its results alone, with its words, references and thresholds.

    :param config: with all arms, at no scale: those without results are left out
    :param results: of its cells, for instance from ``results.parquet``
    :param more: further arguments of :class:`ReportContext`
    :raises ValueError: if an arm or a task is not the study's, or nothing can be written; the message names it
    """
    for column, known in (("arm", config.arms), ("task", config.tasks)):
        for name in results[column].unique():
            if name not in known:
                raise ValueError(
                    f"{column} {name!r} is none of this study's: expected {', '.join(known)}.{suggest(name, known)}"
                )
    arms = {name: entry for name, entry in config.arms.items() if name in set(results["arm"])}
    try:
        host = load_host(config.host)
        named = {
            name: host_settings(host, name, arm)[0]
            if (arm.arm or name) in host.ARMS
            else label_of(name, arm, arm.arm or name)
            for name, arm in arms.items()
        }
    except ImportError:  # it does not need what ran it
        named = {name: label_of(name, arm, arm.arm or name) for name, arm in arms.items()}
    values = numbers_at(config.sweep, {name: entry.settings for name, entry in arms.items()})
    context = {**_said(config), "labels": named, "sweep": _sweep(config, values), **more}
    written, refused = write_reports(replace(config, arms=arms), results, out, context)
    if refused:
        raise ValueError(" ".join(refused))
    return written


def _family_context(
    config: StudyConfig, part: pd.DataFrame, reference: str, context: Mapping[str, Any]
) -> tuple[ReportContext, str]:
    """The context of one reference and its arms, and why there can't be a report; empty if there can."""
    bad = diverged(part, config.metric)
    present = set(part.loc[~part["run"].isin(bad), "arm"])
    own = ReportContext(**{**context, "reference": reference, "exclude": bad})
    if not present:
        return own, f"{reference} and its arms: no run is done that did not diverge ({', '.join(bad) or 'none'})."
    if reference not in present:
        text = f"The reference {reference} has no results"
        if len(present) > 1:
            return (
                own,
                f"{text}, and nothing else is compared in its place; `marl-pr report` takes another --reference.",
            )
        own = replace(own, reference=None, notes=[*own.notes, f"{text}: nothing is compared."])
    return own, ""


def _remove_stale(out: Path, written: Sequence[Path]) -> None:
    """Reports of an earlier time that are not of this study any more."""
    for path in [*out.glob("report.html"), *out.glob("index.html"), *out.glob("*/report.html")]:
        if path not in written:
            path.unlink()


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
        log = f"{CELLS}/{cell.name}/{LOG}"
        if str(cell.directory) in failed:
            found.failed.append((f"{cell.name} ({failed[str(cell.directory)]})", log))
        elif not is_done(cell.directory) and (status := try_status(cell.directory / RUN_DIRECTORY)) and status.error:
            found.failed.append((f"{cell.name} ({status.error})", log))
        elif not is_done(cell.directory):
            found.missing.append(cell.name)
        elif not vouched(cell.directory):
            found.notes.append(f"{cell.name} is left out: its {RESULTS} is not the file that {DONE} vouches for.")
        else:
            good.append(results_file(cell.directory))
    results = read_results(good) if good else None
    return Collected(results, found.failed, found.missing, found.notes)


def diverged(results: pd.DataFrame, metric: str) -> list[str]:
    """Names of the runs with a value of ``metric`` that is not finite."""
    rows = results[(results["metric"] == metric) & ~np.isfinite(results["value"])]
    return sorted(rows["run"].unique())


def _asked(config: StudyConfig) -> str:
    """The question, and what was fixed before the first run."""
    fixed = config.preregistered.strip()
    return config.question.strip() + (f" Fixed before the first run: {fixed}" if fixed else "")


def _context(config: StudyConfig, cells: Sequence[Cell], found: Collected, command: str) -> dict[str, Any]:
    assert found.results is not None
    first = {cell.manifest.arm: cell.manifest.plan.settings for cell in reversed(cells)}
    done = [cell.directory / RUN_DIRECTORY for cell in cells if is_done(cell.directory)]
    return {
        **_said(config),
        "labels": {cell.manifest.arm: cell.manifest.label for cell in cells},
        "settings": differing(first, ignore=("seed", "env")),
        "failed": found.failed,
        "missing": found.missing,
        "notes": [
            *(*found.notes, *approximate(records_of(done)[0])),
            *said([cell for cell in cells if is_done(cell.directory)]),
        ],
        "command": command,
        "provenance": context_of(done).provenance,
        "sweep": _sweep(config, swept(config, tuple(cells))),
    }


def _sweep(config: StudyConfig, values: Mapping[str, float]) -> dict[str, Mapping[str, float]]:
    return {config.sweep: values} if config.sweep and len(set(values.values())) > 1 else {}


def _said(config: StudyConfig) -> dict[str, Any]:
    """What the YAML says by itself."""
    return {
        "title": config.title or "Study",
        "description": _asked(config),
        "config_text": yaml.safe_dump(as_plain(config), sort_keys=False, allow_unicode=True, width=110),
        "thresholds": {task: entry.threshold for task, entry in config.tasks.items() if entry.threshold is not None},
        "metric": config.metric,
    }
