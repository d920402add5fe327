"""A run's life in its directory: what it is of, how far it is, how it ended.

run = RunDirectory(path, total_env_steps)
run.begin(config, seed, arm="td3_pr")      run.json
with run.alive():                          status.json: "stopped" or "failed" if it ends so
    ... run.status.running(steps) ...
    run.status.complete()
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.provenance import RUN, as_plain, record
from marl_pr_common.runs.signals import Stopped
from marl_pr_common.runs.status import State, StatusReporter, try_status


class RunDirectory:
    """One directory, one run.

    :param path: the directory; :meth:`begin` makes it
    :param total_env_steps: of the whole run, all agents together
    """

    def __init__(self, path: Path, total_env_steps: int) -> None:
        self.path = path
        self.status = StatusReporter(path, total_env_steps)

    @property
    def state(self) -> State | None:
        """How it ended; "running" also if it was killed; None if it never began, or cannot be read."""
        status = try_status(self.path)
        return None if status is None else status.state

    def is_of(self, **entries: Any) -> bool:
        """Whether ``run.json`` has these entries."""
        try:
            described = read_json(self.path / RUN)
        except (OSError, ValueError):
            return False
        now = json.loads(json.dumps(as_plain(entries)))
        return {key: described.get(key) for key in now} == now  # type: ignore[no-any-return]

    def begin(self, config: object, seed: int, **extra: Any) -> None:
        """Make the directory and write ``run.json``; see :func:`marl_pr_common.runs.provenance.describe`."""
        self.path.mkdir(parents=True, exist_ok=True)
        record(self.path, config, seed, **extra)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Within it the run trains; what ends it early is written to ``status.json`` and raised again."""
        try:
            yield
        except Stopped:
            self.status.stopped()
            raise
        except BaseException as error:
            self.status.failed(error)
            raise
