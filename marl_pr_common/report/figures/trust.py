"""Who listens to whom: a square of weights, agents against agents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from marl_pr_common.config.arrays import Floats
from marl_pr_common.report.figures.style import panel_grid, set_title, styled

COLOURS = "Blues"


def trust_plot(panels: Mapping[str, Floats], title: str) -> Figure:
    """One panel per arm and task: dark is much, and the number is in the cell. A NaN has no cell.

    :param panels: heading -> W_ij, (n_agents, n_agents), from 0 to 1
    """
    with styled():
        figure, grid = panel_grid(list(panels), 1.1 + 0.28 * max(len(weights) for weights in panels.values()))
        for axes, weights in zip(grid, panels.values(), strict=True):
            _draw(axes, weights)
            axes.set_anchor("C" if len(panels) == 1 else "W")
        set_title(figure, title)
    return figure


def _draw(axes: Axes, weights: Floats) -> None:
    n = len(weights)
    axes.pcolormesh(np.ma.masked_invalid(weights), cmap=COLOURS, vmin=0.0, vmax=1.0, edgecolors="white", linewidth=1.5)
    for (i, j), weight in np.ndenumerate(weights):
        if np.isfinite(weight):
            colour = "white" if weight > 0.55 else "#222222"
            axes.text(j + 0.5, i + 0.5, f"{weight:.2f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set(xlim=(0, n), ylim=(n, 0), aspect="equal", xlabel="listens to agent", ylabel="Agent")
    axes.set_xticks(np.arange(n) + 0.5, [str(j) for j in range(n)])
    axes.set_yticks(np.arange(n) + 0.5, [str(i) for i in range(n)])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
