"""``marl-pr demo``."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from marl_pr_common.cli.study import Approval
from marl_pr_common.runs.console import screen
from marl_pr_common.study.config import ArmEntry, StudyConfig, load_study

PARTS = {"navigation": ("fig4", "demo"), "pendulum": ("studies/demo", None)}
"""Folder -> the shipped study that it holds, and at which scale."""


@dataclass(frozen=True)
class Command:
    """First, in seconds, tabular IQL, one shared table and IQL+PR on Navigation with 10 agents. Then TD3, TD3PR with
    and without trust, and both control arms on Pendulum-v1: 3 agents, 10 seeds, a few minutes on two cores.

    The same as `marl-pr study fig4 --scale demo` and `marl-pr study studies/demo`.
    """

    out: Path = Path("runs/demo")
    """Directory of both studies. Given again it goes on with what is missing."""
    arms: tuple[str, ...] = ("td3", "td3_independent", "td3_pr", "td3_pr_trust", "td3_shared_replay")
    """Arms of the second, the reference first; td3_independent and td3_shared_replay are the same agents without
    reciprocity, on own and on common data."""
    seeds: tuple[int, ...] = tuple(range(10))
    """Seeds of the second; every arm runs every seed, those of an arm as one process."""
    jobs: int = 2
    """Processes at the same time."""
    dry_run: bool = False
    """Run and write nothing; show the plan of both."""
    yes: bool = False
    """Do not ask before what takes more than an hour, as other seeds may."""

    def run(self) -> int:
        """Run both; exit code 0, or 1 if a run failed."""
        from marl_pr_common.study.run import require_study_or_unused, run_study

        for folder in (self.out, *(self.out / name for name in PARTS)):
            require_study_or_unused(folder, beside=tuple(PARTS))
        console, worst = screen(), 0
        for part, (name, scale) in PARTS.items():
            command, out = " ".join(["marl-pr study", name, *(["--scale", scale] if scale else [])]), self.out / part
            study = self._study(name, scale)
            approve = Approval(study, self.jobs, self.dry_run, self.yes, console, out=out)
            what: dict[str, Any] = {"console": console, "command": command, "approve": approve}
            worst = max(worst, approve.run(functools.partial(run_study, study, out, self.jobs, **what), out))
        return worst

    def _study(self, name: str, scale: str | None) -> StudyConfig:
        study = load_study(name).at(scale)
        if study.host != "sb3":
            return study
        return replace(study, seeds=self.seeds, arms={arm: study.arms.get(arm, ArmEntry()) for arm in self.arms})
