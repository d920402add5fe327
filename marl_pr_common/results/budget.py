"""Runs of different lengths, cut at one budget."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

import numpy as np
import pandas as pd

EPISODES = "rollout/episode_return"
"""A value for each training episode: a log ends with the last whole one, up to an episode of every environment before
its run does."""
ENVIRONMENTS = "rollout/environments"
"""How many environments a log of episodes is of, where there are several."""
FEW = 5
"""Runs that a message names."""


def within(
    results: pd.DataFrame, budget: int, metric: str = "eval/return", exclude: Collection[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """The rows up to ``budget`` env steps of each agent, and a note on what was cut.

    :param results: table in the schema of ``runs``
    :param exclude: names of runs that may be shorter
    :raises ValueError: if a run ends before the budget by an evaluation or more, or has no evaluation within it
    """
    runs = results[(results["metric"] == metric) & ~results["run"].isin(exclude)]
    steps = runs.groupby("run", sort=False)["env_steps_per_agent"]
    ends = steps.agg(first="min", last="max", gap=spacing)
    ends["gap"] = unwritten(results, metric)
    late, least = ends["first"][ends["first"] > budget], int(ends["last"].min())
    apart = "Report tasks of such different lengths apart." if least < ends["first"].max() else ""
    if len(late):
        raise ValueError(
            f"budget={budget}: no evaluation within it in {_some(late, 'first at')}. {apart or 'Give a larger one.'}"
        )
    short = ends["last"][ends["last"] + ends["gap"] <= budget]
    if len(short):
        raise ValueError(
            f"budget={budget}: these runs have fewer env steps{'' if alone(runs) else ' per agent'}: "
            f"{_some(short, 'ends at')}. {apart or f'Give --budget {least}, or leave them out by name: --exclude.'}"
        )
    cut = ends.index[ends["last"] > budget]
    note = f"{len(cut)} of {len(ends)} runs went on; all are cut at {budget:,} env steps of each agent, as asked."
    last = steps.apply(lambda its: its[its <= budget].max())
    if last.min() < budget:
        said = f"{last.min():,}" if last.min() == last.max() else f"{last.min():,} to {last.max():,}"
        note = f"{note} The last evaluations within that are at {said}: that is where returns are compared."
    return results[results["env_steps_per_agent"] <= budget], [note] * (len(cut) > 0)


def _some(steps: pd.Series, what: str) -> str:
    names = ", ".join(f"{run} ({what} {at:,})" for run, at in steps.iloc[:FEW].items())
    return names + (f" and {len(steps) - FEW} more" if len(steps) > FEW else "")


def spacing(steps: pd.Series) -> float:
    """Typical number of steps between two evaluations of a run; 1 if there is only one."""
    gaps = np.diff(np.unique(steps.to_numpy()))
    return float(np.median(gaps)) if len(gaps) else 1.0


def unwritten(results: pd.DataFrame, metric: str) -> pd.Series:
    """Run -> the steps of each agent that the log of a whole run may lack at its end."""
    steps = results[results["metric"] == metric].groupby("run", sort=False)["env_steps_per_agent"]
    if metric != EPISODES:
        return steps.agg(spacing)
    environments = results[results["metric"] == ENVIRONMENTS].groupby("run")["value"].max()
    return steps.agg(_longest) * environments.reindex(steps.groups).fillna(1.0)


def _longest(steps: pd.Series) -> float:
    """The most steps between two entries of a run; up to its only one."""
    at = np.unique(steps.to_numpy())
    return float(np.diff(at).max()) if len(at) > 1 else float(at[0])


def end(rows: pd.DataFrame, steps: str, slack: pd.Series | None = None) -> tuple[int, float]:
    """The last evaluation of an arm, and the typical distance of its evaluations; of episodes, what a log may lack.

    :param slack: of episodes, see :func:`unwritten`
    """
    run, last = rows[rows["run"] == rows["run"].iloc[0]], int(rows[steps].max())
    if slack is None:
        return last, spacing(run[steps])
    return last, float(slack[rows["run"].unique()].max()) * last / max(1, rows["env_steps_per_agent"].max())


def alike(ends: list[tuple[int, float]], slack: pd.Series | None) -> bool:
    """Equal but for less than one evaluation: hosts that count whole episodes end a little late, or log them early."""
    lasts, gaps = zip(*ends, strict=True)
    return bool(max(lasts) - min(lasts) < max(1.0, min(gaps) if slack is None else max(gaps)))


def what_equals(
    results: pd.DataFrame, metric: str, exclude: Collection[str], rows: pd.DataFrame, differences: Sequence[str]
) -> str:
    """How budgets become equal, if they are among what differs, and cutting makes them so.

    :param results: as :func:`within` takes them
    :param rows: the evaluations that were compared
    """
    if not any(difference.startswith("budget on") for difference in differences):
        return "."
    shortest, found = int(rows.groupby("run")["env_steps_per_agent"].max().min()), "."
    with suppress(ValueError):
        within(results, shortest, metric, exclude)
        found = f"; --budget {shortest} cuts all of them to the steps of the shortest."
    return found if alone(rows) else f"{found} Equal budgets are equal per agent, or in total."


def alone(rows: pd.DataFrame) -> bool:
    """Whether no run has more than one agent, so that no word need be about teams."""
    return bool((rows["env_steps_per_agent"] == rows["total_env_steps"]).all())
