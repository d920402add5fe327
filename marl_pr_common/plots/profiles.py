"""Performance profiles: which share of the runs came at least so far, for every return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from marl_pr_common.plots.style import Floats, arm_legend, arm_style, panel_grid, set_title, styled


@dataclass(frozen=True)
class Profile:
    """The profile of one arm."""

    label: str
    index: int
    """Number of the arm: its colour and marker in all figures."""
    tau: Floats
    """(n_points,) returns, increasing"""
    share: Floats
    """(n_points,) share of the runs whose return is above each tau, in [0, 1]"""
    low: Floats | None = None
    """(n_points,) of the interval; None with too few seeds"""
    high: Floats | None = None


def performance_profiles(panels: Mapping[str, Sequence[Profile]], xlabel: str, title: str) -> Figure:
    """One panel per task.

    :param panels: heading -> profiles
    """
    with styled():
        figure, grid = panel_grid(list(panels), 2.8)
        for axes, profiles in zip(grid, panels.values(), strict=True):
            for profile in profiles:
                style = arm_style(profile.index)
                if profile.low is not None and profile.high is not None:
                    axes.fill_between(
                        *(profile.tau, profile.low, profile.high), step="post", color=style.color, alpha=0.14, lw=0
                    )
                every = (profile.index % 7, max(1, len(profile.tau) // 7))  # markers of two arms seldom coincide
                axes.step(
                    *(profile.tau, profile.share),
                    where="post",
                    color=style.color,
                    ls=style.dash,
                    lw=1.7,
                    marker=style.marker,
                    ms=3.6,
                    markevery=every,
                )
            axes.set(xlabel=xlabel, ylim=(-0.02, 1.02))
        for axes in grid[::2]:
            axes.set_ylabel("Share of runs above it")
        arm_legend(figure, arms_of(panels))
        set_title(figure, title)
    return figure


def arms_of(panels: Mapping[str, Sequence[object]]) -> list[tuple[str, int]]:
    """Label and index of every arm in any panel, each once, in order of the index."""
    found = {(item.index, item.label) for items in panels.values() for item in items}  # type: ignore[attr-defined]
    return [(label, index) for index, label in sorted(found)]
