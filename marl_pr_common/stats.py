"""Statistics over seeds as pure functions. The unit is the seed, that is the team: agents are averaged first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from marl_pr_common.runs import TEAM

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A mean with its bootstrap interval."""

    mean: float
    low: float
    high: float


def bootstrap_means(scores: Floats, rng: np.random.Generator, n_resamples: int = 10_000) -> Floats:
    """Means of resamples of the seeds, drawn with replacement.

    :param scores: (n_seeds, ...) one score, or one curve, per seed
    :param rng: source of the resamples
    :return: (n_resamples, ...)
    :raises ValueError: if there is no seed or a score is not finite
    """
    if scores.ndim < 1 or scores.shape[0] == 0:
        raise ValueError(f"scores of shape {scores.shape}: expected (n_seeds, ...) with at least one seed.")
    if not np.all(np.isfinite(scores)):
        raise ValueError("scores hold a value that is not finite; a mean over seeds would hide a diverged run.")
    n_seeds = scores.shape[0]
    # How often each seed was drawn: the mean of a resample is then one matrix product, whatever the curve's length.
    counts = rng.multinomial(n_seeds, np.full(n_seeds, 1.0 / n_seeds), size=n_resamples) / n_seeds
    return np.tensordot(counts, scores, axes=(1, 0))


def mean_interval(
    scores: Floats, rng: np.random.Generator, level: float = 0.95, n_resamples: int = 10_000
) -> tuple[Floats, Floats, Floats]:
    """Mean over seeds with its percentile bootstrap interval, point by point.

    :param scores: (n_seeds, ...)
    :param level: coverage of the interval, in (0, 1)
    :return: mean, low and high, each of shape (...); with one seed all three are that seed's score
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level!r}: expected a number in (0, 1), for instance 0.95.")
    resampled = bootstrap_means(scores, rng, n_resamples)
    low, high = np.quantile(resampled, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    return np.mean(scores, axis=0), np.asarray(low), np.asarray(high)


def scalar_interval(scores: Floats, rng: np.random.Generator, level: float = 0.95) -> Interval:
    """:func:`mean_interval` of one score per seed.

    :param scores: (n_seeds,)
    """
    mean, low, high = mean_interval(scores, rng, level)
    return Interval(float(mean), float(low), float(high))


def paired_difference(scores: Floats, reference: Floats, rng: np.random.Generator, level: float = 0.95) -> Interval:
    """Mean over seeds of ``scores - reference`` with its percentile bootstrap interval; seeds are resampled in pairs.

    :param scores: (n_seeds,)
    :param reference: (n_seeds,) the same seeds in the same order
    """
    if scores.shape != reference.shape or scores.ndim != 1:
        raise ValueError(f"shapes {scores.shape} and {reference.shape}: expected two of (n_seeds,), seed by seed.")
    return scalar_interval(scores - reference, rng, level)


def area_under_curve(steps: npt.NDArray[np.integer], curves: Floats) -> Floats:
    """Area under each curve by the trapezoidal rule, divided by the length of the step axis.

    The result has the unit of the curve: it is the mean height over training, so budgets of different length compare.

    :param steps: (n_points,) env steps, increasing
    :param curves: (..., n_points)
    :return: (...)
    :raises ValueError: with fewer than two points, or steps that do not increase
    """
    if steps.ndim != 1 or len(steps) < 2 or curves.shape[-1] != len(steps):
        raise ValueError(f"steps {steps.shape}, curves {curves.shape}: expected (n_points,) and (..., n_points), >= 2.")
    if np.any(np.diff(steps) <= 0):
        raise ValueError("steps must increase: each evaluation comes once and later than the one before.")
    widths = np.diff(steps).astype(np.float64)
    return np.asarray(np.sum(widths * (curves[..., 1:] + curves[..., :-1]) / 2.0, axis=-1) / widths.sum())


class TeamCurves(NamedTuple):
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


def team_curves(results: pd.DataFrame, arm: str, task: str, metric: str = "eval/return") -> TeamCurves:
    """Average the agents of each seed and line the seeds up; points that a seed lacks are left out for all.

    :param results: a table in the schema of ``runs``
    :raises ValueError: if the arm has no such rows, or its seeds share no evaluation point
    """
    chosen = results.query("arm == @arm and task == @task and metric == @metric")
    per_agent = chosen[chosen["agent"] != TEAM]
    if chosen.empty:
        known = ", ".join(sorted(results["metric"].unique()))
        raise ValueError(f"No rows for arm={arm!r}, task={task!r}, metric={metric!r}. Metrics there: {known}.")
    rows = chosen if per_agent.empty else per_agent
    broken = rows[~np.isfinite(rows["value"])]
    if len(broken):
        runs = ", ".join(sorted(broken["run"].unique()))
        raise ValueError(f"{metric} is not finite in {runs}: the run diverged. Leave it out by name, and say so.")
    table = rows.pivot_table(index="seed", columns="env_steps_per_agent", values="value", aggfunc="mean", dropna=False)
    table = table.dropna(axis="columns")
    if table.shape[1] == 0:
        raise ValueError(f"The seeds of arm={arm!r} share no evaluation point: they were evaluated at different steps.")
    totals = rows.groupby("env_steps_per_agent")["total_env_steps"].max().loc[table.columns]
    n_agents = 1 if per_agent.empty else int(per_agent["agent"].nunique())
    return TeamCurves(
        seeds=table.index.to_numpy(dtype=np.int64),
        env_steps_per_agent=table.columns.to_numpy(dtype=np.int64),
        total_env_steps=totals.to_numpy(dtype=np.int64),
        curves=table.to_numpy(dtype=np.float64),
        n_agents=n_agents,
    )
