"""The figure that a run ends with: what each of its agents earned in its evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marl_pr_common.report.figures.style import (
    MUTED,
    OKABE_ITO,
    arm_style,
    count_steps,
    new_figure,
    set_title,
    styled,
)
from marl_pr_common.runs.table import TEAM

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FEW = 3
"""Evaluations below which points are drawn and no line: two points are no trend."""


def returns_of_agents(results: pd.DataFrame, title: str, teams: tuple[str, ...] = ("vote",)) -> Figure:
    """One line per agent, and one for the mean of several; dashed what the team would earn.

    :param results: of one run, in the schema of ``runs``
    :param teams: names of ``eval/NAME`` of the team
    """
    rows = results[results["metric"] == "eval/return"]
    agents = sorted(rows["agent"].unique())
    with styled():
        figure, grid = new_figure(1, 1, (6.4, 3.6))
        axes = grid[0, 0]
        marker = "o" if rows["env_steps_per_agent"].nunique() < FEW else ""
        line = "" if marker else "-"
        for agent in agents:
            mine = rows[rows["agent"] == agent]
            color = arm_style(agent % len(OKABE_ITO)).color if len(agents) > 1 else "#222222"
            label = "return" if agent == TEAM else f"agent {agent}"
            axes.plot(mine["env_steps_per_agent"], mine["value"], line, marker=marker, color=color, lw=1.2, label=label)
        for name in teams:
            team = results[results["metric"] == f"eval/{name}"]
            if len(team) and len(agents) > 1:
                dashed = "" if marker else "--"
                style = {"marker": marker, "color": MUTED, "lw": 1.4, "label": name}
                axes.plot(team["env_steps_per_agent"], team["value"], dashed, **style)
        axes.set_xlabel(f"Environment steps{' per agent' if len(agents) > 1 else ''}")
        axes.set_ylabel("Return")
        count_steps(axes)
        if len(agents) > 1:
            axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        set_title(figure, title)
    return figure
