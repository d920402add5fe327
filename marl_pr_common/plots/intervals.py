"""Interval plots: several estimates of every arm, each with its interval; below five seeds the seeds themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from marl_pr_common.plots.style import Floats, arm_style, name_rows, new_figure, set_title, styled

Estimate = tuple[float, float, float]
"""Value, low, high."""
_FACES = (("o", True), ("o", False), ("D", True), ("D", False))
"""Marker and whether it is filled, estimate by estimate."""
_SEEDS_ONLY = "one point per seed"


@dataclass(frozen=True)
class Row:
    """One arm in one panel."""

    label: str
    index: int
    """Number of the arm: its colour and marker in all figures."""
    scores: Floats
    """(n_seeds,)"""
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    """Name, such as mean, median or IQM -> estimate; empty with too few seeds, then ``scores`` are drawn."""


@dataclass(frozen=True)
class Panel:
    """One score on one task."""

    heading: str
    xlabel: str
    rows: Sequence[Row]


def interval_plot(panels: Sequence[Sequence[Panel]], title: str) -> Figure:
    """A grid of panels with one row per arm.

    :param panels: rows of panels of equal length; panels of one row have the same arms
    """
    arms = [max(len(panel.rows) for panel in line) for line in panels]
    rows = [row for line in panels for panel in line for row in panel.rows]
    names = list(dict.fromkeys(name for row in rows for name in row.estimates))
    height = sum(0.75 + 0.46 * count for count in arms) + 0.7
    with styled():
        figure, grid = new_figure(
            *(len(panels), len(panels[0]), (8.6, height)),
            gridspec_kw={"height_ratios": [0.4 + 0.46 * count for count in arms]},
        )
        for line, drawn in zip(panels, grid, strict=True):
            for column, (panel, axes) in enumerate(zip(line, drawn, strict=True)):
                _draw(axes, panel, names)
                if column:
                    axes.set_yticklabels([])
        _name_estimates(figure, names, any(not row.estimates for row in rows))
        set_title(figure, title)
    return figure


def _draw(axes: Axes, panel: Panel, names: Sequence[str]) -> None:
    offsets = np.linspace(-0.25, 0.25, len(names)) if len(names) > 1 else np.zeros(1)
    for y, row in enumerate(panel.rows):
        style = arm_style(row.index)
        if not row.estimates:
            axes.plot(row.scores, np.full(len(row.scores), y), style.marker, color=style.color, ms=4.5, alpha=0.8)
        for name, (value, low, high) in row.estimates.items():
            number = names.index(name)
            marker, filled = _FACES[number % len(_FACES)]
            place = y + offsets[number]
            axes.plot([low, high], [place, place], color=style.color, lw=1.5, solid_capstyle="butt")
            axes.plot(value, place, marker, color=style.color, ms=5, mfc=style.color if filled else "white")
    name_rows(axes, [row.label for row in panel.rows])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(panel.xlabel)
    axes.set_title(panel.heading, loc="left")


def _name_estimates(figure: Figure, names: Sequence[str], seeds_alone: bool) -> None:
    handles = [
        Line2D([], [], color="#444444", marker=marker, ms=5, lw=1.5, mfc="#444444" if filled else "white", label=name)
        for name, (marker, filled) in zip(names, _FACES, strict=False)
    ]
    if seeds_alone:
        handles.append(Line2D([], [], color="#444444", marker="o", ls="", ms=4.5, alpha=0.8, label=_SEEDS_ONLY))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8.5)
