"""Return against time: seconds on the clock, and seconds of CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from marl_pr_common.config.arrays import Floats
from marl_pr_common.report.figures.curves import Curve
from marl_pr_common.report.figures.style import ArmLabel, arm_legend, new_figure, set_title, styled

_AXES = {"wall": "Training time on the clock", "cpu": "CPU time of training"}


@dataclass(frozen=True)
class TimedCurve:
    """The learning curve of one arm, with the time that it took."""

    wall: Floats
    """(n_points,) seconds since training began, mean over seeds"""
    cpu: Floats
    """(n_points,) seconds of CPU since then, mean over seeds"""
    curve: Curve


def return_against_time(panels: Mapping[str, Mapping[ArmLabel, TimedCurve]], ylabel: str, title: str) -> Figure:
    """Two panels per task: against wall-clock time and against CPU time of a run.

    :param panels: task -> arms
    """
    with styled():
        figure, grid = new_figure(len(panels), 2, (8.6, 1.1 + 2.7 * len(panels)), sharey="row")
        for row, (task, arms) in zip(grid, panels.items(), strict=True):
            for axes, (name, xlabel) in zip(row, _AXES.items(), strict=True):
                unit, seconds = _unit(max(float(getattr(timed, name)[-1]) for timed in arms.values()))
                for arm, timed in arms.items():
                    timed.curve.draw(axes, getattr(timed, name) / seconds, arm.style)
                axes.set_xlim(left=0)
                axes.xaxis.set_major_locator(MaxNLocator(5))
                axes.set_xlabel(f"{xlabel} [{unit}]")
            row[0].set_ylabel(ylabel if len(panels) == 1 else f"{task}\n{ylabel}")
        arm_legend(figure, (arm for arms in panels.values() for arm in arms))
        set_title(figure, title)
    return figure


def _unit(longest: float) -> tuple[str, float]:
    """A unit of time that suits ``longest`` seconds, and its length in seconds."""
    for unit, seconds in (("h", 3600.0), ("min", 60.0)):
        if longest >= 3 * seconds:
            return unit, seconds
    return "s", 1.0
