"""``marl-pr report``, and ``marl-pr plot`` by its other name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from marl_pr_common.runs.console import Display
from marl_pr_common.study.config import load_study
from marl_pr_common.study.hosts import labels

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Command:
    """Write a report of results that are already there: one HTML file with verdicts, figures, tables and what was run.

    Leaves report.html, which needs no other file, summary.md, and the figures as PNG and SVG in figures. Two folders of
    logs: `marl-pr plot mine=logs/a base=logs/b --reference base --budget 100000`.
    """

    runs: Positional[tuple[Path, ...]]
    """Run directories, comparison directories or results.parquet files; logs of Stable-Baselines3 (folders like
    td3/Pendulum-v1/seed0 with evaluations.npz, progress.csv or monitor files) and EPyMARL's sacred folders. NAME=PATH
    makes everything in and below the path one arm of that name."""
    out: Path = Path("report")
    """Directory for report.html, summary.md and figures; files of these names are replaced."""
    study: str | None = None
    """The study whose results these are, by name or as YAML: the report has its question, references and thresholds."""
    title: str = ""
    """Heading of the report; the names of the directories by default."""
    reference: str | None = None
    """Arm that the others are compared to; the first in the results by default."""
    budget: int | None = None
    """Env steps of each agent at which all runs are cut, so that runs of different lengths can be compared."""
    threshold: float | None = None
    """Return whose first reaching is timed, on every task."""

    metric: str = "eval/return"
    """What is drawn and compared."""
    exclude: tuple[str, ...] = ()
    """Names of runs to leave out, for instance diverged ones. The report names them."""
    task: str | None = None
    """The task of all runs, where files and names do not say it, or say it wrongly."""
    given: tuple[str, ...] = ()
    """What files and names do not say, or say wrongly: FOLDER:arm=td3,task=Hopper-v5,seed=3,n_agents=3, for every run
    in and below the folder."""

    def run(self) -> int:
        """Write; exit code 0."""
        for path in self.write():
            Display().line(f"Wrote {path}, and beside it summary.md and figures")
        return 0

    def write(self) -> list[Path]:
        """Write, and return the paths of the HTML files."""
        if not self.runs:
            raise ValueError("no runs are given: expected run directories, folders of logs, or NAME=FOLDER.")
        # slow to import: after the options are checked
        from marl_pr_common.report import context_of, label_arms, write_report
        from marl_pr_common.results.budget import within
        from marl_pr_common.results.readers import read_all
        from marl_pr_common.results.readers.given import named, parse

        skipped: list[str] = []
        paths, said = named(self.runs)
        if self.task is not None:
            said = {path: {**said.get(path, {}), "task": self.task} for path in paths}
        for path, more in parse(self.given).items():
            said[path] = {**said.get(path, {}), **more}
        results = read_all(paths, skipped, said)
        if self.budget is not None:
            results, cut = within(results, self.budget, self.metric, self.exclude)
            skipped += cut
        if self.study is not None:
            return self._again(results, paths, skipped)
        tasks = results["task"].unique()
        thresholds = {} if self.threshold is None else dict.fromkeys(map(str, tasks), self.threshold)
        names = ", ".join(str(arm["arm"]) for arm in said.values() if "arm" in arm)
        found = context_of(paths, self.title or (f"Report: {names}" if names and not self.given else ""))
        whole = results[~results["run"].isin(found.missing)]  # cells of a study that are not done
        results, found = (whole, found) if len(whole) else (results, replace(found, missing=[]))
        context = replace(
            found,
            labels=label_arms(results, labels(results["engine"].unique()), self.metric),
            reference=self.reference,
            thresholds=thresholds,
            metric=self.metric,
            exclude=self.exclude,
            notes=[*found.notes, *skipped],
        )
        return [write_report(results, self.out, context)]

    def _again(self, results: pd.DataFrame, paths: Sequence[Path], skipped: Sequence[str]) -> list[Path]:
        """As the study itself reports."""
        for option in ("reference", "threshold", "exclude"):
            if getattr(self, option) != getattr(Command, option):
                raise ValueError(f"--{option} {getattr(self, option)}: not with --study, whose YAML has it.")
        from marl_pr_common.report import context_of
        from marl_pr_common.study.report import report_again

        config, found = load_study(str(self.study)), context_of(paths)
        more: dict[str, Any] = {"title": self.title} if self.title else {}
        more |= {"provenance": found.provenance, "notes": [*found.notes, *skipped]}
        return report_again(config, results, self.out, command=f"marl-pr study {self.study}", **more)
