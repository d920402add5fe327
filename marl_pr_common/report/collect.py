"""What lies beside results on disk: settings, versions, commit, hardware and command lines of their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from marl_pr_common.config.mapping import flatten
from marl_pr_common.report.context import ReportContext
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.provenance import REASON, RUN
from marl_pr_common.runs.status import STATUS, try_status
from marl_pr_common.runs.table import INCOMPLETE, RESULTS

DONE = "DONE"
"""What a study leaves in every cell that is done."""
_SAME_IN_ALL = ("versions", "git", "hardware")
_ONE_OF_EACH = ("python", "platform")


def context_of(paths: Sequence[Path], title: str = "") -> ReportContext:
    """The context of runs, comparisons or tables, from the ``run.json`` files in and below their directories.

    Where runs differ, in a version for instance, all values are given. Without any ``run.json`` the report says that
    nothing is known.

    :param paths: as for ``read_results``
    :param title: by default the names of the paths
    """
    records, unreadable = records_of(paths)
    missing, stopped = _unfinished(paths)
    if not records:
        notes = ["No run.json: versions and settings are unknown."]
        return ReportContext(title=title or _names(paths), missing=missing, stopped=stopped, notes=notes)
    firsts: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        firsts.setdefault((str(record.get("arm", "run")), str(record.get("config", {}).get("env", ""))), record)
    configs = {arm: record.get("config", {}) for (arm, _), record in reversed(firsts.items())}
    whole = {" on ".join(filter(None, names)): record.get("config", {}) for names, record in firsts.items()}
    started = sorted(str(record["started"]) for record in records if "started" in record)
    provenance: dict[str, Any] = {key: merged([record.get(key) or {} for record in records]) for key in _SAME_IN_ALL}
    provenance |= merged([{key: record[key] for key in _ONE_OF_EACH if key in record} for record in records])
    if started:
        provenance["started"] = f"{started[0]} to {started[-1]}" if started[0] != started[-1] else started[0]
    return ReportContext(
        title=title or _names(paths),
        settings=differing(configs, ignore=("seed", "env")),
        config_text=yaml.safe_dump(whole, sort_keys=False, allow_unicode=True),
        command="\n".join(str(record["command"]) for record in firsts.values() if "command" in record),
        provenance=provenance,
        missing=missing,
        stopped=stopped,
        notes=[
            f"Configuration and commands: those of the first run of each arm and task, of {len(records)} runs.",
            *approximate(records),
            *unreadable,
        ],
    )


def records_of(paths: Sequence[Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """The ``run.json`` files of finished runs that can be read, and a note for every other."""
    records, unreadable = [], []
    for file in _run_files(paths):
        try:
            records.append(read_json(file))
        except ValueError as error:
            unreadable.append(f"Left out of the settings: {error}")
    return records, unreadable


def approximate(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A note for each reason why runs that were interrupted did not go on bit for bit, with their names."""
    found: dict[str, list[str]] = {}
    for record in records:
        name = record.get("run") or f"{record.get('arm')}-seed{record.get('seed')}"
        for reason in filter(None, dict.fromkeys(entry.get(REASON) for entry in record.get("resumed") or [])):
            found.setdefault(reason, []).append(str(name))
    return [
        f"Went on approximately after an interruption, not as it would have without ({reason}): {', '.join(names)}."
        for reason, names in found.items()
    ]


def merged(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every key with its value, or with all values, joined by ``or``, where the records differ."""
    values: dict[str, list[Any]] = {}
    for record in records:
        for key, value in record.items():
            known = values.setdefault(key, [])
            if value not in known:
                known.append(value)
    return {key: known[0] if len(known) == 1 else " or ".join(map(str, known)) for key, known in values.items()}


def differing(configs: Mapping[str, Mapping[str, Any]], ignore: Sequence[str] = ("seed",)) -> dict[str, dict[str, Any]]:
    """The settings, nested ones as ``pr.kappa``, that are not equal in all arms."""
    flat = {arm: {key: v for key, v in flatten(config).items() if v != {}} for arm, config in configs.items()}
    keys = dict.fromkeys(key for values in flat.values() for key in values if key not in ignore)
    unequal = [key for key in keys if len({str(values.get(key)) for values in flat.values()}) > 1]
    return {arm: {key: values[key] for key in unequal if key in values} for arm, values in flat.items()}


def _run_files(paths: Sequence[Path]) -> list[Path]:
    """Of finished runs: what interrupted ones left is no result, unless it is named itself."""
    found = []
    for path in paths:
        if path.is_file():  # a table of its own may lie anywhere: only what a run or a comparison puts beside it
            found += [*path.parent.glob(RUN), *path.parent.glob(f"cells/*/{RUN}")]
        else:
            found += [file for file in path.rglob(RUN) if INCOMPLETE not in str(file.relative_to(path))]
    return sorted({file.resolve() for file in found if file.with_name(RESULTS).is_file()})


def _unfinished(paths: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Cells of studies that are not done, and how far every run came that is not complete."""
    folders = [path.parent if path.is_file() else path for path in paths]
    cells = sorted({cell for folder in folders for cell in folder.glob("cells/*") if cell.is_dir()})
    files = {file for path in paths if path.is_dir() for file in path.rglob(STATUS)}
    files |= {cell / "run" / STATUS for cell in cells}
    texts = {}
    for file in sorted(file for file in files if INCOMPLETE not in str(file)):
        status = try_status(file.parent)
        if status is not None and status.state != "complete":
            name = file.parent.parent.name if file.parent.name == "run" else file.parent.name
            states = {"stopped": "stopped", "failed": f"failed ({status.error})", "running": "is running or was ended"}
            done = f"{status.total_env_steps:,} of {status.of_total_env_steps:,}"
            texts[name] = f"Run {name} {states[status.state]} at {done} env steps in total: it is unfinished."
    return [cell.name for cell in cells if not (cell / DONE).is_file()], list(texts.values())


def _names(paths: Sequence[Path]) -> str:
    return "Report: " + ", ".join(path.resolve().name for path in paths)
