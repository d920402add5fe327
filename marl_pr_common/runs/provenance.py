"""What exactly was run: configuration, versions, commit, hardware and command line, as ``run.json``."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marl_pr_common.runs.files import read_json, write_json

RUN = "run.json"
REASON = "approximate_because"
PACKAGES = (
    "marl-pr",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "matplotlib",
    "tyro",
    "torch",
    "safetensors",
    "stable-baselines3",
    "gymnasium",
    "mujoco",
    "pettingzoo",
    "supersuit",
    "mpe2",
    "jaxmarl",
    "sacred",
)
"""Distributions whose version can change a result, in the order in which they are listed."""


def versions() -> dict[str, str | None]:
    """Distribution -> installed version, None where it is not installed. Nothing is imported."""
    return {name: version(name) for name in PACKAGES}


@functools.cache  # read from files, which takes longer than a small cell of a study
def version(distribution: str) -> str | None:
    """What is installed of a distribution; None if nothing is."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_state(file: Path) -> dict[str, Any] | None:
    """Commit of the checkout that tracks ``file`` and whether tracked files differ from it.

    None without git, or when ``file`` is not tracked: an environment inside somebody's repository is not ours.
    """
    if _git(file.parent, "ls-files", "--error-unmatch", file.name) is None:
        return None
    commit = _git(file.parent, "rev-parse", "HEAD")
    changes = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": bool(changes)}


def hardware() -> dict[str, Any]:
    """Machine, processors and threads that this process may use. torch is asked only if it is already loaded."""
    torch = sys.modules.get("torch")
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "cpus_usable": usable_cpus(),
        "torch_threads": torch.get_num_threads() if torch else None,
        "cuda": torch.cuda.get_device_name(0) if torch and torch.cuda.is_available() else None,
    }


def usable_cpus() -> int:
    """Number of logical CPUs that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)


def describe(config: object, seed: int, **extra: Any) -> dict[str, Any]:
    """Everything that a run can be repeated from.

    :param config: a configuration dataclass, or a mapping
    :param extra: further entries, for instance ``engine="stable-baselines3 2.9.2"``
    """
    return {"config": as_plain(config), "seed": seed, **extra, **circumstances()}


def circumstances() -> dict[str, Any]:
    """By which command, when, and on what."""
    return {
        "command": shlex.join(sys.orig_argv),
        "directory": os.getcwd(),
        "started": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
        "git": git_state(Path(__file__)),
        "hardware": hardware(),
    }


def record(directory: Path, config: object, seed: int, **extra: Any) -> None:
    """Write :func:`describe` to ``run.json`` in the run directory."""
    write_json(directory / RUN, describe(config, seed, **extra))


def record_resume(directory: Path, step: int, checkpoint: str, reason: str = "", **extra: Any) -> None:
    """Add to ``run.json`` that the run went on from a checkpoint: when, on what, with which versions.

    :param reason: why it does not go on bit for bit; empty if it does
    """
    content = read_json(directory / RUN)
    now = {"step": step, "checkpoint": checkpoint, REASON: reason, **extra, **circumstances()}
    content["resumed"] = [*content.get("resumed", []), now]
    write_json(directory / RUN, content)


def as_plain(config: object) -> Any:
    """A dataclass, mapping or sequence as dictionaries, lists and scalars: what JSON and YAML hold."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {field.name: as_plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {str(key): as_plain(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [as_plain(value) for value in config]
    return str(config) if isinstance(config, Path) else config


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What two plain mappings differ in, one text per entry: "pr.kappa was 0.5 and is now 0.2"."""
    found = []
    for key in [*new, *(key for key in old if key not in new)]:
        before, now = old.get(key, "absent"), new.get(key, "absent")
        if isinstance(before, dict) and isinstance(now, dict):
            found += differences(before, now, f"{prefix}{key}.")
        elif before != now:
            found.append(f"{prefix}{key} was {before!r} and is now {now!r}")
    return found


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
