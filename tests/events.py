"""Waiting for what another process does: for events, never for a time, since on a busy machine all takes longer."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.warm import Program

HANG = 1800
"""Seconds after which a process is taken for hung, so that a defect ends the tests; no machine is that slow."""
SAVE = "marl_pr_common.checkpoint:save"
"""What every host calls to write a checkpoint."""


def wait_for(
    condition: Callable[[], bool], process: subprocess.Popen[Any] | Program, said: Callable[[], object] = lambda: ""
) -> None:
    """Until the condition holds; the process must not end before.

    :param said: what the process printed, for the message
    """
    begun = time.monotonic()
    while not condition():
        assert process.poll() is None, said()
        assert time.monotonic() - begun < HANG, said()
        time.sleep(0.01)


def halting(before: str, number: int, mark: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process that stops before its call number ``number`` (from 1) of a function.

    So it can't end before a signal reaches it, however late that is.

    :param before: "package.module:function" or "...:Class.method", which callers must reach through its owner
    :param mark: made when the process stops; it goes on when this is removed
    """
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent / "halting"), variables.get("PYTHONPATH", "")]))
    return {**variables, "PYTHONPATH": path, "HALT_BEFORE": f"{before}:{number}", "HALT_MARK": str(mark)}


def send(
    process: subprocess.Popen[Any] | Program, number: int, mark: Path, said: Callable[[], object] = lambda: ""
) -> None:
    """Send a signal to a halting process as soon as it has stopped, and let it go on."""
    wait_for(mark.exists, process, said)
    process.send_signal(number)
    mark.unlink()
