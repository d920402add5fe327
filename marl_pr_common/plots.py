"""Figures from the tidy results: learning curves against the steps of one agent and of all agents together."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.optimize import isotonic_regression

from marl_pr_common.files import replacing
from marl_pr_common.stats import MIN_SEEDS_FOR_INTERVAL, Floats, TeamCurves, mean_interval, team_curves

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's palette, told apart with every common colour blindness; yellow is left out, too pale for lines."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_STYLE: Any = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "axes.labelcolor": "#222222",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.grid.axis": "y",
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "svg.fonttype": "none",
    "svg.hashsalt": "marl-pr",
}
_AXES = {
    "env_steps_per_agent": "Environment steps per agent",
    "total_env_steps": "Environment steps of all agents together",
}


@dataclass(frozen=True)
class _Line:
    """One arm as it is drawn."""

    label: str
    color: str
    marker: str
    data: TeamCurves
    interval: tuple[Floats, Floats, Floats] | None
    """Mean, low and high, each (n_points,); None with too few seeds for it. Both panels draw the same one."""


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
    arms = list(dict.fromkeys(results["arm"]))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.6, 0.9 + 3.0 * len(tasks)), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(tasks), 2, sharey="row", squeeze=False)
        for row, task in zip(grid, tasks, strict=True):
            lines = _lines(results, task, arms, labels or {}, metric, rng)
            for axes, steps in zip(row, _AXES, strict=True):
                for line in lines:
                    _draw(axes, line, steps)
                _finish(axes, lines, steps)
            row[0].set_ylabel(metric_label if len(tasks) == 1 else f"{task}\n{metric_label}")
            figure.draw_without_rendering()  # the limits of the axes are final only now
            _label_line_ends(row[0], lines)
        figure.suptitle(_title(results, tasks), fontsize=9.5, color="#222222")
    return figure


def save_figure(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write ``stem.png`` (200 dpi) and ``stem.svg`` and return their paths."""
    paths = (stem.with_suffix(".png"), stem.with_suffix(".svg"))
    with mpl.rc_context(_STYLE):
        for path in paths:
            with replacing(path) as temporary:
                # no date in the SVG: the same data gives the same file
                figure.savefig(temporary, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths


def _lines(
    results: pd.DataFrame,
    task: str,
    arms: Sequence[str],
    labels: Mapping[str, str],
    metric: str,
    rng: np.random.Generator,
) -> list[_Line]:
    here = set(results.loc[results["task"] == task, "arm"])
    lines = []
    for index, arm in enumerate(arms):
        if arm in here:
            data = team_curves(results, arm, task, metric)
            enough = len(data.seeds) >= MIN_SEEDS_FOR_INTERVAL
            interval = mean_interval(data.curves, rng) if enough else None
            color, marker = OKABE_ITO[index % len(OKABE_ITO)], MARKERS[index % len(MARKERS)]
            lines.append(_Line(labels.get(arm, arm), color, marker, data, interval))
    return lines


def _draw(axes: Axes, line: _Line, steps: str) -> None:
    x = getattr(line.data, steps)
    if line.interval is None:
        for curve in line.data.curves:
            axes.plot(
                *(x, curve),
                color=line.color,
                lw=0.8,
                alpha=0.75,
                marker=line.marker,
                ms=3.2,
            )
        return
    mean, low, high = line.interval
    axes.fill_between(x, low, high, color=line.color, alpha=0.16, lw=0)
    axes.plot(x, mean, color=line.color, lw=1.7, marker=line.marker, ms=3.6)


def _finish(axes: Axes, lines: Sequence[_Line], steps: str) -> None:
    longest = max(int(getattr(line.data, steps)[-1]) for line in lines)
    axes.set_xlim(0, longest * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: step_label(value)))
    axes.set_xlabel(_AXES[steps])


def _label_line_ends(axes: Axes, lines: Sequence[_Line]) -> None:
    """Write each arm's name beside the end of its line, moved apart where ends are close.

    The labels of the left panel stand between the panels and so serve both.
    """
    to_fraction = axes.transData + axes.transAxes.inverted()
    ends = [(int(line.data.env_steps_per_agent[-1]), float(line.data.curves[:, -1].mean())) for line in lines]
    texts = [textwrap.fill(line.label, 18) for line in lines]
    wanted = np.array([to_fraction.transform(end)[1] for end in ends])
    heights = np.array([_LINE_HEIGHT * (1 + text.count("\n")) + 0.02 for text in texts])
    for line, end, text, y in zip(lines, ends, texts, spread(wanted, heights), strict=True):
        axes.annotate(
            text,
            xy=end,
            xytext=(1.07, y),
            textcoords="axes fraction",
            color=line.color,
            fontweight="bold",
            fontsize=8.5,
            va="center",
            linespacing=1.1,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": line.color,
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
    return textwrap.fill(f"{', '.join(tasks)}  ·  {engines}  ·  {seeds} seed{plural}, {meaning}", 110)


def step_label(steps: float) -> str:
    """A number of steps as an axis writes it: 500, 2.5k, 1M."""
    for unit, suffix in ((1_000_000, "M"), (1_000, "k")):
        if abs(steps) >= unit:
            return f"{steps / unit:g}{suffix}"
    return f"{steps:g}"
