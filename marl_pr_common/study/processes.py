"""Cells as processes of their own: what a worker of any engine calls. One that crashes takes no other with it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from marl_pr_common.run_guard import PARENT
from marl_pr_common.study.cell import LOG, SECONDS_TO_SAVE, is_done

State = Literal["done", "failed", "stopped"]
_ASKED_TO_END = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""Exit codes of a run that saved because a signal asked it to end."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Ended:
    """What became of a cell."""

    directory: str
    state: State
    seconds: float
    error: str = ""
    """The last line that a failed cell wrote."""


class Running:
    """The cells of this process, so that all of them end, and save, when it is interrupted."""

    def __init__(self) -> None:
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, directory: str, threads: int = 1) -> Ended:
        """Run one cell to its end, its words going to its log.

        :param threads: that its numerical libraries may use
        """
        path, started = Path(directory), time.monotonic()
        if is_done(path):
            return Ended(directory, "done", 0.0)
        with (path / LOG).open("ab") as log:
            before = log.tell()
            with self._lock:
                if self._stopped:
                    return Ended(directory, "stopped", 0.0)
                process = subprocess.Popen(command(path), stdout=log, stderr=log, env=_environment(threads))
                self._processes.add(process)
            process.wait()  # here, and not elsewhere: on Linux a cell ends with the thread that started it
        with self._lock:
            self._processes.discard(process)
            stopped = self._stopped
        seconds = time.monotonic() - started
        if is_done(path):
            return Ended(directory, "done", seconds)
        if stopped or process.returncode in _ASKED_TO_END:
            return Ended(directory, "stopped", seconds)
        said = last_words(path / LOG, before) or "it said nothing"
        return Ended(directory, "failed", seconds, f"{said} (exit code {process.returncode})")

    def stop(self) -> None:
        """Ask all to save and end, and wait until they have."""
        with self._lock:
            self._stopped = True
            left = list(self._processes)
        for process in left:
            process.terminate()
        deadline = time.monotonic() + SECONDS_TO_SAVE
        for process in left:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))


def run_cell(directory: str, threads: int = 1) -> Ended:
    """One cell, from a worker process of a cluster; ends with that worker."""
    running = Running()
    try:
        return running.run(directory, threads)
    except BaseException:
        running.stop()
        raise


def command(directory: Path) -> list[str]:
    """The command line of a cell; it can be given by hand just as well."""
    return [sys.executable, "-m", "marl_pr_common.study.cell", str(directory)]


def last_words(log: Path, start: int = 0) -> str:
    """The last error that a log names, else its last line that says something; empty if none does.

    :param start: bytes that an earlier run of the cell wrote
    """
    text = log.read_bytes()[start:].decode("utf-8", errors="replace") if log.is_file() else ""
    lines = text.strip().splitlines()
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt|Exit)\b", line)]
    return (errors or lines or [""])[-1].strip()


def _environment(threads: int) -> dict[str, str]:
    variables = dict.fromkeys(_THREAD_VARIABLES, str(threads))
    # MARL_PR_DEBUG: the log gets the stack trace, its last line is the error
    return {**os.environ, **variables, "MARL_PR_DEBUG": "1", PARENT: str(os.getpid())}
