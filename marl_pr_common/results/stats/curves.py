"""Learning curves of teams, lined up over seeds; the area under them; parts of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from marl_pr_common.config.arrays import Floats
from marl_pr_common.runs.table import TEAM

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
    """(n_points,) of all agents of one team together; mean over seeds where they differ"""
    curves: Floats
    """(n_seeds, n_points) mean over the team's agents"""
    n_agents: int
    interpolated: bool = False
    """Whether seeds were evaluated at different steps, and their curves are read off at common ones."""
    total_of_seeds: npt.NDArray[np.int64] | None = None
    """(n_seeds, n_points) where seeds differ: agents that have finished take no more steps until the others have"""

    def __post_init__(self) -> None:
        n_seeds, n_points = len(self.seeds), len(self.env_steps_per_agent)
        if self.curves.shape != (n_seeds, n_points) or len(self.total_env_steps) != n_points:
            swapped = " The axes are swapped: transpose it." if self.curves.shape == (n_points, n_seeds) else ""
            raise ValueError(
                f"curves have the shape {self.curves.shape}; {n_seeds} seeds, {n_points} points per agent and "
                f"{len(self.total_env_steps)} in total make ({n_seeds}, {n_points}), (n_seeds, n_points).{swapped}"
            )

        if self.total_of_seeds is not None and self.total_of_seeds.shape != self.curves.shape:
            raise ValueError(f"total_of_seeds {self.total_of_seeds.shape}: expected the shape {self.curves.shape}.")

    @property
    def last_totals(self) -> npt.NDArray[np.int64]:
        """(n_seeds,) env steps of all agents together at the last point, of each seed."""
        if self.total_of_seeds is None:
            return np.full(len(self.seeds), self.total_env_steps[-1])
        return self.total_of_seeds[:, -1]


_NUMBERS = ["seed", "agent", "env_steps_per_agent", "total_env_steps", "value"]


def team_curves(
    results: pd.DataFrame,
    arm: str,
    task: str,
    metric: str = "eval/return",
    at: npt.NDArray[np.int64] | None = None,
) -> TeamCurves:
    """Average the agents of each seed and line the seeds up; points that a seed lacks are left out for all.

    Runs that end their episodes at different times are evaluated at different steps (EPyMARL does so). If the seeds
    share fewer than half of their points, or not both ends of the range that all have, each curve is read off, linearly
    between its points: at the steps that half of the seeds have, else at as many evenly spaced ones.

    :param results: a table in the schema of ``runs``
    :param at: (n_points,) steps at which every curve is read off instead, within what all seeds have
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
    n_points = int(table.notna().sum(axis=1).median())
    common = table.dropna(axis="columns")
    interpolated = 2 * common.shape[1] < n_points or not _has_both_ends(common, table)
    if interpolated or at is not None:
        common = _read_off(table, _steps(table, n_points, f"arm={arm!r}") if at is None else at)
    totals = _totals(points["total_env_steps"].max().unstack(), common.columns.to_numpy())
    return TeamCurves(
        seeds=common.index.to_numpy(dtype=np.int64),
        env_steps_per_agent=common.columns.to_numpy(dtype=np.int64),
        total_env_steps=np.rint(totals.mean(axis=0)).astype(np.int64),
        curves=common.to_numpy(dtype=np.float64),
        n_agents=team_size(rows),
        interpolated=interpolated,
        total_of_seeds=totals if np.any(totals != totals[0]) else None,
    )


def _totals(table: pd.DataFrame, steps: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Steps in total of each seed at common steps per agent.

    :param table: seeds x steps per agent, NaN where a seed was not evaluated
    :return: (n_seeds, n_points)
    """
    own = (row.dropna() for _, row in table.iterrows())
    return np.array([np.rint(np.interp(steps, row.index, row)) for row in own]).astype(np.int64)


def team_size(rows: pd.DataFrame) -> int:
    """Number of agents of one arm; where only the team has rows, total env steps over those of each agent,
    where the most agents acted.

    :param rows: of one metric
    """
    per_agent = rows.loc[rows["agent"] != TEAM, "agent"]
    if len(per_agent):
        return int(per_agent.nunique())
    begun = rows[rows["env_steps_per_agent"] > 0]
    ratios = begun["total_env_steps"] / begun["env_steps_per_agent"]
    return max(1, round(ratios.max())) if len(ratios) else 1


def _range(table: pd.DataFrame) -> tuple[int, int]:
    """First and last step that all seeds have reached."""
    own = [row.dropna().index for _, row in table.iterrows()]
    return max(steps[0] for steps in own), min(steps[-1] for steps in own)


def _has_both_ends(common: pd.DataFrame, table: pd.DataFrame) -> bool:
    return common.shape[1] > 0 and (common.columns[0], common.columns[-1]) == _range(table)


def _steps(table: pd.DataFrame, n_points: int, where: str) -> npt.NDArray[np.int64]:
    """Common steps for seeds that were evaluated at others.

    :param table: seeds x steps, NaN where a seed was not evaluated
    """
    first, last = _range(table)
    if first >= last:
        own = {seed: row.dropna().index for seed, row in table.iterrows()}
        begins, ends = max(own, key=lambda seed: own[seed][0]), min(own, key=lambda seed: own[seed][-1])
        raise ValueError(
            f"The seeds of {where} share no range of steps: seed {begins} begins at {first:,}, seed {ends} ends at "
            f"{last:,}. Leave such a run out by name: --exclude RUN."
        )
    often = table.columns[(table.notna().mean() >= 0.5) & (table.columns >= first) & (table.columns <= last)]
    if 2 * len(often) < n_points:
        return np.unique(np.linspace(first, last, max(n_points, 2)).astype(np.int64))
    return np.unique([first, *often, last]).astype(np.int64)


def _read_off(table: pd.DataFrame, steps: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Curves at common steps."""
    own = {seed: row.dropna() for seed, row in table.iterrows()}
    values = [np.interp(steps, row.index, row) for row in own.values()]
    return pd.DataFrame(values, index=list(own), columns=steps)


def cut(curves: TeamCurves, budget: int, axis: Axis = "env_steps_per_agent") -> TeamCurves:
    """The part of the curves up to ``budget``, whose last point is read off there, linearly between evaluations.

    With ``axis="total_env_steps"`` teams and single agents are compared on the same data: a team of three then stops
    at a third of the steps of each agent.

    :param budget: in steps of one agent, or of all agents together (their mean over seeds where these differ)
    :raises ValueError: if the curves end before ``budget``, or begin after it
    """
    steps = getattr(curves, axis)
    if not steps[0] < budget <= steps[-1]:
        raise ValueError(f"budget={budget!r} {axis}: expected more than {steps[0]} and at most {steps[-1]}.")
    keep = steps < budget
    last = np.array([np.interp(budget, steps, curve) for curve in curves.curves])

    totals = curves.total_of_seeds
    if totals is not None:
        ends = np.rint([np.interp(budget, steps, counted) for counted in totals]).astype(np.int64)
        totals = np.column_stack([totals[:, keep], ends])

    def shorter(counted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.append(counted[keep], np.rint(np.interp(budget, steps, counted)).astype(np.int64))

    return replace(
        curves,
        env_steps_per_agent=shorter(curves.env_steps_per_agent),
        total_env_steps=shorter(curves.total_env_steps),
        curves=np.column_stack([curves.curves[:, keep], last]),
        total_of_seeds=totals,
    )
