"""The parts of a report, before it is HTML or Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """Text in rows; the first column names the row."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Drawing:
    """A figure with the words beside it."""

    name: str
    """File name without suffix."""
    title: str
    alt: str
    """For who does not see it."""
    caption: str
    """What the statistic is, and how to read it."""
    figure: Figure
    more: bool = False
    """Whether it is folded away at first."""

    @property
    def dpi(self) -> int:
        """Of the PNG; figures of many tasks are long, and drawn coarser."""
        width, height = self.figure.get_size_inches()
        return 200 if width * height < 110 else 120

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height, for a browser to keep the place: 96 pixels are an inch."""
        width, height = self.figure.get_size_inches()
        return round(96 * width), round(96 * height)


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    reference: str
    """Name of the arm that the others are compared with."""
    setting: Sequence[str]
    """Tasks, engine, arms, seeds and budgets, one line each."""
    description: Sequence[str]
    conclusion: Sequence[str]
    """In plain words, the most important first."""
    verdicts: Table | None
    """Arm by arm and task by task; None if nothing is compared."""
    differences: Sequence[str]
    """Every difference to the reference in words; empty with too few seeds."""
    limits: Sequence[str]
    """What the results do not show."""
    drawings: Sequence[Drawing]
    undrawn: Sequence[str]
    """What stands in the place of figures without anything in them."""
    tables: Mapping[str, Sequence[Table]]
    """Task -> tables."""
    sharing: Sequence[str]
    """About equal budgets per agent and in total."""
    sharing_differences: Sequence[str]
    """Every difference at equal budgets in words."""
    sharing_tables: Sequence[Table]
    left_out: Sequence[str]
    """Cells and runs that are not in the numbers."""
    notes: Sequence[str]
    made_with: Sequence[Table]
    """Settings of the arms, versions, commit, hardware."""
    command: str
    """That makes the results again."""
    config_text: str
