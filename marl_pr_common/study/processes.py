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
from typing import IO, Literal

from marl_pr_common.runs.lock import PARENT
from marl_pr_common.study.cell import LOG, SECONDS_TO_SAVE, is_done
from marl_pr_common.study.server import Server

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
        self._servers: list[Server] = []
        self._lock = threading.Lock()
        self._stopped = False
        self._own = threading.local()

    def run(self, directory: str, share: bool = False, here: str = "") -> Ended:
        """Run one cell to its end, its words going to its log.

        :param share: in the process that this thread keeps for such cells; another is started after one that crashed
        :param here: the directory of the study's process, from which users' environments are imported
        """
        path, started = Path(here, directory).resolve(), time.monotonic()
        if is_done(path):
            return Ended(directory, "done", 0.0)
        with (path / LOG).open("ab") as log:
            before = log.tell()
            environment = _environment()
            ended = self._shared(path, log, environment) if share else self._alone(path, log, environment, here)
        seconds = time.monotonic() - started
        if is_done(path):
            return Ended(directory, "done", seconds)
        if self._stopped or ended is None or ended[0] in _ASKED_TO_END:
            return Ended(directory, "stopped", seconds)
        code, error = ended
        said = last_words(path / LOG, before) or error or "it said nothing"
        return Ended(directory, "failed", seconds, f"{said} (exit code {code})")

    def _alone(self, path: Path, log: IO[bytes], environment: dict[str, str], here: str) -> tuple[int, str] | None:
        """Exit code and error of a cell in a process of its own; None if it was not begun."""
        with self._lock:
            if self._stopped:
                return None
            place = here if os.path.isdir(here) else None
            process = subprocess.Popen(command(path), stdout=log, stderr=log, env=environment, cwd=place)
            self._processes.add(process)
        code = process.wait()  # here, and not elsewhere: on Linux a cell ends with the thread that started its process
        with self._lock:
            self._processes.discard(process)
        return code, ""

    def _shared(self, path: Path, log: IO[bytes], environment: dict[str, str]) -> tuple[int, str] | None:
        """The same in this thread's process; one that ended before the cell began is replaced, once."""
        code = 0
        for _ in range(2):
            with self._lock:
                if self._stopped:
                    return None
                server = self._server(log, environment)
            ended = server.run(path)
            if ended is not None:
                return ended
            code = server.process.wait()
        return code, ""

    def _server(self, log: IO[bytes], environment: dict[str, str]) -> Server:
        server: Server | None = getattr(self._own, "server", None)
        if server is None or server.process.poll() is not None:
            server = self._own.server = Server(serving(), log, environment)
            self._servers.append(server)
        return server

    def close(self) -> None:
        """End the processes that wait for further cells."""
        for server in self._servers:
            server.close()

    def stop(self) -> None:
        """Ask all to save and end, and wait until they have."""
        with self._lock:
            self._stopped = True
            left = [*self._processes, *(server.process for server in self._servers)]
        for process in left:
            process.terminate()
        deadline = time.monotonic() + SECONDS_TO_SAVE
        for process in left:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))


def run_cell(directory: str, here: str = "") -> Ended:
    """One cell, from a worker process of a cluster; ends with that worker.

    :param here: see :meth:`Running.run`
    """
    running = Running()
    try:
        return running.run(directory, here=here)
    except BaseException:
        running.stop()
        raise


def command(directory: Path) -> list[str]:
    """The command line of a cell; it can be given by hand just as well."""
    return [sys.executable, "-m", "marl_pr_common.study.cell", str(directory)]


def serving() -> list[str]:
    """The command line of a process that runs one cell after the other."""
    return [sys.executable, "-m", "marl_pr_common.study.cell", "--serve"]


def last_words(log: Path, start: int = 0) -> str:
    """The last error that a log names, else its last line that says something; empty if none does.

    :param start: bytes that an earlier run of the cell wrote
    """
    text = log.read_bytes()[start:].decode("utf-8", errors="replace") if log.is_file() else ""
    lines = text.strip().splitlines()
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt|Exit)\b", line)]
    return (errors or lines or [""])[-1].strip()


def _environment() -> dict[str, str]:
    variables = dict.fromkeys(_THREAD_VARIABLES, "1")
    # MARL_PR_DEBUG: the log gets the stack trace, its last line is the error
    return {**os.environ, **variables, "MARL_PR_DEBUG": "1", PARENT: str(os.getpid())}
