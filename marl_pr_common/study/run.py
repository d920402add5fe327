"""Runs a study: what is missing, and only that; then collects results and writes the report.

out/study.json            the study as it was asked for, and on what it ran
out/cells/CELL/           one directory per cell, see :mod:`marl_pr_common.study.cell`
out/stacks/STACK/         cells as one process: which, its log, its checkpoints
out/results.parquet, report.html, summary.md, figures/
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import filelock
from rich.console import Console

from marl_pr_common.envs.imports import NotHereError
from marl_pr_common.runs.files import read_json, write_json
from marl_pr_common.runs.provenance import as_plain, circumstances
from marl_pr_common.runs.table import set_aside
from marl_pr_common.study import schedulers, stacks
from marl_pr_common.study.cell import RUN_DIRECTORY, heal, is_done, write_manifest
from marl_pr_common.study.config import StudyConfig
from marl_pr_common.study.hosts import load_host
from marl_pr_common.study.plan import Cell, resolve
from marl_pr_common.study.progress import Progress
from marl_pr_common.study.same import require_same_settings
from marl_pr_common.study.stacks import Unit

STUDY = "study.json"
LOCK = ".lock"
OLD_COMPARISON = "compare.json"
"""What `marl-pr compare` left before its comparisons were studies."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of the cells, by name."""

    done: tuple[str, ...]
    failed: tuple[str, ...]
    left: tuple[str, ...] = ()
    """Neither done nor failed: asked to end, and saved."""
    reports: tuple[Path, ...] = ()
    refused: str = ""
    """Why arms could not be compared; empty if they were."""


def run_study(
    config: StudyConfig,
    out: Path,
    jobs: int = 2,
    engine: schedulers.Engine = "local",
    console: Console | None = None,
    command: str = "",
    approve: Callable[[Sequence[Cell]], None] | None = None,
) -> Outcome:
    """Run the cells of a study that are not done yet, then report on all that are.

    Seeds, tasks and arms may be added later: what is done stays. A cell that fails stops no other; its log is named.

    :param config: at one scale (:meth:`StudyConfig.at`)
    :param jobs: cells at the same time
    :param command: what the report gives as the command that makes it again
    :param approve: is asked before anything is written, with all cells; what it raises ends the study
    :raises ValueError: if a setting is refused, done cells in ``out`` have other settings, or another process works on
        ``out``; nothing is changed then
    :raises FileExistsError: if ``out`` holds something else
    """
    if jobs < 1:
        raise ValueError(f"jobs={jobs!r}: expected an integer >= 1.")
    schedulers.require(engine)
    cells = _resolved(config, out)
    require_study_or_unused(out)
    if approve is not None:
        require_same_settings(cells)
        approve(cells)
    with _locked(out):
        todo, units = _claim(config, cells, out, jobs)
        progress = Progress(cells, todo, console)
        if len(todo) < len(cells):
            progress.line(f"{len(cells) - len(todo)} of {len(cells)} cells are done and kept.")
        if todo:
            shared = _shared(config, units)
            running = schedulers.run_cells(engine, list(units), jobs, out / "engine", shared)
            with _goes_on(cells, out), progress, contextlib.closing(running) as results:
                for ended in results:
                    for each in stacks.apart(ended, units[ended.directory]):
                        progress.end(each)
        failed = {ended.directory: ended.error for ended in progress.ended.values() if ended.state == "failed"}
        return _outcome(config, cells, out, failed, command)


def _shared(config: StudyConfig, units: Mapping[str, Unit]) -> set[str]:
    """Directories of the cells that may share processes, one after the other."""
    may_share = load_host(config.host).may_share
    alone = ((name, unit.cells[0].manifest) for name, unit in units.items() if not unit.is_stack)
    return {name for name, manifest in alone if may_share(manifest.task, manifest.plan)}


@contextlib.contextmanager
def _goes_on(cells: Sequence[Cell], out: Path) -> Iterator[None]:
    """An interruption says what is done and how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        done = sum(is_done(cell.directory) for cell in cells)
        begun = sum((cell.directory / RUN_DIRECTORY).exists() for cell in cells if not is_done(cell.directory))
        saved = f", {begun} were begun and go on from their last checkpoint" if begun else ""
        raise KeyboardInterrupt(
            f"interrupted: {done} of {len(cells)} cells in {out} are done{saved}. The same command goes on"
        ) from error


def report_only(config: StudyConfig, out: Path, command: str = "") -> Outcome:
    """Write the report of what is done in ``out``; nothing is run.

    :raises ValueError: if no cell is done, or one is done with other settings
    """
    cells = _resolved(config, out)
    if not any(is_done(cell.directory) for cell in cells):
        raise ValueError(f"{out} has no done cell of this study to report on.")
    with _locked(out):
        require_same_settings(cells, evaluations=False)
        return _outcome(config, cells, out, {}, command)


def _resolved(config: StudyConfig, out: Path) -> tuple[Cell, ...]:
    """The cells. Of a user's environment that isn't here it is said where the study was begun.

    :raises ValueError: see :func:`marl_pr_common.study.plan.resolve`
    """
    try:
        return stacks.require_stackable(config.stack, resolve(config, out))
    except ValueError as error:
        times = read_json(out / STUDY).get("times") if (out / STUDY).is_file() else None
        if not isinstance(error.__cause__, NotHereError) or not times:
            raise
        raise ValueError(f"{error} The study was begun in {times[-1].get('directory')}.") from error


def _outcome(config: StudyConfig, cells: Sequence[Cell], out: Path, failed: Mapping[str, str], command: str) -> Outcome:
    done = tuple(cell.name for cell in cells if is_done(cell.directory))
    names = tuple(cell.name for cell in cells if str(cell.directory) in failed)
    left = tuple(cell.name for cell in cells if cell.name not in {*done, *names})
    from marl_pr_common.study.report import report  # slow to import, and needed last

    written, refused = report(config, cells, out, failed, command)
    return Outcome(done, names, left, tuple(written), "\n".join(refused))


def require_study_or_unused(out: Path, beside: Sequence[str] = ()) -> None:
    """Raise FileExistsError if ``out`` holds anything but a study, and names in ``beside``."""
    if (out / STUDY).is_file() or not out.exists():
        return
    if (out / OLD_COMPARISON).is_file():
        raise FileExistsError(
            f"{out} holds a comparison of an earlier version, which this one cannot go on with. Nothing was changed; "
            f"choose another --out. `marl-pr report {out} --out REPORT` reports on it."
        )
    if not out.is_dir() or any(path.name not in (LOCK, *beside) for path in out.iterdir()):
        raise FileExistsError(f"{out} is not empty and holds no study. Nothing was changed; choose another --out.")


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    out.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(out / LOCK, timeout=0):
            yield
    except filelock.Timeout as error:
        raise ValueError(f"Another process is working on {out}. Wait for it, or choose another --out.") from error


def _claim(config: StudyConfig, cells: Sequence[Cell], out: Path, jobs: int) -> tuple[list[Cell], dict[str, Unit]]:
    """Write the study and its cells' manifests; what an undone cell of other settings left is set aside.

    :return: the cells that are not done, and the processes that they run as, by directory
    :raises ValueError: if a done cell has other settings, or ``study.json`` is not ours
    """
    changed = require_same_settings(cells)
    before = read_json(out / STUDY) if (out / STUDY).is_file() else {}
    previous, earlier = before.get("times", []), before.get("stacks", {})
    for name, value, kind in (("times", previous, list), ("stacks", earlier, dict)):
        if not isinstance(value, kind):
            raise ValueError(
                f"{out / STUDY} has {name}={value!r}, expected a {kind.__name__}: it was edited. Nothing was changed."
            )
    content = {"config": as_plain(config), "times": [*previous, circumstances()], "stacks": earlier}
    write_json(out / STUDY, content)  # first of all: a directory with cells and without it would be somebody else's
    for cell in changed:
        set_aside(cell.directory / RUN_DIRECTORY)
    for cell in cells:
        heal(cell.directory)
        write_manifest(cell.directory, cell.manifest)
    todo = [cell for cell in cells if not is_done(cell.directory)]
    units = {str(unit.directory): unit for unit in stacks.units(todo, config.stack, out, jobs)}
    write_json(out / STUDY, {**content, "stacks": {**earlier, **stacks.claim(units.values())}})
    return todo, units
