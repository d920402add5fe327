"""``marl-pr plot``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from marl_pr_common.compare import report
from marl_pr_common.display import Display


@dataclass(frozen=True)
class Command:
    """Draw the learning curves and write the summary of runs or comparisons that are already there."""

    runs: Positional[tuple[Path, ...]]
    """Run directories, comparison directories or results.parquet files."""
    out: Path
    """Directory for learning_curves.png, learning_curves.svg and summary.md; files of these names are replaced."""

    def run(self) -> int:
        """Draw; exit code 0."""
        report(self.runs, self.out)
        Display().result(self.out)
        return 0
