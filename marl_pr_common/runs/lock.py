"""One process at a time works on a run directory, and none outlives the study that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

PARENT = "MARL_PR_PARENT"
"""Environment variable: the process that started this one and must not be outlived by it."""
WAIT_SECONDS = 10.0
"""How long to wait for a run that is being ended; it writes its status first."""
_PR_SET_PDEATHSIG = 1


class RunInUseError(OSError):
    """Another process works on the run directory."""


@contextmanager
def exclusive(directory: Path, wait: float | None = None) -> Iterator[None]:
    """Hold the lock of a run directory: a file beside it, so that the directory can be renamed meanwhile.

    :param wait: seconds to wait for another process, ``WAIT_SECONDS`` by default
    :raises RunInUseError: if another process still holds it then
    :raises OSError: if nothing can be written beside the directory
    """
    path = _lock_file(directory)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o644)  # FileLock waits for some of the places where it can't be made
    except OSError as error:
        if not path.exists():
            raise OSError(f"{directory} cannot be made: {error}. Give a directory that you may write to.") from error
    lock = filelock.FileLock(path, timeout=WAIT_SECONDS if wait is None else wait)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise RunInUseError(
            f"{directory} is being trained by another process; nothing in it was changed. "
            "Wait for that process or end it, then give the same command again."
        ) from error
    try:
        yield
    finally:
        lock.release()


def in_use(directory: Path) -> bool:
    """Whether another process works on the run directory and goes on doing so for ``WAIT_SECONDS``."""
    if not _lock_file(directory).exists():
        return False
    try:
        with exclusive(directory):
            return False
    except RunInUseError:
        return True


def end_with_parent() -> None:
    """On Linux, have this process interrupted (SIGTERM) when the one named in ``MARL_PR_PARENT`` dies, however it does.

    :raises OSError: if that process is gone already
    """
    parent = os.environ.pop(PARENT, "")
    if not parent or not sys.platform.startswith("linux"):
        return
    sigterm_at_parents_death()
    if os.getppid() != int(parent):  # it died before the line above
        raise OSError(
            f"The command that started this run (process {parent}) has ended, so the run was not begun. "
            "Give the same command again to go on."
        )


def sigterm_at_parents_death() -> None:
    """On Linux, have this process interrupted when the one that made it dies; nothing elsewhere."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def _lock_file(directory: Path) -> Path:
    directory = directory.resolve()  # "." has no name
    if not directory.name:
        raise ValueError(f"{directory} is no directory for a run: give one below it.")
    return directory.with_name(f".{directory.name}.lock")
