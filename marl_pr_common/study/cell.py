"""One cell of a study as a process: ``python -m marl_pr_common.study.cell DIRECTORY``. Giving it again is harmless.

With ``--serve`` one process runs one cell after the other: those that the standard input names, see
:mod:`marl_pr_common.study.server`.

DIRECTORY/manifest.json   what is to be run
DIRECTORY/run/            what the host leaves: results.parquet, run.json, status.json, checkpoints
DIRECTORY/log.txt         what it said
DIRECTORY/DONE            written last: the run is complete and its results are whole

A stack is several cells as one process; of its own it has

DIRECTORY/stack.json      which cells
DIRECTORY/log.txt         what the process said; what it said of a cell is in that cell's log, too
DIRECTORY/checkpoints/    while they run
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import hashlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from marl_pr_common.config import from_mapping
from marl_pr_common.runs.files import read_json, write_json
from marl_pr_common.runs.lock import end_with_parent, exclusive
from marl_pr_common.runs.status import try_status
from marl_pr_common.runs.table import RESULTS, read_results, set_aside
from marl_pr_common.study.hosts import CellRun, Plan, load_host
from marl_pr_common.study.server import serve

MANIFEST = "manifest.json"
STACK = "stack.json"
CELLS = "cells"
STACKS = "stacks"
DONE = "DONE"
RUN_DIRECTORY = "run"
SECONDS_TO_SAVE = 120.0
"""How long a cell that was asked to end may take to save its checkpoint."""
LOG = "log.txt"


@dataclass(frozen=True)
class Manifest:
    """What a cell is: equal manifests give equal results."""

    name: str
    host: str
    arm: str
    label: str
    task: str
    seed: int
    plan: Plan


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``."""
    write_json(directory / MANIFEST, asdict(manifest))


def read_manifest(directory: Path) -> Manifest:
    """The cell's manifest.

    :raises FileNotFoundError: if there is none
    :raises ValueError: if it is not one of ours
    """
    return from_mapping(Manifest, read_json(directory / MANIFEST), where=str(directory / MANIFEST))


def is_done(directory: Path) -> bool:
    """Whether the cell (of a stack: every cell) is complete: DONE and the results that it vouches for are there."""
    if (directory / STACK).is_file():
        return all(is_done(cell) for cell in stacked(directory))
    return (directory / DONE).is_file() and results_file(directory).is_file()


def stacked(directory: Path) -> list[Path]:
    """The cells of a stack.

    :raises ValueError: if its file is not one of ours
    """
    names = read_json(directory / STACK).get("cells")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{directory / STACK} has cells={names!r}, expected a list of names: it was edited.")
    return [directory.parent.parent / CELLS / name for name in names]


def heal(directory: Path) -> None:
    """Set aside what DONE vouches for, if the results are damaged or gone: the cell then runs again."""
    if (directory / DONE).is_file() and not vouched(directory):
        (directory / DONE).unlink()
        set_aside(directory / RUN_DIRECTORY)


def vouched(directory: Path) -> bool:
    """Whether the results are those that DONE was written for, by their hash."""
    try:
        said = read_json(directory / DONE).get("sha256")
        return bool(said == hashlib.sha256(results_file(directory).read_bytes()).hexdigest())
    except (OSError, ValueError):
        return False


def results_file(directory: Path) -> Path:
    """The cell's table of results."""
    return directory / RUN_DIRECTORY / RESULTS


def run(directory: Path) -> None:
    """Run the cell, or the stack, in ``directory`` to its end, unless it is done.

    :raises RunInUseError: if another process runs it
    :raises ValueError: if its files are damaged, or the host refuses a setting
    """
    if (directory / STACK).is_file():
        _run_stack(directory)
        return
    with exclusive(directory, SECONDS_TO_SAVE):  # one that a killed study left is still saving
        if is_done(directory):
            return
        manifest = read_manifest(directory)
        status = try_status(directory / RUN_DIRECTORY)
        if status is None or (status.state == "complete" and not results_file(directory).is_file()):
            set_aside(directory / RUN_DIRECTORY)  # nothing that a host could go on with
        load_host(manifest.host).run(_cell_run(manifest), directory / RUN_DIRECTORY)
        _finish(directory, manifest)


def _cell_run(manifest: Manifest) -> CellRun:
    return CellRun(manifest.name, manifest.arm, manifest.task, manifest.seed, manifest.plan)


def _run_stack(directory: Path) -> None:
    """A cell of it that fails alone gets no DONE, and its error is in its ``status.json`` and its log."""
    paths = stacked(directory)
    with contextlib.ExitStack() as held:
        for path in (directory, *paths):
            held.enter_context(exclusive(path, SECONDS_TO_SAVE))
        if all(_state(path) != "complete" for path in paths):  # else it ended as a stack before
            manifests = [read_manifest(path) for path in paths]
            host: Any = load_host(manifests[0].host)
            with _apart({manifest.name: path for manifest, path in zip(manifests, paths, strict=True)}):
                runs = [path / RUN_DIRECTORY for path in paths]
                host.run_stack([_cell_run(manifest) for manifest in manifests], runs, directory)
        for path in paths:
            if _state(path) == "complete" and not is_done(path):
                _finish(path, read_manifest(path))


def _state(directory: Path) -> str:
    status = try_status(directory / RUN_DIRECTORY)
    return "" if status is None else status.state


@contextlib.contextmanager
def _apart(logs: dict[str, Path]) -> Iterator[None]:
    """Within it what is said of one cell ("NAME: ...") goes to that cell's log, too; all else to the logs of all."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            whose = [path for name, path in logs.items() if text.startswith(f"{name}: ")]
            for path in whose or logs.values():
                with (path / LOG).open("a", encoding="utf-8") as log:
                    log.write(f"{text}\n")

    handler, logger = Handler(), logging.getLogger("marl_pr")
    logger.addHandler(handler)
    try:
        yield
    except Exception as error:
        handler.emit(logging.makeLogRecord({"msg": f"{type(error).__name__}: {error}"}))
        raise
    finally:
        logger.removeHandler(handler)


def _finish(directory: Path, manifest: Manifest) -> None:
    """Write DONE if the host has left whole results of this cell.

    :raises ValueError: if not
    """
    path = results_file(directory)
    results = read_results([path])
    names = sorted(results["run"].unique())
    if names != [manifest.name]:
        raise ValueError(f"{path} holds results of {', '.join(names) or 'no run'}, expected {manifest.name} alone.")
    content = {
        "finished": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "rows": len(results),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    write_json(directory / DONE, content)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cell; exit code 0 done, 1 it failed (the error is the last line), 2 there is no such cell."""
    parser = argparse.ArgumentParser(prog="python -m marl_pr_common.study.cell", description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "directory",
        type=Path,
        nargs="?",
        help="a directory with manifest.json or stack.json, as `marl-pr study` writes it",
    )
    which.add_argument("--serve", action="store_true", help="run the cells that the standard input names")
    given = parser.parse_args(arguments)
    directory = given.directory
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("marl_pr").setLevel(logging.INFO)
    if not given.serve and not any((directory / name).is_file() for name in (MANIFEST, STACK)):
        sys.stderr.write(f"{directory} holds no {MANIFEST}: it is not a cell of a study.\n")
        return 2
    try:
        end_with_parent()
        if given.serve:
            return serve(run, LOG)
        run(directory)
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("MARL_PR_DEBUG", "0") not in ("", "0"):
            raise
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
