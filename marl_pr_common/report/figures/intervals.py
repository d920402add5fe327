"""Interval plots: several estimates of every arm, each with its interval; below five seeds the seeds themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from marl_pr_common.config.arrays import Floats
from marl_pr_common.report.figures.style import WIDTH, ArmLabel, name_rows, new_figure, set_title, styled
from marl_pr_common.results.stats import Interval

_FACES = (("o", True), ("o", False), ("D", True), ("D", False))
"""Marker and whether it is filled, estimate by estimate."""


@dataclass(frozen=True)
class Estimates:
    """One arm in one panel."""

    scores: Floats
    """(n_seeds,)"""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """Name, such as mean, median or IQM -> estimate; empty with too few seeds, then ``scores`` are drawn."""


@dataclass(frozen=True)
class Panel:
    """One score on one task."""

    heading: str
    xlabel: str
    arms: Mapping[ArmLabel, Estimates]


def interval_plot(panels: Sequence[Sequence[Panel]], title: str) -> Figure:
    """A grid of panels with one row per arm.

    :param panels: rows of panels of equal length; panels of one row have the same arms
    """
    counts = [max(len(panel.arms) for panel in line) for line in panels]
    drawn = [arm for line in panels for panel in line for arm in panel.arms.values()]
    names = list(dict.fromkeys(name for arm in drawn for name in arm.intervals))
    height = sum(0.75 + 0.46 * count for count in counts) + 0.7
    ratios = {"height_ratios": [0.4 + 0.46 * count for count in counts]}
    with styled():
        figure, grid = new_figure(len(panels), len(panels[0]), (WIDTH, height), gridspec_kw=ratios)
        for line, row in zip(panels, grid, strict=True):
            for column, (panel, axes) in enumerate(zip(line, row, strict=True)):
                _draw(axes, panel, names)
                if column:
                    axes.set_yticklabels([])
        _name_estimates(figure, names, any(not arm.intervals for arm in drawn))
        set_title(figure, title)
    return figure


def _draw(axes: Axes, panel: Panel, names: Sequence[str]) -> None:
    offsets = np.linspace(-0.25, 0.25, len(names)) if len(names) > 1 else np.zeros(1)
    for y, (arm, estimates) in enumerate(panel.arms.items()):
        color = arm.style.color
        if not estimates.intervals:
            heights = np.full(len(estimates.scores), y)
            axes.plot(estimates.scores, heights, arm.style.marker, color=color, ms=4.5, alpha=0.8)
        for name, interval in estimates.intervals.items():
            number = names.index(name)
            marker, filled = _FACES[number % len(_FACES)]
            place = y + offsets[number]
            axes.plot(interval[1:], [place, place], color=color, lw=1.5, solid_capstyle="butt")
            axes.plot(interval.value, place, marker, color=color, ms=5, mfc=color if filled else "white")
    name_rows(axes, [arm.text for arm in panel.arms])
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.set_xlabel(panel.xlabel)
    axes.set_title(textwrap.fill(panel.heading, 24), loc="left")


def _name_estimates(figure: Figure, names: Sequence[str], seeds_alone: bool) -> None:
    grey = "#444444"
    handles = [
        Line2D([], [], color=grey, marker=marker, ms=5, lw=1.5, mfc=grey if filled else "white", label=name)
        for name, (marker, filled) in zip(names, _FACES, strict=False)
    ]
    if seeds_alone:
        handles.append(Line2D([], [], color=grey, marker="o", ls="", ms=4.5, alpha=0.8, label="one point per seed"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8.5)
