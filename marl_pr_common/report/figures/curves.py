"""Learning curves from the tidy results, against the steps of one agent and of all agents together."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from marl_pr_common.config.arrays import Floats
from marl_pr_common.report.figures.style import (
    ArmLabel,
    ArmStyle,
    arm_legend,
    count_steps,
    draw_band,
    draw_seeds,
    new_figure,
    set_title,
    styled,
)
from marl_pr_common.results.stats import MIN_SEEDS_FOR_INTERVAL, TeamCurves, mean_interval, team_curves

MAX_ARMS_BESIDE_LINES = 6
"""More names do not fit between the panels: they go into a legend below."""
_AXES = {
    "env_steps_per_agent": "Environment steps per agent",
    "total_env_steps": "Environment steps of all agents together",
}


@dataclass(frozen=True)
class Curve:
    """One arm on one task."""

    data: TeamCurves
    interval: tuple[Floats, Floats, Floats] | None
    """Mean, low and high, each (n_points,); None with too few seeds for it. Both panels draw the same one."""

    def draw(self, axes: Axes, x: Floats, style: ArmStyle) -> None:
        """A line and its band; with too few seeds a thin line for each.

        :param x: (n_points,)
        """
        if self.interval is not None:
            draw_band(axes, x, *self.interval, style)
        else:
            draw_seeds(axes, x, self.data.curves, style)


def learning_curves(
    results: pd.DataFrame,
    rng: np.random.Generator,
    labels: Mapping[str, str] | None = None,
    metric: str = "eval/return",
    metric_label: str = "Return, mean over a team's agents",
) -> Figure:
    """Two panels per task: ``metric`` against the env steps per agent, and against those of all agents together.

    From five seeds on an arm is its mean with a 95 % bootstrap interval over seeds; with fewer it is one thin line
    with points per seed.

    :param results: table in the schema of ``runs``; the arms are drawn in their order of appearance
    :param rng: source of the bootstrap resamples
    :param labels: arm -> name in the figure
    :raises ValueError: if an arm has no such metric or a value is not finite
    """
    tasks = list(dict.fromkeys(results["task"]))
    names = {arm: ArmLabel((labels or {}).get(arm, arm), i) for i, arm in enumerate(dict.fromkeys(results["arm"]))}
    panels = {}
    for task in tasks:
        here = set(results.loc[results["task"] == task, "arm"])
        panels[task] = {
            names[arm]: with_interval(team_curves(results, arm, task, metric), rng) for arm in names if arm in here
        }
    return draw_learning_curves(panels, metric_label, _title(results, tasks))


def with_interval(data: TeamCurves, rng: np.random.Generator, n_resamples: int = 10_000) -> Curve:
    """The curves of an arm with the 95 % bootstrap interval of their mean, if there are seeds enough."""
    enough = len(data.seeds) >= MIN_SEEDS_FOR_INTERVAL
    return Curve(data, mean_interval(data.curves, rng, n_resamples=n_resamples) if enough else None)


def draw_learning_curves(panels: Mapping[str, Mapping[ArmLabel, Curve]], metric_label: str, title: str) -> Figure:
    """The two panels per task of :func:`learning_curves`, from what was computed elsewhere.

    :param panels: task -> arms
    """
    with styled():
        figure, grid = new_figure(len(panels), 2, (8.6, 0.9 + 3.0 * len(panels)), sharey="row")
        for row, (task, arms) in zip(grid, panels.items(), strict=True):
            for axes, steps in zip(row, _AXES, strict=True):
                _draw(axes, arms, steps)
            row[0].set_ylabel(metric_label if len(panels) == 1 else f"{task}\n{metric_label}")
        if all(len(arms) <= MAX_ARMS_BESIDE_LINES for arms in panels.values()):
            figure.draw_without_rendering()  # the limits of the axes are final only now
            for row, arms in zip(grid, panels.values(), strict=True):
                _label_line_ends(row[0], arms)
        else:
            arm_legend(figure, (arm for arms in panels.values() for arm in arms))
        set_title(figure, title)
    return figure


def _draw(axes: Axes, arms: Mapping[ArmLabel, Curve], steps: str) -> None:
    for arm, curve in arms.items():
        curve.draw(axes, getattr(curve.data, steps), arm.style)
    longest = max(int(getattr(curve.data, steps)[-1]) for curve in arms.values())
    axes.set_xlim(0, longest * 1.02)
    count_steps(axes)
    axes.set_xlabel(_AXES[steps])


def _label_line_ends(axes: Axes, arms: Mapping[ArmLabel, Curve]) -> None:
    """Write each arm's name beside the end of its line, moved apart where ends are close.

    The labels of the left panel stand between the panels and so serve both.
    """
    to_fraction = axes.transData + axes.transAxes.inverted()
    curves = [curve.data for curve in arms.values()]
    ends = [(int(data.env_steps_per_agent[-1]), float(data.curves[:, -1].mean())) for data in curves]
    texts = [textwrap.fill(arm.text, 18) for arm in arms]
    wanted = np.array([to_fraction.transform(end)[1] for end in ends])
    heights = np.array([_LINE_HEIGHT * (1 + text.count("\n")) + 0.02 for text in texts])
    for arm, end, text, y in zip(arms, ends, texts, spread(wanted, heights), strict=True):
        axes.annotate(
            text,
            xy=end,
            xytext=(1.07, y),
            textcoords="axes fraction",
            color=arm.style.color,
            fontweight="bold",
            fontsize=8.5,
            va="center",
            linespacing=1.1,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": arm.style.color,
                "lw": 0.7,
                "alpha": 0.6,
                "relpos": (0.0, 0.5),
                "shrinkA": 2,
                "shrinkB": 4,
            },
        )


_LINE_HEIGHT = 0.066
"""Height of a line of a label, as a fraction of the axes' height."""


def spread(wanted: npt.NDArray[np.float64], heights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Centres nearest to ``wanted`` (least squares) at which intervals do not overlap, in their order, inside [0, 1].

    :param wanted: (n,) centres
    :param heights: (n,); if they add up to more than 1 the intervals start at 0 and end above 1
    :return: (n,)
    """
    order = np.argsort(wanted, kind="stable")
    stacked = np.concatenate([[0.0], np.cumsum((heights[order][1:] + heights[order][:-1]) / 2.0)])
    # With the gaps taken out the centres only have to increase: isotonic regression.
    lowest = heights[order][0] / 2.0
    highest = max(lowest, 1.0 - heights[order][-1] / 2.0 - stacked[-1])
    centres = np.empty_like(wanted)
    centres[order] = np.clip(isotonic_regression(wanted[order] - stacked).x, lowest, highest) + stacked
    return centres


def _title(results: pd.DataFrame, tasks: Sequence[str]) -> str:
    """Task, engine, number of seeds and what the lines are."""
    counts = sorted({int(n) for n in results.groupby(["task", "arm"])["seed"].nunique()})
    seeds = " to ".join(str(n) for n in ([counts[0], counts[-1]] if len(counts) > 1 else counts))
    if counts[0] >= MIN_SEEDS_FOR_INTERVAL:
        meaning = "mean and 95 % bootstrap interval over seeds"
    elif counts[-1] < MIN_SEEDS_FOR_INTERVAL:
        meaning = "one line per seed"
    else:
        meaning = f"interval from {MIN_SEEDS_FOR_INTERVAL} seeds on"
    plural = "" if counts == [1] else "s"
    engines = ", ".join(dict.fromkeys(results["engine"]))
    return f"{', '.join(tasks)}  ·  {engines}  ·  {seeds} seed{plural}, {meaning}"
