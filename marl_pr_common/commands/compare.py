"""``marl-pr compare``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Suppress

from marl_pr_common.compare import CompareConfig, compare
from marl_pr_common.config.shipped import load_config
from marl_pr_common.display import Display
from sb3_pr.train_config import Algorithm, TrainConfig


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
    """Compare algorithms on one task: every arm on every seed, each run in a process of its own.

    Leaves results.parquet, learning_curves.png and .svg and summary.md. Given again it goes on with what is missing.
    """

    out: Path
    """Directory of the comparison: new, or one with the same settings, whose complete runs are kept."""
    config: str | None = None
    """Shipped configuration by name (pendulum, td3_pr_ant, ...) or a YAML file: the defaults of the settings below.
    Its algo, seed and shared_replay are set by arms and seeds."""
    arms: tuple[str, ...] = CompareConfig.arms
    """Arms, the reference first: td3, td3_pr, td3_independent (no reciprocity), td3_shared_replay (no reciprocity,
    common data), td3_pr_shared_replay, td3_own_critics (an ensemble of the agent's own), and the same with ddpg."""
    seeds: tuple[int, ...] = CompareConfig.seeds
    """Seeds; every arm runs every seed."""
    jobs: int = CompareConfig.jobs
    """Processes at the same time."""
    train: SharedSettings = field(default_factory=SharedSettings)
    """Settings of all arms."""

    @staticmethod
    def defaults(config: str) -> dict[str, object]:
        """Field values that ``--config`` gives."""
        return {"config": config, "train": load_config(SharedSettings, config)}

    def run(self) -> int:
        """Compare; exit code 0, or 1 if a run failed."""
        display = Display()
        outcome = compare(CompareConfig(self.arms, self.seeds, self.jobs, self.train), self.out, display)
        display.result(self.out, outcome.failed)
        return 1 if outcome.failed else 0
