"""Sweeps: the score of the arms against the setting in which they differ, such as kappa or the number of peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from marl_pr_common.config.arrays import Floats
from marl_pr_common.report.figures.style import arm_style, name_panels, panel_grid, styled
from marl_pr_common.results.stats import Interval


@dataclass(frozen=True)
class SweepLine:
    """The scores on one task at every value of the setting."""

    x: Floats
    """(n_values,) values of the setting, in any order"""
    scores: Sequence[Floats]
    """n_values arrays (n_seeds,)"""
    intervals: Sequence[Interval | None]
    """n_values; None with too few seeds, then the seeds themselves are drawn"""


def sweep_plot(panels: Mapping[str, SweepLine], xlabel: str, ylabel: str, title: str) -> Figure:
    """One panel and one line per task, because returns of different tasks have no common scale.

    :param panels: task -> scores
    """
    with styled():
        figure, grid = panel_grid(list(panels), 2.6)
        for index, (axes, line) in enumerate(zip(grid, panels.values(), strict=True)):
            _draw(axes, line, index)
            axes.set(xlabel=xlabel)
        name_panels(figure, grid, ylabel, title)
    return figure


def _draw(axes: Axes, line: SweepLine, index: int) -> None:
    style = arm_style(index)
    drawn = sorted(zip(line.x, line.scores, line.intervals, strict=True), key=lambda item: float(item[0]))
    centres = [interval.value for _, _, interval in drawn if interval is not None]
    if len(centres) == len(drawn):  # points of single seeds are not joined: the line would claim a mean
        axes.plot([x for x, _, _ in drawn], centres, color=style.color, ls=style.dash, lw=1.7)
    for x, scores, interval in drawn:
        if interval is None:
            axes.plot(np.full(len(scores), x), scores, style.marker, color=style.color, ms=4, alpha=0.75)
        else:
            axes.plot([x, x], interval[1:], color=style.color, lw=1.5)
            axes.plot(x, interval.value, style.marker, color=style.color, ms=5)
    values = np.unique(line.x)
    axes.set_xticks(values, [f"{value:g}" for value in values])
