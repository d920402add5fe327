"""Cells as processes of their own: what a worker of any engine calls. One that crashes takes no other with it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

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
    """The cells of this process, so that all of them end, and save, when it is interrupted.

    :param light: cells are over sooner than a process has started: each thread that runs some keeps one process for
        them all, and starts another only after one that crashed
    """

    def __init__(self, light: bool = False) -> None:
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._light, self._own = light, threading.local()

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
                process = self._process(path, log, threads)
                self._processes.add(process)
            # waited for here, and not elsewhere: on Linux a cell ends with the thread that started its process
            code = _served(process, path) if self._light else process.wait()
        with self._lock:
            if process.poll() is not None:
                self._processes.discard(process)
            stopped = self._stopped
        seconds = time.monotonic() - started
        if is_done(path):
            return Ended(directory, "done", seconds)
        if stopped or code in _ASKED_TO_END:
            return Ended(directory, "stopped", seconds)
        said = last_words(path / LOG, before) or "it said nothing"
        return Ended(directory, "failed", seconds, f"{said} (exit code {code})")

    def _process(self, path: Path, log: IO[bytes], threads: int) -> subprocess.Popen[bytes]:
        environment = _environment(threads)
        if not self._light:
            return subprocess.Popen(command(path), stdout=log, stderr=log, env=environment)
        process: subprocess.Popen[bytes] | None = getattr(self._own, "process", None)
        if process is None or process.poll() is not None:
            pipe = subprocess.PIPE
            process = subprocess.Popen(serving(), stdin=pipe, stdout=pipe, stderr=log, env=environment)
            self._own.process = process
        return process

    def close(self) -> None:
        """End the processes that wait for further cells."""
        for process in self._processes:
            process.communicate()

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


def serving() -> list[str]:
    """The command line of a process that runs one cell after the other."""
    return [sys.executable, "-m", "marl_pr_common.study.cell", "--serve"]


def _served(process: subprocess.Popen[bytes], path: Path) -> int:
    """Have a process run a cell; the exit code, the process's own if that ended meanwhile."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(f"{json.dumps(str(path))}\n".encode())
        process.stdin.flush()
    answer = process.stdout.readline()
    return int(answer) if answer else process.wait()


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
