"""``marl-pr compare``: a study of arms on one task, whose settings are options instead of a YAML."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from tyro.conf import Suppress

from marl_pr_common.cli.study import Approval
from marl_pr_common.config import from_mapping
from marl_pr_common.config.shipped import load_config
from marl_pr_common.runs.console import screen
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.lock import in_use
from marl_pr_common.runs.provenance import as_plain, differences
from marl_pr_common.study.cell import is_done
from marl_pr_common.study.config import ArmEntry, StudyConfig, Task
from sb3_pr.study.config import SELDOM, Algorithm, TrainConfig
from sb3_pr.study.teams import versioned

_DECIDED = ("env", "algo", "seed", "shared_replay", "own_critics", "final_checkpoint")
"""Settings that task, arm and seed decide."""


@dataclass(frozen=True)
class SharedSettings(TrainConfig):
    """Settings of all arms: those of a run, but for what the arm and the seed decide."""

    algo: Annotated[Algorithm, Suppress] = "td3_pr"
    seed: Annotated[int, Suppress] = 0
    shared_replay: Annotated[bool, Suppress] = False
    own_critics: Annotated[bool, Suppress] = False
    final_checkpoint: Annotated[bool, Suppress] = False


@dataclass(frozen=True)
class Command:
    """Compare algorithms on one task: every arm on every seed; then the report.

    Leaves report.html, summary.md, figures and results.parquet. Given again it goes on with what is missing.
    """

    out: Path
    """Directory of the comparison: new, or one with the same settings, whose complete runs are kept and whose arms and
    seeds join those given now."""
    config: str | None = None
    """Shipped configuration by name (pendulum, td3_pr_ant, ...) or a YAML file: the defaults of the settings below.
    Its algo, seed and shared_replay are set by arms and seeds."""
    arms: tuple[str, ...] = ("td3", "td3_pr")
    """Arms, the reference first: td3, td3_pr, td3_independent (no reciprocity), td3_shared_replay (no reciprocity,
    common data), td3_pr_shared_replay, td3_own_critics (an ensemble of the agent's own), td3_pr_trust,
    td3_pr_one_voice, td3_random_peer, td3_noise (no reciprocity, twice the noise), td3_all_steps (one agent with the
    steps of all; its reference is a team); the same with ddpg and sac."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds; every arm runs every seed."""
    jobs: int = 2
    """Processes at the same time."""
    dry_run: bool = False
    """Run and write nothing; show the plan: cells, steps, time, disk."""
    yes: bool = False
    """Do not ask before a comparison of more than an hour."""
    train: SharedSettings = field(default_factory=SharedSettings)
    """Settings of all arms."""

    @staticmethod
    def defaults(config: str) -> dict[str, object]:
        """Field values that ``--config`` gives."""
        return {"config": config, "train": load_config(SharedSettings, config)}

    def run(self, console: Console | None = None) -> int:
        """Compare; exit code 0, or 1 if a run failed or the arms could not be compared."""
        from marl_pr_common.study.run import run_study

        console = console or screen()
        study = _with_earlier(self.study(), self.out, console)
        command = shlex.join(["marl-pr", *sys.argv[1:]])
        approve = Approval(study, self.jobs, self.dry_run, self.yes, console, out=self.out)
        what: dict[str, Any] = {"console": console, "command": command, "approve": approve}
        return approve.run(lambda: run_study(study, self.out, self.jobs, **what), self.out)

    def study(self) -> StudyConfig:
        """What is asked, as a study.

        :raises ValueError: if arms or seeds are none, or named twice
        """
        if len(set(self.arms)) < len(self.arms):
            raise ValueError(f"arms={' '.join(self.arms)}: an arm is named twice.")
        settings = {key: value for key, value in as_plain(self.train).items() if key not in _DECIDED}
        if not self.train.env_kwargs:
            del settings["env_kwargs"]  # comparisons of earlier releases, which did not have it, are the same
        before = _earlier(self.out)
        if self.train.eval_every is None:
            settings["eval_every"] = (
                before.settings.get("eval_every", SELDOM) if before else self.train.evaluation_interval
            )
        named = before is not None and self.train.env in before.tasks
        task = self.train.env if named else versioned(self.train.env)
        return StudyConfig(
            title=f"Arms on {task}",
            seeds=self.seeds,
            settings=settings,
            tasks={task: Task()},
            arms={name: ArmEntry() for name in self.arms},
        )


def _earlier(out: Path) -> StudyConfig | None:
    """The comparison that ``out`` holds."""
    from marl_pr_common.study.run import STUDY

    file = out / STUDY
    if not file.is_file():
        return None
    return from_mapping(StudyConfig, read_json(file).get("config", {}), where=str(file))


def _with_earlier(study: StudyConfig, out: Path, console: Console) -> StudyConfig:
    """The study with the arms and seeds that ``out`` was asked for before, these first, so that the reference stays.

    :raises ValueError: if that was with other settings, and a cell is done or being trained
    """
    before = _earlier(out)
    if before is None:
        return study
    old, new = ({"tasks": as_plain(of.tasks), "settings": as_plain(of.settings)} for of in (before, study))
    changes = differences(old, new)
    if not changes:
        seeds = tuple(dict.fromkeys([*before.seeds, *study.seeds]))
        return replace(study, seeds=seeds, arms={**before.arms, **study.arms})
    if any(is_done(cell) or in_use(cell) for cell in (out / "cells").glob("*/")):
        raise ValueError(
            f"{out} holds a comparison with other settings: {'; '.join(changes)}. "
            "Nothing was changed; choose another --out, or give the old settings to go on with it."
        )
    console.print(f"No cell in {out} was done: its settings are replaced ({'; '.join(changes)}).", markup=False)
    return study
