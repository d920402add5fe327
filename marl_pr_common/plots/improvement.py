"""Probability of improvement: how often a run of an arm comes farther than a run of the reference arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from marl_pr_common.plots.style import MUTED, arm_style, name_rows, panel_grid, set_title, styled


@dataclass(frozen=True)
class Improvement:
    """One arm against the reference."""

    label: str
    index: int
    """Number of the arm: its colour and marker in all figures."""
    probability: float
    """In [0, 1]; a tie counts one half."""
    low: float | None = None
    """Of the interval; None with too few seeds."""
    high: float | None = None


def improvement_plot(panels: Mapping[str, Sequence[Improvement]], xlabel: str, title: str) -> Figure:
    """One panel per task, one row per arm, and a line at 0.5, where neither is ahead.

    :param panels: heading -> arms
    """
    most = max(len(items) for items in panels.values())
    with styled():
        figure, grid = panel_grid(list(panels), 0.75 + 0.42 * most)
        for number, (axes, items) in enumerate(zip(grid, panels.values(), strict=True)):
            axes.axvline(0.5, color=MUTED, lw=1, ls="--", zorder=1)
            for y, item in enumerate(items):
                style = arm_style(item.index)
                if item.low is not None and item.high is not None:
                    axes.plot([item.low, item.high], [y, y], color=style.color, lw=2, solid_capstyle="butt")
                axes.plot(item.probability, y, style.marker, color=style.color, ms=6)
            name_rows(axes, [item.label for item in items])
            axes.set(xlim=(-0.02, 1.02), xticks=[0, 0.25, 0.5, 0.75, 1])
            if number >= len(panels) - 2:
                axes.set_xlabel(xlabel)
        set_title(figure, title)
    return figure
