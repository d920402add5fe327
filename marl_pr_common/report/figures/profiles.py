"""Performance profiles: which share of the runs came farther than a return, for every return."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from marl_pr_common.report.figures.style import ArmLabel, draw_steps, name_panels, panel_grid, styled
from marl_pr_common.results.stats import Profile


def performance_profiles(panels: Mapping[str, Mapping[ArmLabel, Profile]], xlabel: str, title: str) -> Figure:
    """One panel per task; a profile whose band is NaN, for too few seeds, is a line alone.

    :param panels: heading -> profiles
    """
    with styled():
        figure, grid = panel_grid(list(panels), 2.8)
        for axes, profiles in zip(grid, panels.values(), strict=True):
            for arm, profile in profiles.items():
                _draw(axes, arm, profile)
            axes.set(xlabel=xlabel, ylim=(-0.02, 1.02))
        name_panels(figure, grid, "Share of runs above it", title, chain(*panels.values()))
    return figure


def _draw(axes: Axes, arm: ArmLabel, profile: Profile) -> None:
    style = arm.style
    axes.fill_between(profile.taus, profile.low, profile.high, step="post", color=style.color, alpha=0.14, lw=0)
    every = max(1, len(profile.taus) // 7)
    # markers of two arms seldom hide each other
    draw_steps(axes, profile.taus, profile.value, style, markevery=(2 * arm.index % every, every))
