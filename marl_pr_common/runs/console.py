"""What a user sees: a bar in a terminal, plain lines elsewhere; the doctor's report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from marl_pr_common.cli.findings import Finding


def screen(quiet: bool | None = None) -> Console:
    """A console on standard error.

    :param quiet: whether it says nothing; as :func:`be_quiet` was told by default
    """
    return Console(stderr=True, highlight=False, soft_wrap=True, quiet=_quiet if quiet is None else quiet)


def be_quiet(quiet: bool) -> None:
    """Whether consoles that are made from now on say nothing."""
    global _quiet
    _quiet = quiet


_quiet = False


class Display:
    """Progress of a run; use it as a context manager.

    :param console: where to write; standard error by default
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or screen()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("env steps"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def update(self, description: str, steps: int, of_steps: int) -> None:
        """Move the bar; silent outside a terminal."""
        self._progress.update(self._task, description=description, completed=steps, total=of_steps)

    def line(self, text: str) -> None:
        """One line that stays, above the bar if there is one."""
        self.console.print(text, markup=False)


_STYLES = {"ok": "green", "absent": "dim", "conflict": "yellow", "broken": "bold red"}


def show_findings(findings: Sequence[Finding], console: Console | None = None) -> None:
    """The doctor's report as a table on standard output, advice below what needs it."""
    console = console or Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "what", "state", "detail"):
        table.add_column(heading, overflow="fold")
    group = ""
    for finding in findings:
        detail = f"{finding.detail}\n-> {finding.advice}" if finding.advice else finding.detail
        heading = finding.group if finding.group != group else ""
        group = finding.group
        table.add_row(heading, finding.name, f"[{_STYLES[finding.state]}]{finding.state}[/]", escape(detail))
    console.print(table)
