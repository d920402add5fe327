"""Sweeps: the score of the arms against the setting in which they differ, such as kappa or the number of peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from marl_pr_common.plots.style import Floats, arm_style, panel_grid, set_title, styled


@dataclass(frozen=True)
class SweepLine:
    """The scores on one task at every value of the setting."""

    x: Floats
    """(n_values,) values of the setting, in any order"""
    scores: Sequence[Floats]
    """n_values arrays (n_seeds,)"""
    estimates: Sequence[tuple[float, float, float] | None]
    """n_values of value, low, high; None with too few seeds, then the seeds themselves are drawn"""


def sweep_plot(panels: Mapping[str, SweepLine], xlabel: str, ylabel: str, title: str) -> Figure:
    """One panel and one line per task, because returns of different tasks have no common scale.

    :param panels: task -> scores
    """
    with styled():
        figure, grid = panel_grid(list(panels), 2.6)
        for index, (axes, line) in enumerate(zip(grid, panels.values(), strict=True)):
            _draw(axes, line, index)
            axes.set(xlabel=xlabel)
        for axes in grid[::2]:
            axes.set_ylabel(ylabel)
        set_title(figure, title)
    return figure


def _draw(axes: Axes, line: SweepLine, index: int) -> None:
    style = arm_style(index)
    order = np.argsort(line.x, kind="stable")
    centres = [e[0] if e is not None else float(np.mean(s)) for e, s in zip(line.estimates, line.scores, strict=True)]
    complete = all(estimate is not None for estimate in line.estimates)
    if complete:  # points of single seeds are not joined: the line would claim a mean
        axes.plot(line.x[order], np.array(centres)[order], color=style.color, ls=style.dash, lw=1.7)
    for x, scores, estimate in zip(line.x, line.scores, line.estimates, strict=True):
        if estimate is None:
            axes.plot(np.full(len(scores), x), scores, style.marker, color=style.color, ms=4, alpha=0.75)
        else:
            axes.plot([x, x], estimate[1:], color=style.color, lw=1.5)
            axes.plot(x, estimate[0], style.marker, color=style.color, ms=5)
    axes.set_xticks(np.unique(line.x), [f"{value:g}" for value in np.unique(line.x)])
