"""``marl-pr study``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from rich.console import Console
from tyro.conf import Positional, arg

from marl_pr_common.runs.console import screen
from marl_pr_common.study.config import StudyConfig, load_study
from marl_pr_common.study.schedulers import Engine

if TYPE_CHECKING:
    from marl_pr_common.study.plan import Cell
    from marl_pr_common.study.run import Outcome


@dataclass(frozen=True)
class Command:
    """Run a study: every arm on every task with every seed, in processes of their own; then write the report.

    Leaves report.html, summary.md, figures and results.parquet. Given again it runs what is missing, and only that; a
    cell that was killed goes on from its checkpoint. Seeds of one arm may be one process (--stack); small cells share
    processes, one after the other.
    """

    study: Annotated[Positional[str], arg(metavar="STUDY")]
    """A YAML file, or a shipped study by name: `marl-pr list studies`."""
    out: Path | None = None
    """Directory of the study: new, or one with the same settings; runs/STUDY[-SCALE] by default."""
    scale: str | None = None
    """One of the study's scales, such as overnight or paper; the one with the fewest steps by default."""
    jobs: int = 2
    """Cells at the same time."""
    engine: Engine = "local"
    """Where they run: local processes, Slurm (submitit), Ray, Dask (joblib)."""
    stack: Literal["auto", "true", "false"] | None = None
    """Whether cells that differ in their seeds alone run as one process; as the study says by default (auto)."""
    report_only: bool = False
    """Run nothing; report on what is done."""
    dry_run: bool = False
    """Run and write nothing; show the plan: cells, steps, time, disk."""
    yes: bool = False
    """Do not ask before a study of more than an hour."""

    def run(self) -> int:
        """Run and report; exit code 0, or 1 if a cell failed or was ended, or arms could not be compared."""
        from marl_pr_common.study.outlook import smallest
        from marl_pr_common.study.plan import require_effect
        from marl_pr_common.study.run import report_only, run_study

        asked = load_study(self.study)
        scale = self.scale or smallest(asked)
        if not self.report_only:
            require_effect(asked, scale)
        name = Path(self.study).stem
        out = self.out or Path("runs") / (f"{name}-{scale}" if scale else name)
        config = asked.at(scale)
        if self.stack is not None:
            config = replace(config, stack={"true": True, "false": False}.get(self.stack, "auto"))
        given = [*(["--scale", scale] if scale else []), *(["--stack", self.stack] if self.stack else [])]
        command = shlex.join(["marl-pr", "study", self.study, *given])
        console = screen()
        if self.report_only and self.dry_run:
            raise ValueError("--dry-run with --report-only: the first writes nothing, the second a report. Give one.")
        if self.report_only:
            outcome = report_only(config, out, command)
            return tell(outcome, out, console, to_the_end=False)
        note = asked.scales[scale].note if scale is not None else ""
        if len(asked.scales) > 1:
            console.print(
                f"{config.title or name} at scale {scale}, of {', '.join(asked.scales)} (--scale)", markup=False
            )
        approve = Approval(config, self.jobs, self.dry_run, self.yes, console, note, out)
        return approve.run(lambda: run_study(config, out, self.jobs, self.engine, console, command, approve), out)


@dataclass(frozen=True)
class Approval:
    """Shows the plan of a study before anything is written, and asks if it takes long."""

    config: StudyConfig
    jobs: int
    dry_run: bool
    yes: bool
    console: Console
    note: str = ""
    out: Path = Path()
    """The study's directory."""

    def __call__(self, cells: Sequence[Cell]) -> None:
        """:raises DeclinedError: if only the plan was wanted, or the answer is no"""
        from marl_pr_common.study import outlook

        found = outlook.outlook(cells, self.jobs, self.config.stack, self.out)
        shown = screen(quiet=False) if self.dry_run else self.console
        outlook.tell(shown, self.config, found, cells, self.jobs, self.note)
        if self.dry_run:
            raise outlook.DeclinedError
        outlook.require_meant(self.console, found, self.yes)

    def run(self, study: Callable[[], Outcome], out: Path) -> int:
        """Run the study, whose ``approve`` this is, and say what became of it; the exit code."""
        from marl_pr_common.study.outlook import DeclinedError

        try:
            outcome = study()
        except DeclinedError:
            self.console.print("Nothing was run or written.", markup=False)
            return 0 if self.dry_run else 1
        return tell(outcome, out, self.console)


def tell(outcome: Outcome, out: Path, console: Console, to_the_end: bool = True) -> int:
    """Say what became of a study, and give the exit code: 1 if a cell failed or is left, or arms can't be compared.

    :param to_the_end: whether all cells were to be run
    """
    for file in outcome.reports:
        console.print(f"Wrote {file}, and beside it summary.md and figures", markup=False)
    console = screen(quiet=False) if console.quiet else console  # what went wrong is said in any case
    if outcome.refused:
        console.print(f"No report: {outcome.refused}", markup=False)
    for failed in outcome.failed:
        console.print(f"FAILED: {failed}. Log: {out / 'cells' / failed / 'log.txt'}", markup=False)
    left = outcome.left if to_the_end else ()
    if left:
        console.print(f"Not run to the end: {', '.join(left)}. The same command goes on.", markup=False)
    return 1 if outcome.failed or left or outcome.refused else 0
