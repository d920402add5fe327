"""``marl-pr train``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from marl_pr_common.configs import load_config
from marl_pr_common.display import Display
from marl_pr_common.run_guard import end_with_parent, exclusive
from sb3_pr.train_config import TrainConfig


@dataclass(frozen=True)
class Command:
    """Train one algorithm on one gymnasium task into one new directory.

    Leaves model.zip, results.parquet, progress.csv, run.json (what was run) and status.json there.
    """

    out: Path
    """Directory of the run; must not exist, or be empty."""
    config: str | None = None
    """Shipped configuration by name (pendulum, td3_pr_ant, ...) or a YAML file: the defaults of all other options."""
    arm: str | None = None
    """Name of the run in comparisons; the algorithm's by default."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Settings of the run."""

    @staticmethod
    def defaults(config: str) -> dict[str, object]:
        """Field values that ``--config`` gives."""
        return {"config": config, "train": load_config(TrainConfig, config)}

    def run(self) -> int:
        """Train; exit code 0."""
        end_with_parent()  # before the slow imports
        from sb3_pr.training import train

        with exclusive(self.out):
            train(self.train, self.out, self.arm, Display())
        return 0
