"""One number per seed and task: the table that aggregates, profiles and probabilities of improvement start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from marl_pr_common.config.arrays import Floats
from marl_pr_common.results.stats.curves import Axis, TeamCurves, area_under_curve, cut, team_curves

Kind = Literal["final", "area"]


@dataclass(frozen=True)
class Scores:
    """The scores of one arm."""

    arm: str
    tasks: tuple[str, ...]
    seeds: npt.NDArray[np.int64]
    """(n_seeds,) those that every task has."""
    values: Floats
    """(n_seeds, n_tasks)"""

    def __post_init__(self) -> None:
        check_scores(self.values, f"values of arm={self.arm!r}")
        expected = (len(self.seeds), len(self.tasks))
        if self.values.shape != expected:
            swapped = " The axes are swapped: transpose it." if self.values.shape == expected[::-1] else ""
            raise ValueError(
                f"values of arm={self.arm!r} have the shape {self.values.shape}; {len(self.seeds)} seeds and "
                f"{len(self.tasks)} tasks make {expected}, (n_seeds, n_tasks).{swapped}"
            )


def check_scores(values: Floats, name: str = "values") -> None:
    """Raise ValueError unless ``values`` is (n_seeds, n_tasks), neither of them 0, and finite."""
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"{name} have the shape {values.shape}: expected (n_seeds, n_tasks), at least one of each.")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name} hold a value that is not finite: a run diverged. Leave it out by name, and say so.")


def scores(
    results: pd.DataFrame,
    arm: str,
    tasks: Sequence[str] | None = None,
    metric: str = "eval/return",
    kind: Kind = "final",
    budget: int | None = None,
    axis: Axis = "env_steps_per_agent",
) -> Scores:
    """Score every seed of ``arm`` on every task; the team's agents are averaged first.

    :param results: a table in the schema of ``runs``
    :param tasks: those of the arm by default; the seeds are those that all of them have
    :param kind: "final" is the last point of the learning curve, "area" its mean height over training
    :param budget: count only what came up to this many steps, interpolated; the whole curve by default
    :param axis: what ``budget`` counts: the steps of one agent, or of all together
    :raises ValueError: if the tasks share no seed, a value is not finite, or the budget is beyond a curve's end
    """
    if tasks is None:
        tasks = tuple(dict.fromkeys(results.loc[results["arm"] == arm, "task"]))
    if not tasks:
        raise ValueError(f"No rows for arm={arm!r}. Arms there: {', '.join(sorted(results['arm'].unique()))}.")
    mine = results[(results["arm"] == arm) & (results["metric"] == metric)]
    by_task = [team_curves(mine if len(mine) else results, arm, task, metric) for task in tasks]
    seeds = by_task[0].seeds
    for curves in by_task[1:]:
        seeds = np.intersect1d(seeds, curves.seeds)
    if len(seeds) == 0:
        raise ValueError(f"arm={arm!r}: no seed was run on all of {', '.join(tasks)}. Choose fewer tasks.")
    columns = [_score(curves, kind, budget, axis)[np.isin(curves.seeds, seeds)] for curves in by_task]
    return Scores(arm, tuple(tasks), seeds, np.stack(columns, axis=1))


def _score(curves: TeamCurves, kind: Kind, budget: int | None, axis: Axis) -> Floats:
    if kind not in ("final", "area"):
        raise ValueError(f"kind={kind!r}: expected 'final' or 'area'.")
    if budget is not None:
        curves = cut(curves, budget, axis)
    if kind == "final":
        return curves.curves[:, -1]
    return area_under_curve(curves.env_steps_per_agent, curves.curves)
