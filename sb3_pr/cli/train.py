"""``marl-pr train``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from marl_pr_common.config.shipped import load_config
from marl_pr_common.runs.console import Display
from marl_pr_common.runs.files import require_unused
from marl_pr_common.runs.lean import without_compiler
from marl_pr_common.runs.lock import exclusive
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.teams import require_named


@dataclass(frozen=True)
class Command:
    """Train one algorithm on one gymnasium task into one new directory, or go on with an interrupted run.

    Leaves model.zip, results.parquet, progress.csv, checkpoints, run.json (what was run) and status.json there.
    """

    out: Path | None = None
    """Directory of a new run; must not exist, or be empty."""
    resume: Path | None = None
    """Directory of an interrupted run: it goes on from its newest checkpoint with its own settings, bit for bit where
    the environment's state can be saved. Given alone."""
    config: str | None = None
    """Shipped configuration by name (pendulum, td3_pr_ant, ...) or a YAML file: the defaults of all other options."""
    arm: str | None = None
    """Name of the run in comparisons; the algorithm's by default."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Settings of the run."""

    @staticmethod
    def defaults(config: str) -> dict[str, object]:
        """Field values that ``--config`` gives."""
        return {"out": None, "config": config, "train": load_config(TrainConfig, config)}

    def run(self) -> int:
        """Train; exit code 0."""
        directory = self._directory()
        if self.resume is None:
            require_unused(directory)
            require_named(self.train.env)
        without_compiler()
        from sb3_pr.study.run import resume, train  # slow: what is wrong so far has been said

        with exclusive(directory):
            if self.resume is not None:
                resume(self.resume, Display())
            else:
                train(self.train, directory, self.arm, Display())
        return 0

    def _directory(self) -> Path:
        """The run's directory.

        :raises ValueError: unless one of ``out`` and ``resume`` is given, and ``resume`` alone
        """
        if self.resume is None and self.out is not None:
            return self.out
        if self.resume is None:
            raise ValueError("give --out DIR for a new run, or --resume DIR to go on with an interrupted one.")
        if self.out is not None or self.config is not None or self.arm is not None or self.train != TrainConfig():
            raise ValueError("--resume goes on with the run's own settings: give it alone, without other options.")
        if not self.resume.is_dir():
            raise FileNotFoundError(f"{self.resume} is no directory. Give the --out of an interrupted run.")
        return self.resume
