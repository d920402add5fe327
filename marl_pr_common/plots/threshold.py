"""Steps to a threshold: the share of the seeds that have reached a return, against the steps taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from marl_pr_common.plots.profiles import arms_of
from marl_pr_common.plots.style import Floats, arm_legend, arm_style, panel_grid, set_title, step_label, styled


@dataclass(frozen=True)
class Reached:
    """Kaplan-Meier estimate of one arm."""

    label: str
    index: int
    """Number of the arm: its colour and marker in all figures."""
    steps: Floats
    """(n_events,) env steps per agent at which a seed reached the threshold, increasing"""
    share: Floats
    """(n_events,) share of the seeds that have reached it from there on, in [0, 1]"""
    end: float
    """Env steps per agent after which nothing is known: the last evaluation."""


def threshold_plot(panels: Mapping[str, Sequence[Reached]], title: str) -> Figure:
    """One panel per task; a line that ends below 1 leaves seeds that never got there within the budget.

    :param panels: heading, with the threshold -> arms
    """
    with styled():
        figure, grid = panel_grid(list(panels), 2.6)
        for axes, arms in zip(grid, panels.values(), strict=True):
            for arm in arms:
                style = arm_style(arm.index)
                steps = np.concatenate([[0.0], arm.steps, [arm.end]])
                share = np.concatenate([[0.0], arm.share, [arm.share[-1] if len(arm.share) else 0.0]])
                axes.step(
                    *(steps, share),
                    where="post",
                    color=style.color,
                    ls=style.dash,
                    lw=1.7,
                    marker=style.marker,
                    ms=3.6,
                )
            axes.set(ylim=(-0.02, 1.02), xlabel="Environment steps per agent")
            axes.set_xlim(left=0)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 2.5, 5, 10]))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: step_label(value)))
        for axes in grid[::2]:
            axes.set_ylabel("Share of seeds that reached it")
        arm_legend(figure, arms_of(panels))
        set_title(figure, title)
    return figure
