"""Processes that run EPyMARL for a study."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

from marl_pr_common.checkpoint import StopRequest
from marl_pr_common.runs.lock import PARENT

STOP_SECONDS = 110.0
"""How long a run may take to end its episode and save after it was asked to end."""
_LOOK = 0.2


def variables(**more: str) -> dict[str, str]:
    """The environment of a child: this package importable from any folder."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, **more}


def run(command: list[str], folder: Path, output: IO[str], stop: StopRequest) -> int:
    """Run a command to its end and return its exit code; it ends with this process, and when ``stop`` is set.

    It gets a session of its own: Ctrl-C reaches it through this process only, and no worker of it is left behind.
    """
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=variables(**{PARENT: str(os.getpid())}),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        while True:
            try:
                return child.wait(_LOOK)
            except subprocess.TimeoutExpired:
                if stop:
                    child.terminate()
                    return child.wait(STOP_SECONDS)
    finally:
        _end_group(child.pid)
        child.wait()


def module(*arguments: str) -> list[str]:
    """The command line of a module of this package."""
    return [sys.executable, "-m", *arguments]


def _end_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
