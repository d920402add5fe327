"""Probability of improvement: how often a run of an arm comes farther than a run of the reference arm."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from marl_pr_common.report.figures.style import MUTED, ArmLabel, name_rows, panel_grid, set_title, styled
from marl_pr_common.results.stats import Interval


def improvement_plot(panels: Mapping[str, Mapping[ArmLabel, Interval]], xlabel: str, title: str) -> Figure:
    """One panel per task, one row per arm, and a line at 0.5, where neither is ahead.

    An interval whose ends are NaN, for too few seeds, is a point alone.

    :param panels: heading -> arms but the reference; a tie counts one half
    """
    most = max(len(arms) for arms in panels.values())
    with styled():
        figure, grid = panel_grid(list(panels), 0.75 + 0.42 * most, columns=1)
        for number, (axes, arms) in enumerate(zip(grid, panels.values(), strict=True)):
            axes.axvline(0.5, color=MUTED, lw=1, ls="--", zorder=1)
            for y, (arm, interval) in enumerate(arms.items()):
                axes.plot(interval[1:], [y, y], color=arm.style.color, lw=2, solid_capstyle="butt")
                axes.plot(interval.value, y, arm.style.marker, color=arm.style.color, ms=6)
            name_rows(axes, [arm.text for arm in arms])
            axes.set(xlim=(-0.02, 1.02), xticks=[0, 0.25, 0.5, 0.75, 1])
            if number == len(panels) - 1:
                axes.set_xlabel(xlabel)
        set_title(figure, title)
    return figure
