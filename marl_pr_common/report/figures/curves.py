"""Curves as small multiples: every arm in a panel of its own, against the arm of reference in grey."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import axes as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from marl_pr_common.config.arrays import Floats
from marl_pr_common.report.figures.style import (
    MUTED,
    ArmLabel,
    count_steps,
    draw_curves,
    name_panels,
    panel_grid,
    styled,
)
from marl_pr_common.results.stats import MIN_SEEDS_FOR_INTERVAL, TeamCurves, mean_interval, team_curves


@dataclass(frozen=True)
class Curve:
    """One arm on one task."""

    data: TeamCurves
    interval: tuple[Floats, Floats, Floats] | None
    """Mean, low and high, each (n_points,); None with too few seeds for it. All panels draw the same one."""
    cpu: Floats | None = None
    """(n_points,) seconds of CPU since training began, mean over seeds; None if unknown"""


Arms = Mapping[ArmLabel, Curve]
Axis = Callable[[Curve], npt.NDArray[Any]]
"""What a curve is drawn against, (n_points,)."""
Axes = dict[str, Axis]
"""Words below a panel -> what is drawn against."""


def learning_curves(
    results: pd.DataFrame,
    rng: np.random.Generator,
    labels: Mapping[str, str] | None = None,
    metric: str = "eval/return",
    metric_label: str = "Return",
) -> Figure:
    """``metric`` of every arm but the first beside that of the first, against env steps; see :func:`small_multiples`.

    From five seeds on an arm is its mean with a 95 % bootstrap interval over seeds; with fewer it is one thin line
    per seed. Below three evaluations there are only points.

    :param results: table in the schema of ``runs``; the arms are drawn in their order of appearance
    :param rng: source of the bootstrap resamples
    :param labels: arm -> name in the figure
    :raises ValueError: if an arm has no such metric or a value is not finite
    """
    names = {arm: ArmLabel((labels or {}).get(arm, arm), i) for i, arm in enumerate(dict.fromkeys(results["arm"]))}
    panels = {}
    for task in dict.fromkeys(results["task"]):
        here = set(results.loc[results["task"] == task, "arm"])
        panels[task] = {
            names[arm]: with_interval(team_curves(results, arm, task, metric), rng) for arm in names if arm in here
        }
    reference = next(iter(names.values()))
    return small_multiples(panels, reference, step_axes, metric_label, _title(results, list(panels)))


def with_interval(data: TeamCurves, rng: np.random.Generator, n_resamples: int = 10_000) -> Curve:
    """The curves of an arm with the 95 % bootstrap interval of their mean, if there are seeds enough."""
    enough = len(data.seeds) >= MIN_SEEDS_FOR_INTERVAL
    return Curve(data, mean_interval(data.curves, rng, n_resamples=n_resamples) if enough else None)


def step_axes(arms: Arms) -> Axes:
    """The steps of one agent; and those of all agents together, where these tell another story."""
    data = [curve.data for curve in arms.values()]
    alone = all(curves.n_agents == 1 for curves in data)
    axes: Axes = {f"Environment steps{'' if alone else ' per agent'}": lambda curve: curve.data.env_steps_per_agent}
    if len({round(float(x.total_env_steps[-1] / max(1, x.env_steps_per_agent[-1])), 3) for x in data}) > 1:
        axes["Environment steps, all agents"] = lambda curve: curve.data.total_env_steps
    return axes


def small_multiples(
    panels: Mapping[str, Arms], reference: ArmLabel | None, axes: Callable[[Arms], Axes], ylabel: str, title: str
) -> Figure:
    """A panel per arm and task, with the reference in grey; all panels of a task have one height.

    :param panels: task -> arms
    :param axes: what is drawn in a panel -> words below it -> what it is drawn against: a panel for each
    """
    cells = [
        (task, arm, arms, xlabel, axis)
        for task, all_arms in panels.items()
        for arm, arms in _pairs(all_arms, reference)
        for xlabel, axis in axes(arms).items()
    ]
    headings = ["\n".join([task] * (len(panels) > 1) + [arm.text]) for task, arm, *_ in cells]
    with styled():
        figure, grid = panel_grid(headings, 1.8)
        for place, (_, arm, arms, xlabel, axis) in zip(grid, cells, strict=True):
            _draw(place, arms, arm, axis)
            place.set_xlabel(xlabel)
            place.set_title(place.get_title(loc="left"), loc="left", color=arm.style.color)
        for task in panels:
            _level([place for place, cell in zip(grid, cells, strict=True) if cell[0] == task])
        name_panels(figure, grid, ylabel, title)
        if reference is not None and any(len(arms) > 1 for _, _, arms, *_ in cells):
            grey = Line2D([], [], color=MUTED, lw=1.7, label=f"{reference.text} (reference)")
            figure.legend(handles=[grey], loc="outside lower center", frameon=False, fontsize=8.5)
    return figure


def _pairs(arms: Arms, reference: ArmLabel | None) -> Iterator[tuple[ArmLabel, Arms]]:
    """Every arm, and what is drawn in its panel: the reference below it."""
    for arm in [arm for arm in arms if arm != reference] or list(arms):
        yield arm, {label: curve for label, curve in arms.items() if label in (reference, arm)}


def _draw(place: plt.Axes, arms: Arms, arm: ArmLabel, axis: Axis) -> None:
    for label, curve in sorted(arms.items(), key=lambda item: item[0] == arm):  # the reference lies below
        style = label.style if label == arm else replace(label.style, color=MUTED, dash="-")
        draw_curves(place, axis(curve), curve.data.curves, curve.interval, style)
    place.set_xlim(0, max(float(axis(curve)[-1]) for curve in arms.values()) * 1.02 or 1.0)
    count_steps(place)


def _level(places: Sequence[plt.Axes]) -> None:
    """One height for all."""
    lows, highs = zip(*(place.get_ylim() for place in places), strict=True)
    for place in places:
        place.set_ylim(min(lows), max(highs))


def _title(results: pd.DataFrame, tasks: list[str]) -> str:
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
