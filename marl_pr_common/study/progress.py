"""What a running study shows: a live table in a terminal, one plain line per cell elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from marl_pr_common.runs.console import screen
from marl_pr_common.runs.status import Status, try_status
from marl_pr_common.study.cell import LOG, RUN_DIRECTORY
from marl_pr_common.study.plan import Cell
from marl_pr_common.study.processes import Ended

SHOWN = 12
"""Running cells that the table lists."""


class Progress:
    """Follows cells by the ``status.json`` that each writes; use it as a context manager.

    :param cells: all cells of the study
    :param todo: those that are run now
    :param console: where to write; standard error by default
    """

    def __init__(self, cells: Sequence[Cell], todo: Sequence[Cell], console: Console | None = None) -> None:
        self.console = console or screen()
        self.n_cells = len(cells)
        self.todo = {str(cell.directory): cell for cell in todo}
        self.ended: dict[str, Ended] = {}
        self._started = time.monotonic()
        self._at_start = {directory: self._steps(directory) for directory in self.todo}
        self._live = Live(console=self.console, get_renderable=self._table, refresh_per_second=1, transient=True)

    def __enter__(self) -> Progress:
        self._started = time.monotonic()
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live.is_started:
            self._live.stop()

    def line(self, text: str) -> None:
        """A line that stays, above the table if there is one."""
        self.console.print(text, markup=False)

    def end(self, ended: Ended) -> None:
        """Tell that a cell has ended."""
        self.ended[ended.directory] = ended
        cell = self.todo[ended.directory]
        if ended.state == "failed":
            text = f"{cell.name} FAILED: {ended.error} (log: {cell.directory / LOG})"
        else:
            text = f"{cell.name} {ended.state}, {ended.seconds:.0f} s"
        self.line(f"[{self.n_done}/{self.n_cells}] {text}{'' if self.console.is_terminal else f'; {self._pace()}'}")

    @property
    def n_done(self) -> int:
        """Complete cells, those of earlier times included."""
        return self.n_cells - len(self.todo) + sum(ended.state == "done" for ended in self.ended.values())

    def _table(self) -> Group:
        running = {directory: status for directory in self.todo if (status := self._running(directory)) is not None}
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("running", "env steps", "of", ""):
            table.add_column(heading, justify="left" if heading == "running" else "right")
        for directory, status in list(running.items())[:SHOWN]:
            share = status.total_env_steps / max(1, status.of_total_env_steps)
            steps = f"{status.total_env_steps:,}", f"{status.of_total_env_steps:,}", f"{share:.0%}"
            table.add_row(self.todo[directory].name, *steps)
        failed = self._count("failed")
        head = f"{self.n_done}/{self.n_cells} cells done, {len(running)} running, {failed} failed; {self._pace()}"
        return Group(Text(head, style="bold"), table)

    def _pace(self) -> str:
        """Env steps per second since the start, and how long the rest takes at that."""
        done = sum(self._steps(directory) - start for directory, start in self._at_start.items())
        of_all = sum(cell.manifest.plan.total_env_steps for cell in self.todo.values())
        seconds = time.monotonic() - self._started
        rate = done / seconds if seconds > 0 else 0.0
        lost = sum(self._left(directory) for directory, ended in self.ended.items() if ended.state != "done")
        left = of_all - sum(self._steps(directory) for directory in self.todo) - lost
        failed = self._count("failed")
        failures = f"{failed} failed, " if failed and not self.console.is_terminal else ""
        return f"{failures}{rate:,.0f} env steps/s, {duration(left / rate) if rate > 0 else 'unknown time'} left"

    def _count(self, state: str) -> int:
        return sum(ended.state == state for ended in self.ended.values())

    def _running(self, directory: str) -> Status | None:
        if directory in self.ended:
            return None
        status = self._status(directory)
        return status if status is not None and status.state == "running" else None

    def _status(self, directory: str) -> Status | None:
        return try_status(self.todo[directory].directory / RUN_DIRECTORY)

    def _steps(self, directory: str) -> int:
        """Env steps that the cell has done, of all agents together."""
        ended = self.ended.get(directory)
        if ended is not None and ended.state == "done":
            return self.todo[directory].manifest.plan.total_env_steps
        status = self._status(directory)
        return 0 if status is None else status.total_env_steps

    def _left(self, directory: str) -> int:
        return self.todo[directory].manifest.plan.total_env_steps - self._steps(directory)


def duration(seconds: float) -> str:
    """5 s, 12 min, 3.5 h, 2.1 days."""
    for unit, size, digits in (("days", 86_400, 1), ("h", 3_600, 1), ("min", 60, 0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"
