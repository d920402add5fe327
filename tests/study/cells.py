"""Cells of a study in processes of their own: run one, kill one, run it again.

python -m tests.study.cells HOST DIRECTORY CELL
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from marl_pr_common.runs.table import RESULTS, read_results
from marl_pr_common.study.config import overlay
from marl_pr_common.study.hosts import CellRun, Plan, load_host, require_arm
from tests import warm
from tests.events import SAVE, halting, send

PACKAGE = str(Path(__file__).parents[2])
TIMES = ["wall_time", "cpu_time"]


def cell(host: str, arm: str, task: str, seed: int, settings: Mapping[str, Any]) -> CellRun:
    """The cell of a study with these settings."""
    module = load_host(host)
    merged = overlay(settings, require_arm(module, arm).settings)
    return CellRun(f"{arm}-seed{seed}", arm, task, seed, module.plan(task, seed, merged))


def variables() -> dict[str, str]:
    """The environment of a cell: one thread, this package importable from any folder."""
    path = os.pathsep.join(filter(None, [PACKAGE, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "SDL_VIDEODRIVER": "dummy"}


def start(host: str, what: CellRun, directory: Path, environment: Mapping[str, str] | None = None) -> warm.Program:
    """Run a cell in a process of its own."""
    environment = variables() if environment is None else environment
    command = [sys.executable, "-m", "tests.study.cells", host, str(directory), json.dumps(asdict(what))]
    return warm.Program(command, Path(PACKAGE), environment)


def to_the_end(host: str, what: CellRun, directory: Path) -> pd.DataFrame:
    """Run a cell and return its results."""
    process = start(host, what, directory)
    assert process.wait() == 0, process.said()[-4000:]
    return read_results([directory / RESULTS])


def end(
    host: str, what: CellRun, directory: Path, number: int = signal.SIGKILL, before: str = SAVE, call: int = 2
) -> int:
    """Start a cell, send a signal to its process at a call of a function, and return its exit code.

    :param before, call: see :func:`tests.events.halting`; by default when it is about to save for the second time
    """
    mark = directory.with_name(f"{directory.name}.halted")
    process = start(host, what, directory, halting(before, call, mark, variables()))
    send(process, number, mark, process.said)
    return process.wait()


def without_times(results: pd.DataFrame) -> pd.DataFrame:
    """What two equal runs agree in."""
    return results.drop(columns=TIMES)


def main(host: str, directory: str, cell: str) -> None:
    """Run the cell that stands in the last argument."""
    given = json.loads(cell)
    load_host(host).run(CellRun(**{**given, "plan": Plan(**given["plan"])}), Path(directory))


if __name__ == "__main__":
    main(*sys.argv[1:])
