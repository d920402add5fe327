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
from marl_pr_common.stats import Axis, Difference, Interval, TeamCurves, cut

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
    if len({arm.data.n_agents for arm in task.arms.values()}) < 2:
        return ()
    return tuple(_at_equal(task, axis, rng) for axis in AXES)


def _at_equal(task: TaskResult, axis: Axis, rng: np.random.Generator) -> EqualBudget:
    budget = min(int(getattr(arm.data, axis)[-1]) for arm in task.arms.values())
    starts = {name: int(getattr(arm.data, axis)[0]) for name, arm in task.arms.items()}
    curves = {name: cut(arm.data, budget, axis) for name, arm in task.arms.items() if starts[name] < budget}
    scored = {name: scores_of(data) for name, data in curves.items()}
    return EqualBudget(
        axis=axis,
        budget=budget,
        curves=curves,
        scores=scored,
        intervals={name: {key: estimates(values, rng) for key, values in own.items()} for name, own in scored.items()},
        differences=differences(
            {name: (curves[name], scored[name]) for name in curves},
            task.reference if task.reference in curves else None,
            rng,
        ),
    )
