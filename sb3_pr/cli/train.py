"""``marl-pr train``."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path

from marl_pr_common.config.mapping import near_path
from marl_pr_common.config.shipped import load_config
from marl_pr_common.runs.console import Display
from marl_pr_common.runs.directory import RunDirectory
from marl_pr_common.runs.files import read_json, require_unused
from marl_pr_common.runs.lean import without_compiler
from marl_pr_common.runs.lock import exclusive
from marl_pr_common.runs.provenance import RUN
from sb3_pr.cli.afterwards import FIGURE, conclude
from sb3_pr.study import tracking
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.teams import require_named, versioned
from sb3_pr.study.tracking import Tracker


@dataclass(frozen=True)
class Command:
    """Train one algorithm on one gymnasium task into one new directory, or go on with an interrupted run.

    Leaves model.zip, results.parquet, progress.csv, learning_curves.png, checkpoints, run.json (what was run) and
    status.json there, and says which agent is the best.
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
    track: Tracker | None = None
    """Where to follow the run too: tensorboard (the files lie in the run's directory) or wandb (Weights & Biases;
    WANDB_MODE=offline keeps it here). A resumed run goes on there."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Settings of the run."""

    @staticmethod
    def defaults(config: str) -> dict[str, object]:
        """Field values that ``--config`` gives."""
        return {"out": None, "config": config, "train": load_config(TrainConfig, config)}

    def run(self) -> int:
        """Train; exit code 0."""
        directory, config = self._directory(), self.train
        if self.resume is None:
            _require_unused(directory)
            require_named(config.env)
            config = replace(config, env=versioned(config.env))
        track = tracking.prepared(self.track)
        without_compiler()
        from sb3_pr.study.run import resume, train  # slow: what is wrong so far has been said

        with exclusive(directory):
            if self.resume is None:
                train(config, directory, self.arm, Display(), track=track)
            elif not resume(self.resume, Display()) and (
                (directory / FIGURE).is_file() or (directory.parent / "manifest.json").is_file()  # a study's cell
            ):
                return 0
        conclude(directory, Display())
        return 0

    def _directory(self) -> Path:
        """The run's directory.

        :raises ValueError: unless one of ``out`` and ``resume`` is given, and ``resume`` alone
        """
        if self.resume is None and self.out is not None:
            return self.out
        if self.resume is None:
            raise ValueError("give --out DIR for a new run, or --resume DIR to go on with an interrupted one.")
        given = (self.out, self.config, self.arm, self.track)
        if any(value is not None for value in given) or self.train != TrainConfig():
            raise ValueError("--resume goes on with the run's own settings: give it alone, without other options.")
        if not self.resume.is_dir():
            raise FileNotFoundError(
                f"{self.resume} is no directory.{near_path(self.resume)} Give the --out of an interrupted run."
            )
        return self.resume


def _require_unused(directory: Path) -> None:
    """As everywhere, but what was begun there can go on."""
    try:
        require_unused(directory)
    except FileExistsError as error:
        from marl_pr_common.checkpoint import latest  # slow to import, as what comes below
        from marl_pr_common.runs.table import CHECKPOINTS
        from marl_pr_common.study.hosts import ENGINES

        begun = (directory / RUN).is_file() and RunDirectory(directory, 0).state not in (None, "complete")
        ours = begun and str(read_json(directory / RUN).get("engine", "")).startswith(ENGINES["sb3"])
        can = ours and latest(directory / CHECKPOINTS) is not None
        name = shlex.quote(str(directory))
        how = f" A run was begun there; marl-pr train --resume {name} goes on with it." if can else ""
        raise FileExistsError(f"{error}{how}") from None
