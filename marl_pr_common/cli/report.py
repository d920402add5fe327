"""``marl-pr report``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tyro.conf import Positional

from marl_pr_common.runs.console import Display
from marl_pr_common.study.hosts import labels


@dataclass(frozen=True)
class Command:
    """Write a report of results that are already there: one HTML file with figures, tables and what was run.

    Leaves report.html, which needs no other file, summary.md, and the figures as PNG and SVG in figures.
    """

    runs: Positional[tuple[Path, ...]]
    """Run directories, comparison directories or results.parquet files; logs of Stable-Baselines3 (folders like
    td3/Pendulum-v1/seed0 with evaluations.npz, progress.csv or monitor files) and EPyMARL's sacred folders."""
    out: Path
    """Directory for report.html, summary.md and figures; files of these names are replaced."""
    title: str = ""
    """Heading of the report; the names of the directories by default."""
    reference: str | None = None
    """Arm that the others are compared to; the first in the results by default."""
    threshold: float | None = None
    """Return whose first reaching is timed, on every task."""

    metric: str = "eval/return"
    """What is drawn and compared."""
    exclude: tuple[str, ...] = ()
    """Names of runs to leave out, for instance diverged ones. The report names them."""
    given: tuple[str, ...] = ()
    """What files and names do not say, or say wrongly: FOLDER:arm=td3,task=Hopper-v5,seed=3,n_agents=3, for every run
    in and below the folder."""

    def run(self) -> int:
        """Write; exit code 0."""
        path = self.write()
        Display().line(f"Wrote {path}, and beside it summary.md and figures")
        return 0

    def write(self) -> Path:
        """Write, and return the path of the HTML file."""
        # slow to import: after the options are checked
        from marl_pr_common.report import context_of, label_arms, write_report
        from marl_pr_common.results.readers import read_all
        from marl_pr_common.results.readers.given import parse

        skipped: list[str] = []
        results = read_all(self.runs, skipped, parse(self.given))
        tasks = results["task"].unique()
        thresholds = {} if self.threshold is None else dict.fromkeys(map(str, tasks), self.threshold)
        found = context_of(self.runs, self.title)
        context = replace(
            found,
            labels=label_arms(results, labels(results["engine"].unique()), self.metric),
            reference=self.reference,
            thresholds=thresholds,
            metric=self.metric,
            exclude=self.exclude,
            notes=[*found.notes, *skipped],
        )
        return write_report(results, self.out, context)
