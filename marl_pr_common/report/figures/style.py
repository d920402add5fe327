"""How every figure of this project looks: one palette, markers, dashes, saving. Nothing here knows what is drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from marl_pr_common.config.arrays import Floats
from marl_pr_common.runs.files import replacing

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's palette, told apart with every common colour blindness; yellow is left out, too pale for lines."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")

SVG: Any = {"svg.fonttype": "none", "svg.hashsalt": "marl-pr"}
"""Text as text; and no random names, so that the same data gives the same file."""
STYLE: Any = {
    "font.size": 9,
    "font.family": "sans-serif",  # DejaVu Sans; an SVG names the whole list, for machines that lack it
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
    **SVG,
}
TITLE: dict[str, Any] = {"fontsize": 9.5, "color": "#222222"}
MUTED = "#777777"
"""What others are compared with: the arm of reference, 0.5 of a probability."""
WIDTH = 5.2
"""Of every figure in inches: two stand side by side on a desk, and one is readable across a phone."""
MIN_POINTS_FOR_LINE = 3
"""A line between two evaluations would claim a trend."""


@dataclass(frozen=True)
class ArmStyle:
    """How one arm is drawn, in every figure alike. No two of the first 49 share colour and marker."""

    color: str
    marker: str
    dash: str


def arm_style(index: int) -> ArmStyle:
    """The style of arm number ``index``: solid lines for the first seven arms, then dashed with other markers."""
    turn = index // len(OKABE_ITO)
    color, marker = OKABE_ITO[index % len(OKABE_ITO)], MARKERS[(index + turn) % len(MARKERS)]
    return ArmStyle(color, marker, DASHES[turn % len(DASHES)])


@dataclass(frozen=True)
class ArmLabel:
    """An arm as readers know it; it looks the same in all figures."""

    text: str
    index: int
    """Number of the arm: its colour, marker and dash."""

    @property
    def style(self) -> ArmStyle:
        """How it is drawn."""
        return arm_style(self.index)


def new_figure(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """A figure without a window, and its axes as an array (rows, columns); call it and draw inside :func:`styled`.

    :param size: width and height of the whole figure in inches
    :param options: of ``Figure.subplots``
    """
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def styled() -> Any:
    """Context in which figures are made and saved."""
    return mpl.rc_context(STYLE)


def save_figure(figure: Figure, stem: Path, dpi: int = 200) -> tuple[Path, Path]:
    """Write ``stem.png`` and ``stem.svg`` (text as text) and return their paths.

    :param stem: the path without suffix; its folder is made
    """
    paths = (stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg"))
    with styled():
        for path in paths:
            with replacing(path) as temporary:
                # no date in the SVG: the same data gives the same file
                metadata = {"Date": None} if path.suffix == ".svg" else None
                figure.savefig(temporary, dpi=dpi, metadata=metadata)
            figure.set_layout_engine("none")  # found once: the second file has the same places
    return paths


def step_label(steps: float) -> str:
    """A number of steps as an axis writes it: 500, 2.5k, 1M."""
    for unit, suffix in ((1_000_000, "M"), (1_000, "k")):
        if abs(steps) >= unit:
            return f"{steps / unit:g}{suffix}"
    return f"{steps:g}"


def set_title(figure: Figure, title: str) -> None:
    """Write ``title`` above all panels, broken to the width of the figure."""
    figure.suptitle(textwrap.fill(title, round(12.8 * figure.get_figwidth())), **TITLE)


def arm_legend(figure: Figure, arms: Iterable[ArmLabel]) -> None:
    """Name the arms below all panels.

    :param arms: in any order, also several times
    """
    arms = sorted(set(arms), key=lambda arm: arm.index)
    handles = [
        Line2D([], [], color=arm.style.color, marker=arm.style.marker, ls=arm.style.dash, lw=1.7, ms=4, label=arm.text)
        for arm in arms
    ]
    longest = max(len(arm.text) for arm in arms)
    columns = max(1, min(len(arms), int(14 * figure.get_figwidth() / (longest + 9))))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5)


def draw_curves(
    axes: Axes, x: Floats, curves: Floats, interval: tuple[Floats, Floats, Floats] | None, style: ArmStyle
) -> None:
    """One arm: its mean with a pale band, or a thin line for each seed; only points with few evaluations.

    :param x: (n_points,)
    :param curves: (n_seeds, n_points)
    :param interval: mean, low and high, each (n_points,)
    """
    few = len(x) < MIN_POINTS_FOR_LINE
    look: dict[str, Any] = {"color": style.color, "ls": style.dash}
    if few:
        look |= {"marker": style.marker, "ms": 4, "ls": ""}
    if interval is None:
        for curve in curves:
            axes.plot(x, curve, lw=0.8, alpha=0.75, **look)
        return
    value, low, high = interval
    if few:
        axes.vlines(x, low, high, color=style.color, lw=1.5)
    else:
        axes.fill_between(x, low, high, color=style.color, alpha=0.16, lw=0)
    axes.plot(x, value, lw=1.7, **look)


def draw_steps(axes: Axes, x: Floats, y: Floats, style: ArmStyle, **more: Any) -> None:
    """One arm as a staircase: each value holds up to the next point.

    :param x, y: (n_points,)
    """
    axes.step(x, y, where="post", color=style.color, ls=style.dash, lw=1.7, marker=style.marker, ms=3.6, **more)


def panel_grid(headings: Sequence[str], height: float, columns: int = 2) -> tuple[Figure, list[Axes]]:
    """A figure with one panel per heading.

    :param headings: written above the panels
    :param height: of one panel in inches
    :param columns: at most so many panels in a row
    """
    columns = min(columns, len(headings))
    rows = -(-len(headings) // columns)
    figure, grid = new_figure(rows, columns, (WIDTH, 1.0 + height * rows))
    axes: list[Axes] = list(grid.flat)
    for unused in axes[len(headings) :]:
        unused.remove()
    for panel, heading in zip(axes, headings, strict=False):
        lines = [textwrap.fill(line, 52 // columns) for line in heading.split("\n")]
        panel.set_title("\n".join(lines), loc="left")
    return figure, axes[: len(headings)]


def name_panels(figure: Figure, grid: Sequence[Axes], ylabel: str, title: str, arms: Iterable[ArmLabel] = ()) -> None:
    """The words around the panels of :func:`panel_grid`, and below them the names of the arms, if there are any."""
    for axes in grid[::2]:
        axes.set_ylabel(ylabel)
    if arms := list(arms):
        arm_legend(figure, arms)
    set_title(figure, title)


def name_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Arms as rows of a panel, the first on top, each name at its row."""
    axes.set_yticks(range(len(labels)), [textwrap.fill(label, 22) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)


def count_steps(axes: Axes) -> None:
    """Write the x axis in env steps: 500, 2.5k, 1M."""
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: step_label(value)))
