"""What is installed, what is not, and what to do about it. Nothing optional is imported, nothing is changed."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

import marl_pr_common
from marl_pr_common.provenance import PACKAGES, usable_cpus, versions

State = Literal["ok", "absent", "conflict", "broken"]
CORE = {
    **{name: name for name in ("numpy", "scipy", "pandas", "pyarrow", "matplotlib", "tyro", "torch", "rich")},
    "yaml": "pyyaml",
}
"""Modules without which no command works -> their distributions."""
HOSTS = {
    "stable-baselines3": ("TD3PR and DDPGPR, train, compare, demo", 'pip install "marl-pr[sb3]"'),
    "gymnasium": ("the tasks of Stable-Baselines3", 'pip install "marl-pr[sb3]"'),
    "mujoco": ("Ant, HalfCheetah, Hopper", 'pip install "marl-pr[sb3]"'),
    "pettingzoo": ("multi-agent tasks", 'pip install "marl-pr[mpe]"'),
    "supersuit": ("PettingZoo tasks in Stable-Baselines3", 'pip install "marl-pr[mpe]"'),
    "mpe2": ("multi-particle environments", 'pip install "marl-pr[mpe]"'),
    "sacred": ("EPyMARL's own launcher", 'pip install "marl-pr[epymarl]"'),
    "jaxmarl": ("SMAX", 'pip install "marl-pr[smax]"'),
}
"""Optional distribution -> what needs it, and how to get it."""
EPYMARL_ADVICE = "git clone https://github.com/uoe-agents/epymarl, then set EPYMARL_HOME to that folder"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    group: str
    name: str
    state: State
    detail: str
    advice: str = ""


def examine() -> list[Finding]:
    """Everything that the report says, in its order."""
    return [*_core(), *_devices(), *_hosts(), _epymarl(), *_conflicts()]


def find_epymarl() -> Path | None:
    """The EPyMARL checkout: $EPYMARL_HOME, the current folder or one above it, ./epymarl, ../epymarl, ~/epymarl."""
    here = Path.cwd()
    home = os.environ.get("EPYMARL_HOME")
    candidates = [Path(home).expanduser()] if home else []
    candidates += [here, *here.parents, here / "epymarl", here.parent / "epymarl", Path.home() / "epymarl"]
    return next((path for path in candidates if _is_epymarl(path)), None)


def _is_epymarl(path: Path) -> bool:
    return (path / "src" / "main.py").is_file() and (path / "src" / "config" / "algs").is_dir()


def _core() -> Iterator[Finding]:
    yield Finding("core", "marl-pr", "ok", f"{marl_pr_common.__version__} in {Path(marl_pr_common.__file__).parent}")
    yield Finding("core", "python", "ok", f"{platform.python_version()} at {sys.executable}")
    for module, distribution in CORE.items():
        try:
            importlib.import_module(module)
        except Exception as error:  # a broken binary can raise anything; the report must go on
            yield Finding(
                *("core", module, "broken", f"import failed: {type(error).__name__}: {error}"),
                advice="pip install --force-reinstall -c constraints.txt marl-pr",
            )
        else:
            yield Finding("core", distribution, "ok", _installed(distribution) or "unknown version")


def _devices() -> Iterator[Finding]:
    yield Finding("device", "cpu", "ok", f"{usable_cpus()} usable of {os.cpu_count()} logical CPUs")
    try:
        import torch as th
    except Exception:  # already reported as core
        return
    yield Finding("device", "torch threads", "ok", f"{th.get_num_threads()}; runs use one each (--threads)")
    if th.cuda.is_available():
        names = ", ".join(th.cuda.get_device_name(index) for index in range(th.cuda.device_count()))
        yield Finding("device", "cuda", "ok", names)
    else:
        yield Finding("device", "cuda", "absent", "not needed: networks of this size train well on a CPU")
    if th.backends.mps.is_available():
        yield Finding("device", "mps", "ok", "available")


def _hosts() -> Iterator[Finding]:
    installed = versions()
    for name, (use, advice) in HOSTS.items():
        version = installed[name]
        if version is None:
            yield Finding("host", name, "absent", f"needed for: {use}", advice)
        else:
            yield Finding("host", name, "ok", f"{version} ({use})")


def _epymarl() -> Finding:
    home = os.environ.get("EPYMARL_HOME")
    if home and not _is_epymarl(Path(home).expanduser()):
        return Finding("host", "EPyMARL", "conflict", f"EPYMARL_HOME={home} is not a checkout", EPYMARL_ADVICE)
    found = find_epymarl()
    if found is None:
        return Finding("host", "EPyMARL", "absent", "needed for: QMIX, VDN, IQL, MAPPO, MADDPG", EPYMARL_ADVICE)
    return Finding("host", "EPyMARL", "ok", f"checkout at {found}")


def _conflicts() -> Iterator[Finding]:
    """Requirements of the installed packages that the installed versions do not meet, as ``pip check`` finds them."""
    for name in PACKAGES:
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, requirements):
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            found = _installed(requirement.name)
            if found is None or not requirement.specifier.contains(found, prereleases=True):
                yield Finding(
                    *("conflict", name, "conflict", f"needs {requirement.name}{requirement.specifier}, found {found}"),
                    advice=f"pip install -c constraints.txt '{requirement.name}{requirement.specifier}'",
                )


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
