"""The effect of sharing the budget: arms at equal steps per agent, and at equal steps of all agents together.

A team of three takes three times the steps of one agent for the same number of steps per agent. Which count is fair
depends on what costs: time, if the agents act at once, or data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from marl_pr_common.report.measure import TaskResult
from marl_pr_common.report.scoring import Scored, differences, estimates, scores_of
from marl_pr_common.results.stats import Axis, Difference, Interval, TeamCurves, cut

AXES: tuple[Axis, Axis] = ("env_steps_per_agent", "total_env_steps")


@dataclass(frozen=True)
class EqualBudget:
    """All arms of a task, cut where the arm with the smallest budget ends."""

    axis: Axis
    budget: int
    curves: Mapping[str, TeamCurves]
    """Up to the budget, the last point read off there, linearly between evaluations."""
    scores: Mapping[str, Scored]
    intervals: Mapping[str, Mapping[str, Mapping[str, Interval]]]
    """arm -> final, area -> mean, median, IQM -> interval; empty below five seeds"""
    differences: Mapping[tuple[str, str], Difference]


def equal_budgets(task: TaskResult, rng: np.random.Generator) -> tuple[EqualBudget, ...]:
    """The comparison at equal steps per agent, and at equal steps in total; empty if the two are one."""
    data = [arm.data for arm in task.arms.values()]
    first = min(int(curves.env_steps_per_agent[-1]) for curves in data)
    totals = [np.interp(first, curves.env_steps_per_agent, curves.total_env_steps) for curves in data]
    if max(totals) - min(totals) <= 1.0:  # they are read off, and rounded
        return ()
    return tuple(_at_equal(task, axis, rng) for axis in AXES)


def _at_equal(task: TaskResult, axis: Axis, rng: np.random.Generator) -> EqualBudget:
    ends = {int(getattr(arm.data, axis)[-1]) for arm in task.arms.values()}
    return _as_it_is(task, axis) if len(ends) == 1 else _cut(task, axis, min(ends), rng)


def _as_it_is(task: TaskResult, axis: Axis) -> EqualBudget:
    """Nothing has to be cut: the numbers of the report, not those of another draw of resamples."""
    arms = task.arms.items()
    return EqualBudget(
        axis=axis,
        budget=int(getattr(next(iter(task.arms.values())).data, axis)[-1]),
        curves={name: arm.data for name, arm in arms},
        scores={name: arm.scores for name, arm in arms},
        intervals={name: arm.intervals for name, arm in arms},
        differences=task.differences,
    )


def _cut(task: TaskResult, axis: Axis, budget: int, rng: np.random.Generator) -> EqualBudget:
    early = {name: arm.data for name, arm in task.arms.items() if getattr(arm.data, axis)[0] < budget}
    # what ends there is not cut: its numbers are those of the report, not those of another draw of resamples
    whole = {name: task.arms[name] for name, data in early.items() if getattr(data, axis)[-1] == budget}
    curves = {name: data if name in whole else cut(data, budget, axis) for name, data in early.items()}
    scored = {name: whole[name].scores if name in whole else scores_of(data) for name, data in curves.items()}
    pairs = {name: (curves[name], scored[name]) for name in curves}
    return EqualBudget(
        axis=axis,
        budget=budget,
        curves=curves,
        scores=scored,
        intervals={
            name: whole[name].intervals if name in whole else {key: estimates(v, rng) for key, v in own.items()}
            for name, own in scored.items()
        },
        differences=differences(pairs, task.reference if task.reference in curves else None, rng),
    )
