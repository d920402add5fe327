"""``marl-pr plot``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from marl_pr_common.compare import report
from marl_pr_common.display import Display
from marl_pr_common.readers.given import parse


@dataclass(frozen=True)
class Command:
    """Draw the learning curves and write the summary of runs or comparisons that are already there."""

    runs: Positional[tuple[Path, ...]]
    """Run directories, comparison directories or results.parquet files; logs of Stable-Baselines3 (folders like
    td3/Pendulum-v1/seed0 with evaluations.npz, progress.csv or monitor files) and EPyMARL's sacred folders."""
    out: Path
    """Directory for learning_curves.png, learning_curves.svg and summary.md; files of these names are replaced."""
    metric: str = "eval/return"
    """What is drawn and compared."""
    exclude: tuple[str, ...] = ()
    """Names of runs to leave out, for instance diverged ones. The summary names them."""
    given: tuple[str, ...] = ()
    """What files and names do not say, or say wrongly: FOLDER:arm=td3,task=Hopper-v5,seed=3,n_agents=3, for every run
    in and below the folder."""

    def run(self) -> int:
        """Draw; exit code 0."""
        report(self.runs, self.out, metric=self.metric, exclude=self.exclude, given=parse(self.given))
        Display().result(self.out)
        return 0
