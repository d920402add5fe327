"""One cell of a study as a process: ``python -m marl_pr_common.study.cell DIRECTORY``. Giving it again is harmless.

With ``--serve`` one process runs one cell after the other: those that the standard input names, see
:mod:`marl_pr_common.study.server`.

DIRECTORY/manifest.json   what is to be run
DIRECTORY/run/            what the host leaves: results.parquet, run.json, status.json, checkpoints
DIRECTORY/log.txt         what it said
DIRECTORY/DONE            written last: the run is complete and its results are whole
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from marl_pr_common.config import from_mapping
from marl_pr_common.runs.files import read_json, write_json
from marl_pr_common.runs.lock import end_with_parent, exclusive
from marl_pr_common.runs.status import try_status
from marl_pr_common.runs.table import RESULTS, read_results, set_aside
from marl_pr_common.study.hosts import CellRun, Plan, load_host
from marl_pr_common.study.server import serve

MANIFEST = "manifest.json"
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
    """Whether the cell is complete: DONE is there, and the results that it vouches for are."""
    return (directory / DONE).is_file() and results_file(directory).is_file()


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
    """Run the cell in ``directory`` to its end, unless it is done.

    :raises RunInUseError: if another process runs it
    :raises ValueError: if its files are damaged, or the host refuses a setting
    """
    with exclusive(directory, SECONDS_TO_SAVE):  # one that a killed study left is still saving
        if is_done(directory):
            return
        manifest = read_manifest(directory)
        status = try_status(directory / RUN_DIRECTORY)
        if status is None or (status.state == "complete" and not results_file(directory).is_file()):
            set_aside(directory / RUN_DIRECTORY)  # nothing that a host could go on with
        cell = CellRun(manifest.name, manifest.arm, manifest.task, manifest.seed, manifest.plan)
        load_host(manifest.host).run(cell, directory / RUN_DIRECTORY)
        _finish(directory, manifest)


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
        "directory", type=Path, nargs="?", help="a directory with manifest.json, as `marl-pr study` writes it"
    )
    which.add_argument("--serve", action="store_true", help="run the cells that the standard input names")
    given = parser.parse_args(arguments)
    directory = given.directory
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("marl_pr").setLevel(logging.INFO)
    if not given.serve and not (directory / MANIFEST).is_file():
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
