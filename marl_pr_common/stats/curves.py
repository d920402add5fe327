"""Learning curves of teams, lined up over seeds; the area under them; parts of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from marl_pr_common.runs import TEAM
from marl_pr_common.stats.bootstrap import Floats

Axis = Literal["env_steps_per_agent", "total_env_steps"]


def area_under_curve(steps: npt.NDArray[np.integer], curves: Floats) -> Floats:
    """Area under each curve by the trapezoidal rule, divided by the length of the step axis.

    The result has the unit of the curve: it is the mean height over training, so budgets of different length compare.

    :param steps: (n_points,) env steps, increasing
    :param curves: (..., n_points)
    :return: (...)
    :raises ValueError: with fewer than two points, or steps that do not increase
    """
    if steps.ndim != 1 or len(steps) < 2 or curves.shape[-1] != len(steps):
        swapped = " The axes are swapped: transpose the curves." if len(steps) in curves.shape[:-1] else ""
        raise ValueError(
            f"steps {steps.shape}, curves {curves.shape}: expected (n_points,) and (..., n_points), >= 2.{swapped}"
        )
    if np.any(np.diff(steps) <= 0):
        raise ValueError("steps must increase: each evaluation comes once and later than the one before.")
    widths = np.diff(steps).astype(np.float64)
    return np.asarray(np.sum(widths * (curves[..., 1:] + curves[..., :-1]) / 2.0, axis=-1) / widths.sum())


@dataclass(frozen=True)
class TeamCurves:
    """The learning curves of one arm on one task; every seed has every point."""

    seeds: npt.NDArray[np.int64]
    """(n_seeds,)"""
    env_steps_per_agent: npt.NDArray[np.int64]
    """(n_points,)"""
    total_env_steps: npt.NDArray[np.int64]
    """(n_points,) of all agents of one team together"""
    curves: Floats
    """(n_seeds, n_points) mean over the team's agents"""
    n_agents: int
    interpolated: bool = False
    """Whether seeds were evaluated at different steps, and their curves are read off at common ones."""

    def __post_init__(self) -> None:
        n_seeds, n_points = len(self.seeds), len(self.env_steps_per_agent)
        if self.curves.shape != (n_seeds, n_points) or len(self.total_env_steps) != n_points:
            swapped = " The axes are swapped: transpose it." if self.curves.shape == (n_points, n_seeds) else ""
            raise ValueError(
                f"curves have the shape {self.curves.shape}; {n_seeds} seeds, {n_points} points per agent and "
                f"{len(self.total_env_steps)} in total make ({n_seeds}, {n_points}), (n_seeds, n_points).{swapped}"
            )


_NUMBERS = ["seed", "agent", "env_steps_per_agent", "total_env_steps", "value"]


def team_curves(results: pd.DataFrame, arm: str, task: str, metric: str = "eval/return") -> TeamCurves:
    """Average the agents of each seed and line the seeds up; points that a seed lacks are left out for all.

    Runs that end their episodes at different times are evaluated at different steps (EPyMARL does so). If the seeds
    share fewer than half of their points, each curve is read off, linearly between its points, at as many evenly
    spaced steps in the range that all have.

    :param results: a table in the schema of ``runs``
    :raises ValueError: if the arm has no such rows, a value is not finite, or its seeds share no range of steps
    """
    chosen = (results["arm"] == arm) & (results["task"] == task) & (results["metric"] == metric)
    here = results.loc[chosen, _NUMBERS]  # copying the strings of a large table takes longer than all the rest
    if here.empty:
        known = ", ".join(sorted(results["metric"].unique()))
        raise ValueError(f"No rows for arm={arm!r}, task={task!r}, metric={metric!r}. Metrics there: {known}.")
    per_agent = here[here["agent"] != TEAM]
    rows = here if per_agent.empty else per_agent
    broken = rows[~np.isfinite(rows["value"])]
    if len(broken):
        runs = ", ".join(sorted(results.loc[broken.index, "run"].unique()))
        raise ValueError(f"{metric} is not finite in {runs}: the run diverged. Leave it out by name, and say so.")
    points = rows.groupby(["seed", "env_steps_per_agent"])
    table = points["value"].mean().unstack()
    totals = rows.groupby("env_steps_per_agent")["total_env_steps"].max()
    n_points = int(table.notna().sum(axis=1).median())
    common = table.dropna(axis="columns")
    interpolated = 2 * common.shape[1] < n_points
    if interpolated:
        common = _read_off(table, n_points, f"arm={arm!r}")
    return TeamCurves(
        seeds=common.index.to_numpy(dtype=np.int64),
        env_steps_per_agent=common.columns.to_numpy(dtype=np.int64),
        total_env_steps=np.rint(np.interp(common.columns, totals.index, totals)).astype(np.int64),
        curves=common.to_numpy(dtype=np.float64),
        n_agents=team_size(rows),
        interpolated=interpolated,
    )


def team_size(rows: pd.DataFrame) -> int:
    """Number of agents of one arm; where only the team has rows, total env steps over those of each agent.

    :param rows: of one metric
    """
    per_agent = rows.loc[rows["agent"] != TEAM, "agent"]
    if len(per_agent):
        return int(per_agent.nunique())
    per_agent_steps, total = (int(rows[name].max()) for name in ("env_steps_per_agent", "total_env_steps"))
    return max(1, round(total / max(1, per_agent_steps)))


def _read_off(table: pd.DataFrame, n_points: int, where: str) -> pd.DataFrame:
    """Curves at ``n_points`` common steps.

    :param table: seeds x steps, NaN where a seed was not evaluated
    """
    own = {seed: row.dropna() for seed, row in table.iterrows()}
    first, last = max(row.index[0] for row in own.values()), min(row.index[-1] for row in own.values())
    if first >= last:
        raise ValueError(f"The seeds of {where} share no evaluation point: they were evaluated at different steps.")
    steps = np.unique(np.linspace(first, last, max(n_points, 2)).astype(np.int64))
    values = [np.interp(steps, row.index, row) for row in own.values()]
    return pd.DataFrame(values, index=list(own), columns=steps)


def cut(curves: TeamCurves, budget: int, axis: Axis = "env_steps_per_agent") -> TeamCurves:
    """The part of the curves up to ``budget``, whose last point is read off there, linearly between evaluations.

    With ``axis="total_env_steps"`` teams and single agents are compared on the same data: a team of three then stops
    at a third of the steps of each agent.

    :param budget: in steps of one agent, or of all agents together
    :raises ValueError: if the curves end before ``budget``, or begin after it
    """
    steps = getattr(curves, axis)
    if not steps[0] < budget <= steps[-1]:
        raise ValueError(f"budget={budget!r} {axis}: expected more than {steps[0]} and at most {steps[-1]}.")
    keep = steps < budget
    last = np.array([np.interp(budget, steps, curve) for curve in curves.curves])

    def shorter(counted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.append(counted[keep], np.rint(np.interp(budget, steps, counted)).astype(np.int64))

    return replace(
        curves,
        env_steps_per_agent=shorter(curves.env_steps_per_agent),
        total_env_steps=shorter(curves.total_env_steps),
        curves=np.column_stack([curves.curves[:, keep], last]),
    )
