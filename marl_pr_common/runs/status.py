"""How far a run is: ``status.json`` in its directory, which progress bars and resumed comparisons read."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from marl_pr_common.runs.files import read_json, write_json

STATUS = "status.json"
State = Literal["running", "stopped", "complete", "failed"]


@dataclass(frozen=True)
class Status:
    """State of a run. One that was asked to end and has saved is "stopped"; one that was killed stays "running"."""

    state: State
    total_env_steps: int
    of_total_env_steps: int
    error: str | None = None


def write_status(directory: Path, status: Status) -> None:
    """Replace the directory's ``status.json``."""
    write_json(directory / STATUS, asdict(status))


def read_status(directory: Path) -> Status | None:
    """The status of a run directory, or None if it has none.

    :raises ValueError: if its ``status.json`` is not one of ours
    """
    path = directory / STATUS
    try:
        return Status(**read_json(path))
    except FileNotFoundError:
        return None
    except TypeError as error:
        raise ValueError(f"{path} is not a marl-pr status: {error}") from error


def try_status(directory: Path) -> Status | None:
    """The status of a run directory, or None if it has none that can be read."""
    try:
        return read_status(directory)
    except (ValueError, OSError):
        return None


class StatusReporter:
    """Writes "running" with the steps done, but not more often than every ``interval`` seconds.

    :param directory: the run directory
    :param of_total_env_steps: env steps of the whole run, all agents together
    """

    def __init__(self, directory: Path, of_total_env_steps: int, interval: float = 0.5) -> None:
        self.directory = directory
        self.of_total_env_steps = of_total_env_steps
        self.interval = interval
        self._steps = 0
        self._next_write = 0.0

    def running(self, total_env_steps: int) -> bool:
        """Tell how many env steps are done; whether this call wrote them."""
        self._steps = total_env_steps
        now = time.monotonic()
        if now < self._next_write:
            return False
        self._write("running")
        self._next_write = now + self.interval
        return True

    def complete(self) -> None:
        """Tell that the run ended as it should and that all its files are there."""
        self._write("complete")

    def stopped(self) -> None:
        """Tell that the run was asked to end, and can go on from its checkpoint."""
        self._write("stopped")

    def failed(self, error: BaseException) -> None:
        """Tell what ended the run."""
        self._write("failed", f"{type(error).__name__}: {error}")

    def _write(self, state: State, error: str | None = None) -> None:
        write_status(self.directory, Status(state, self._steps, self.of_total_env_steps, error))
