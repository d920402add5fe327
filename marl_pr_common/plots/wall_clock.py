"""Return against time: seconds on the clock, and seconds of CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from marl_pr_common.plots.profiles import arms_of
from marl_pr_common.plots.style import Floats, arm_legend, arm_style, draw_band, new_figure, set_title, styled

_AXES = {"wall": "Training time on the clock", "cpu": "CPU time of training"}


@dataclass(frozen=True)
class TimedCurve:
    """The learning curve of one arm, with the time that it took."""

    label: str
    index: int
    """Number of the arm: its colour and marker in all figures."""
    wall: Floats
    """(n_points,) seconds since training began, mean over seeds"""
    cpu: Floats
    """(n_points,) seconds of CPU since then, mean over seeds"""
    curves: Floats
    """(n_seeds, n_points) returns"""
    interval: tuple[Floats, Floats, Floats] | None = None
    """Mean, low and high, each (n_points,); None with too few seeds, then every seed is a line"""


def return_against_time(panels: Mapping[str, Sequence[TimedCurve]], ylabel: str, title: str) -> Figure:
    """Two panels per task: against wall-clock time and against CPU time of a run.

    :param panels: task -> arms
    """
    with styled():
        figure, grid = new_figure(len(panels), 2, (8.6, 1.1 + 2.7 * len(panels)), sharey="row")
        for row, (task, arms) in zip(grid, panels.items(), strict=True):
            for axes, (name, xlabel) in zip(row, _AXES.items(), strict=True):
                unit, seconds = _unit(max(float(getattr(arm, name)[-1]) for arm in arms))
                for arm in arms:
                    _draw(axes, arm, getattr(arm, name) / seconds)
                axes.set_xlim(left=0)
                axes.xaxis.set_major_locator(MaxNLocator(5))
                axes.set_xlabel(f"{xlabel} [{unit}]")
            row[0].set_ylabel(ylabel if len(panels) == 1 else f"{task}\n{ylabel}")
        arm_legend(figure, arms_of(panels))
        set_title(figure, title)
    return figure


def _draw(axes: Axes, arm: TimedCurve, x: Floats) -> None:
    if arm.interval is not None:
        draw_band(axes, x, *arm.interval, arm.index)
        return
    style = arm_style(arm.index)
    for curve in arm.curves:
        axes.plot(x, curve, color=style.color, ls=style.dash, lw=0.8, alpha=0.75, marker=style.marker, ms=3.2)


def _unit(longest: float) -> tuple[str, float]:
    """A unit of time that suits ``longest`` seconds, and its length in seconds."""
    for unit, seconds in (("h", 3600.0), ("min", 60.0)):
        if longest >= 3 * seconds:
            return unit, seconds
    return "s", 1.0
