"""Steps to a threshold: the share of the seeds that have reached a return, against the steps taken."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import CensoredData, ecdf

from marl_pr_common.plots.style import ArmLabel, arm_legend, count_steps, panel_grid, set_title, styled
from marl_pr_common.stats import Floats, Reached


def threshold_plot(panels: Mapping[str, Mapping[ArmLabel, Reached]], title: str) -> Figure:
    """One panel per task; a line that ends below 1 leaves seeds that never got there within the budget.

    :param panels: heading, with the threshold -> arms
    """
    with styled():
        figure, grid = panel_grid(list(panels), 2.6)
        for axes, arms in zip(grid, panels.values(), strict=True):
            for arm, reached in arms.items():
                style = arm.style
                steps, share = kaplan_meier(reached)
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
            count_steps(axes)
        for axes in grid[::2]:
            axes.set_ylabel("Share of seeds that reached it")
        arm_legend(figure, (arm for arms in panels.values() for arm in arms))
        set_title(figure, title)
    return figure


def kaplan_meier(reached: Reached) -> tuple[Floats, Floats]:
    """Steps of one agent, from 0 to the last that were watched, and the share of seeds that had reached it by then.

    :return: two of (n_events + 2,) at most
    """
    steps = reached.env_steps_per_agent
    data = CensoredData(uncensored=steps[reached.reached], right=steps[~reached.reached])
    curve = ecdf(data).cdf
    before = curve.quantiles > 0
    return np.concatenate([[0.0], curve.quantiles[before]]), np.concatenate(
        [[float(curve.evaluate(0.0))], curve.probabilities[before]]
    )
