"""Performance profiles: which share of the runs came farther than a return, for every return."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from marl_pr_common.report.figures.style import ArmLabel, arm_legend, panel_grid, set_title, styled
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
        for axes in grid[::2]:
            axes.set_ylabel("Share of runs above it")
        arm_legend(figure, (arm for profiles in panels.values() for arm in profiles))
        set_title(figure, title)
    return figure


def _draw(axes: Axes, arm: ArmLabel, profile: Profile) -> None:
    style = arm.style
    axes.fill_between(profile.taus, profile.low, profile.high, step="post", color=style.color, alpha=0.14, lw=0)
    every = max(1, len(profile.taus) // 7)
    axes.step(
        *(profile.taus, profile.value),
        where="post",
        color=style.color,
        ls=style.dash,
        lw=1.7,
        marker=style.marker,
        ms=3.6,
        markevery=(2 * arm.index % every, every),  # markers of two arms seldom hide each other
    )
