"""Runs cells as processes of their own, so many at a time; one that crashes takes no other with it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from marl_pr_common.config.shipped import read_yaml
from marl_pr_common.display import Display
from marl_pr_common.files import read_json
from marl_pr_common.provenance import RUN
from marl_pr_common.run_guard import PARENT, RunInUseError, exclusive
from marl_pr_common.runs import CHECKPOINTS, RESULTS, set_aside
from marl_pr_common.status import read_status

POLL_SECONDS = 0.5
_LEFT_BY_A_RUN = (RUN, RESULTS, "model.zip")
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Cell:
    """One process of a comparison."""

    name: str
    arm: str
    config: Path
    directory: Path
    log: Path
    total_env_steps: int
    threads: int


class _Processes:
    """The running processes, so that all of them end when the comparison is interrupted."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, cell: Cell) -> float | None:
        """Run one cell to its end; seconds it took, or None if it failed or was not started any more."""
        cell.log.parent.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with cell.log.open("ab") as log:
            try:
                process = self._start(cell, log)
            except RunInUseError as error:
                log.write(f"{error}\n".encode())
                return None
            if process is None:
                return 0.0 if is_complete(cell.directory) else None
            code = process.wait()  # here, and not elsewhere: a cell ends with the thread that started it
        with self._lock:
            self._running.discard(process)
        return time.monotonic() - started if code == 0 else None

    def _start(self, cell: Cell, log: IO[bytes]) -> subprocess.Popen[bytes] | None:
        """Start the cell, unless all are to end or another process has completed it meanwhile.

        :raises RunInUseError: if another process trains it
        """
        with exclusive(cell.directory), self._lock:
            if self._stopped or is_complete(cell.directory):
                return None
            if can_resume(cell):
                line = resume_command(cell)
            else:
                set_aside(cell.directory)
                line = command(cell)
            process = subprocess.Popen(line, stdout=log, stderr=log, env=_environment(cell.threads))
            self._running.add(process)
        return process

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()


def resume_command(cell: Cell) -> list[str]:
    """The command line that goes on with an interrupted cell."""
    return [sys.executable, "-m", "marl_pr_common.cli", "train", "--resume", str(cell.directory)]


def command(cell: Cell) -> list[str]:
    """The command line of a cell; it can be given by hand just as well."""
    module = [sys.executable, "-m", "marl_pr_common.cli", "train"]
    return [*module, "--config", str(cell.config), "--arm", cell.arm, "--out", str(cell.directory)]


def is_complete(directory: Path) -> bool:
    """Whether a run directory says that its run ended as it should, and holds what such a run leaves."""
    status = read_status(directory)
    if status is None or status.state != "complete":
        return False
    return all((directory / name).is_file() for name in _LEFT_BY_A_RUN)


def can_resume(cell: Cell) -> bool:
    """Whether a cell was interrupted, not failed, with a checkpoint of the settings that are wanted now."""
    status = read_status(cell.directory)
    if status is None or status.state not in ("running", "stopped") or not (cell.directory / RUN).is_file():
        return False
    then = read_json(cell.directory / RUN).get("config")
    wanted = read_yaml(cell.config)
    if not isinstance(then, dict) or any(then.get(key) != value for key, value in wanted.items()):
        return False
    return any((cell.directory / CHECKPOINTS).glob("*/manifest.json"))


def run_cells(cells: Sequence[Cell], jobs: int, display: Display) -> tuple[str, ...]:
    """Run ``cells``, at most ``jobs`` at a time; names of those that failed, in the order of ``cells``."""
    failed: set[str] = set()
    of_steps = sum(cell.total_env_steps for cell in cells)
    finished = 0
    processes = _Processes()
    with ThreadPoolExecutor(max_workers=jobs) as pool, display:
        futures: dict[Future[float | None], Cell] = {pool.submit(processes.run, cell): cell for cell in cells}
        pending = set(futures)
        try:
            while pending:
                done, pending = wait(pending, POLL_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    cell, seconds = futures[future], future.result()
                    finished += 1
                    count = f"[{finished}/{len(cells)}] {cell.name}"
                    if seconds is None:
                        failed.add(cell.name)
                        display.line(f"{count} FAILED: {_last_line(cell.log)} (log: {cell.log})")
                    else:
                        display.line(f"{count} complete, {seconds:.0f} s")
                steps = sum(_steps_done(cell) for cell in cells)
                display.update(f"{finished}/{len(cells)} runs", steps, of_steps)
        except BaseException:
            processes.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return tuple(cell.name for cell in cells if cell.name in failed)


def _environment(threads: int) -> dict[str, str]:
    # MARL_PR_DEBUG: the log gets the stack trace, its last line is the error
    variables = {**dict.fromkeys(_THREAD_VARIABLES, str(threads)), "MARL_PR_DEBUG": "1", PARENT: str(os.getpid())}
    return {**os.environ, **variables}


def _steps_done(cell: Cell) -> int:
    status = read_status(cell.directory)
    return status.total_env_steps if status is not None else 0


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
