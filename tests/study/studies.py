"""Small real studies for the tests: tabular learners, whose cells end in a second, and tiny networks."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from marl_pr_common.config import from_mapping
from marl_pr_common.study.config import StudyConfig, with_seed_lists
from tests import warm

TABULAR: dict[str, Any] = {
    "title": "Two grids",
    "host": "tabular",
    "seeds": 2,
    "settings": {"steps_per_agent": 600, "eval_every": 200, "eval_episodes": 2},
    "tasks": {"Landmarks-2": {}, "Navigation-3": {"settings": {"gamma": 0.95}}},
    "arms": {"iql": {}, "iql_pr_decision": {"label": "IQL+PR"}},
}
NETWORKS: dict[str, Any] = {
    "title": "Tiny networks",
    "seeds": 2,
    "settings": {
        "n_agents": 2,
        "timesteps_per_agent": 300,
        "net_arch": [8, 8],
        "batch_size": 16,
        "learning_starts": 50,
        "buffer_size": 500,
        "eval_every": 100,
        "eval_episodes": 1,
        "checkpoint_every": 40,
        "device": "cpu",
    },
    "tasks": {"Pendulum-v1": {}},
    "arms": {"td3": {}, "td3_pr": {}, "td3_own_critics": {}},
}


def study(content: dict[str, Any], **changes: Any) -> StudyConfig:
    """The configuration, as if read from a YAML."""
    return from_mapping(StudyConfig, with_seed_lists({**content, **changes}))


def console() -> Console:
    """One that writes into memory, as wide as any line."""
    return Console(file=io.StringIO(), width=400)


def said(of: Console) -> str:
    """What was written."""
    file = of.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def write(path: Path, content: dict[str, Any], **changes: Any) -> Path:
    """The YAML file."""
    path.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
    return path


def command(file: Path, out: Path, *options: str) -> list[str]:
    """``marl-pr study``."""
    return [sys.executable, "-m", "marl_pr_common.cli", "study", str(file), "--out", str(out), *options]


def run(file: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """``marl-pr study`` to its end."""
    return warm.run(command(file, out, *options), variables={**os.environ, "OMP_NUM_THREADS": "1"})
