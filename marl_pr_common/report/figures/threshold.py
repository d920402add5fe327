"""Steps to a threshold: the share of the seeds that have reached a return, against the steps taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import CensoredData, ecdf

from marl_pr_common.config.arrays import Floats
from marl_pr_common.report.figures.style import ArmLabel, count_steps, draw_steps, name_panels, panel_grid, styled
from marl_pr_common.results.stats import Reached


@dataclass(frozen=True)
class Watched:
    """One arm on one task."""

    reached: Reached
    budget: int
    """Env steps per agent at the last evaluation."""


def threshold_plot(panels: Mapping[str, Mapping[ArmLabel, Watched]], title: str, alone: bool = False) -> Figure:
    """One panel per task; a line that ends below 1 leaves seeds that never got there within the budget.

    :param panels: heading, with the threshold -> arms
    :param alone: whether no run has more than one agent
    """
    with styled():
        figure, grid = panel_grid(list(panels), 2.6)
        for axes, arms in zip(grid, panels.values(), strict=True):
            for arm, watched in arms.items():
                draw_steps(axes, *kaplan_meier(watched), arm.style)
            axes.set(ylim=(-0.02, 1.02), xlabel=f"Environment steps{'' if alone else ' per agent'}")
            axes.set_xlim(left=0)
            count_steps(axes)
        name_panels(figure, grid, "Share of seeds that reached it", title, chain(*panels.values()))
    return figure


def kaplan_meier(watched: Watched) -> tuple[Floats, Floats]:
    """Steps of one agent, from 0 to the budget, and the share of seeds that had reached the threshold by then.

    :return: two of (n,)
    """
    reached, steps = watched.reached, watched.reached.env_steps_per_agent
    data = CensoredData(uncensored=steps[reached.reached], right=steps[~reached.reached])
    curve = ecdf(data).cdf
    at = np.unique(np.concatenate([[0.0], curve.quantiles, [float(watched.budget)]]))
    return at, np.asarray(curve.evaluate(at))
