"""Short real runs of EPyMARL through the launcher, in a clone of the checkout, where their results stay."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from epymarl_pr.launch.locate import Checkout
from tests import warm

SHORT = [
    "t_max=600",
    "test_nepisode=2",
    "test_interval=220",
    "log_interval=130",
    "runner_log_interval=100",
    "learner_log_interval=100",
    "seed=1",
    "batch_size=4",
]
"""Settings of a short run in which every kind of log, test and update happens, at different steps."""


def clone(checkout: Checkout, folder: Path) -> Path:
    """A clone of the checkout: EPyMARL writes its results into the folder that it runs from."""
    subprocess.run(["git", "clone", "-q", str(checkout.root), str(folder)], check=True, capture_output=True)
    return folder


def command(root: Path, algorithm: str, key: str, *settings: str, flags: tuple[str, ...] = ()) -> list[str]:
    """The launcher's command line for a short run."""
    environment = [f"env_args.key={key}", "env_args.time_limit=25"]
    given = [f"--config={algorithm}", "--env-config=gymma", f"--epymarl-dir={root}", *flags]
    return [sys.executable, "-m", "epymarl_pr", *given, "with", *environment, *SHORT, *settings]


def variables() -> dict[str, str]:
    """The environment of a run: one thread, this package importable from any folder."""
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "SDL_VIDEODRIVER": "dummy"}


def run(arguments: list[str], folder: Path, expect: int = 0) -> str:
    """Run to the end in ``folder`` and return what was printed."""
    folder.mkdir(parents=True, exist_ok=True)
    done = warm.run(arguments, folder, variables())
    output = done.stdout + done.stderr
    assert done.returncode == expect, output[-4000:]
    return output
