"""Runs of different lengths, cut at one budget."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from marl_pr_common.results.comparable import spacing


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
    if late := [f"{run} (first at {first:,})" for run, first in ends["first"].items() if first > budget]:
        raise ValueError(f"budget={budget}: no evaluation within it in {', '.join(late)}. Give a larger one.")
    short = ends[ends["last"] + ends["gap"] <= budget]
    if len(short):
        names = ", ".join(f"{run} (ends at {last:,})" for run, last in short["last"].items())
        raise ValueError(
            f"budget={budget}: these runs have fewer env steps per agent: {names}. Give --budget "
            f"{int(ends['last'].min())}, or leave them out by name: --exclude."
        )
    cut = ends.index[ends["last"] > budget]
    note = f"{len(cut)} of {len(ends)} runs went on; all are cut at {budget:,} env steps of each agent, as asked."
    return results[results["env_steps_per_agent"] <= budget], [note] * (len(cut) > 0)
