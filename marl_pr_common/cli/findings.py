"""What is installed, what is not, and what to do about it. No framework is imported, nothing is changed."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement

import marl_pr_common
from marl_pr_common.envs import simulators as engines
from marl_pr_common.envs import starcraft
from marl_pr_common.runs.provenance import PACKAGES, usable_cpus, versions
from marl_pr_common.runs.provenance import version as _installed

State = Literal["ok", "absent", "conflict", "broken"]
CORE = {
    **{name: name for name in ("numpy", "scipy", "pandas", "pyarrow", "matplotlib", "tyro", "torch", "rich")},
    "yaml": "pyyaml",
}
"""Modules without which no command works -> their distributions."""
HOSTS = {
    "stable-baselines3": ("TD3PR, DDPGPR and SACPR, train, compare, demo", 'pip install "marl-pr[sb3]"'),
    "gymnasium": ("the tasks of Stable-Baselines3", 'pip install "marl-pr[sb3]"'),
    "mujoco": ("Ant, HalfCheetah, Hopper", 'pip install "marl-pr[sb3]"'),
    "pettingzoo": ("multi-agent tasks", 'pip install "marl-pr[mpe]"'),
    "supersuit": ("PettingZoo tasks in Stable-Baselines3", 'pip install "marl-pr[mpe]"'),
    "sacred": ("EPyMARL's runs", 'pip install "marl-pr[epymarl]"'),
    "click": ("EPyMARL's search", 'pip install "marl-pr[epymarl]"'),
    "imageio": ("films of EPyMARL's teams", 'pip install "marl-pr[epymarl]"'),
    "imageio-ffmpeg": ("films as MP4", 'pip install "marl-pr[epymarl]"'),
    "lbforaging": ("level-based foraging in EPyMARL", "pip install lbforaging"),
}
"""Optional distribution -> what needs it, and how to get it."""
ENVIRONMENT_PACKAGES = ("gymnax", "flax", "chex")
"""Packages beside those of a run's record whose requirements are compared with what is installed."""
LEFT_OUT = ("jaxmarl", "gymnax")
"""A requirement that is left out on purpose: no environment needs it, and it would downgrade gymnasium."""
ADVICE = {"gymnax": "pip uninstall gymnax: JaxMARL's environments run without it, and keep gymnasium as it is"}
EPYMARL_ADVICE = "git clone https://github.com/uoe-agents/epymarl; set EPYMARL_HOME to that folder (docs/epymarl.md)"


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
    return [*_core(), *_devices(), *_hosts(), _epymarl(), *_engines(), *_conflicts()]


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
        version = installed[name] if name in installed else _installed(name)
        if version is None:
            yield Finding("host", name, "absent", f"needed for: {use}", advice)
        else:
            yield Finding("host", name, "ok", f"{version} ({use})")


def _epymarl() -> Finding:
    """The EPyMARL checkout, and whether it is at the commit that the learners were tested with."""
    try:
        importlib.import_module("epymarl_pr")
        locate: Any = importlib.import_module("epymarl_pr.launch.locate")
    except Exception as error:  # it registers environments with gymnasium, which may be broken
        return Finding("host", "EPyMARL", "conflict", f"epymarl_pr: {type(error).__name__}: {error}", EPYMARL_ADVICE)
    try:
        checkout = locate.find()
    except locate.UsageError as error:
        state: State = "conflict" if os.environ.get(locate.ENVIRONMENT_VARIABLE) else "absent"
        detail = str(error).split(" (")[0] if state == "conflict" else "needed for: QMIX, VDN, IQL, MAPPO, MADDPG"
        return Finding("host", "EPyMARL", state, detail, EPYMARL_ADVICE)
    commit = checkout.commit[:12] if checkout.commit else "unknown"
    found = f"checkout at {checkout.root}, commit {commit}"
    if checkout.tested:
        return Finding("host", "EPyMARL", "ok", found)
    advice = f"git -C {checkout.root} checkout {locate.TESTED_COMMIT}"
    return Finding("host", "EPyMARL", "ok", f"{found}; tested with {locate.TESTED_COMMIT}", advice)


def _engines() -> Iterator[Finding]:
    """The simulators of the multi-agent tasks, and the game that two of them need."""
    for engine in engines.ENGINES:
        absent = engines.missing(engine)
        if absent:
            detail = f"no {' and no '.join(absent)}; for: {engine.use}"
            yield Finding("engine", engine.name, "absent", detail, engine.advice)
        else:
            yield Finding("engine", engine.name, "ok", f"{engines.versions(engine)} ({engine.use})")
    folder = starcraft.find()
    if folder is not None:
        yield Finding("engine", "StarCraft II", "ok", f"in {folder}")
    elif os.environ.get(starcraft.VARIABLE):
        detail = f"{starcraft.VARIABLE}={os.environ[starcraft.VARIABLE]} holds no game"
        yield Finding("engine", "StarCraft II", "conflict", detail, starcraft.ADVICE)
    else:
        yield Finding("engine", "StarCraft II", "absent", "for: SMAC and SMACv2", starcraft.ADVICE)


def _conflicts() -> Iterator[Finding]:
    """Requirements of the installed packages that the installed versions do not meet, as ``pip check`` finds them."""
    for name in (*PACKAGES, *ENVIRONMENT_PACKAGES):
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, requirements):
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            found = _installed(requirement.name)
            if (name, requirement.name) == LEFT_OUT and found is None:
                continue
            if found is None or not requirement.specifier.contains(found, prereleases=True):
                yield Finding(
                    *("conflict", name, "conflict", f"needs {requirement.name}{requirement.specifier}, found {found}"),
                    advice=ADVICE.get(
                        name, f"pip install -c constraints.txt '{requirement.name}{requirement.specifier}'"
                    ),
                )
