"""What may be compared, and what is refused. Called before anything is averaged, drawn or put in words.

1. runs that were excluded by name, have no evaluations or were not run to the end are left out, each with a note
2. runs that went on beyond the budget of their arm are cut to it, with a note
3. a value that is not finite is an error: a diverged run is a result, and leaving it out must be the user's own word
4. arms that differ in budget, version of the task, engine or evaluation are refused, with every difference named
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marl_pr_common.config.mapping import suggest
from marl_pr_common.results.budget import EPISODES, alike, alone, end, unwritten, what_equals
from marl_pr_common.results.stats.curves import team_size
from marl_pr_common.results.stats.limits import MIN_SEEDS_FOR_INTERVAL
from marl_pr_common.runs.table import check_columns, check_once

STEPS = ("env_steps_per_agent", "total_env_steps")
_VERSION = re.compile(r"[-_]v\d+$")


class NotComparableError(ValueError):
    """Arms differ in more than the algorithm."""


@dataclass(frozen=True)
class Comparable:
    """Results that may be compared, and what a reader must know about them."""

    results: pd.DataFrame
    """In the schema of ``runs``, without what was left out."""
    notes: tuple[str, ...]
    """One sentence each; runs are named."""


def comparable(
    results: pd.DataFrame, metric: str = "eval/return", exclude: Collection[str] = (), reference: str | None = None
) -> Comparable:
    """Leave out what is no result, and refuse what cannot be compared.

    :param results: table in the schema of ``runs``
    :param exclude: names of runs to leave out, for instance diverged ones; each is named in the notes
    :param reference: the arm whose budget the others must have, per agent or in total; None: the first one
    :raises NotComparableError: if arms differ in budget, version of the task, engine or evaluation
    :raises ValueError: if there is no ``metric``, a run of ``exclude`` is unknown, or a value is not finite
    """
    check_columns(results.columns, "results")
    check_once(results)
    given = results
    results, notes = _without(results, exclude)
    results, more = _with_metric(results, metric)
    notes += more
    _require_finite(results[results["metric"] == metric], metric)
    results, more = _finished(results, metric)
    notes += more
    evaluations = results[results["metric"] == metric]
    differences = [*_versions(evaluations)]
    against = reference or str(evaluations["arm"].iloc[0])
    somewhere = bool((evaluations["arm"] == against).any())
    slack = unwritten(results, metric) if metric == EPISODES else None
    for task, rows in evaluations.groupby("task", sort=False):
        differences += _differences(str(task), rows, against, somewhere, slack)
    if differences:
        raise NotComparableError(
            "These arms cannot be compared:\n"
            + "\n".join(f"- {difference}" for difference in differences)
            + f"\nRun them alike, or report them apart{what_equals(given, metric, exclude, evaluations, differences)}"
        )
    return Comparable(results, tuple(notes + _remarks(evaluations)))


def _without(results: pd.DataFrame, exclude: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    known = set(results["run"].unique())
    for name in exclude:
        if name not in known:
            hint = suggest(name, known)
            raise ValueError(f"exclude names {name!r}, which is none of the {len(known)} runs.{hint}")
    notes = [f"Run {name} was left out by request." for name in sorted(exclude)]
    return results[~results["run"].isin(exclude)] if exclude else results, notes


def _with_metric(results: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, list[str]]:
    having = set(results.loc[results["metric"] == metric, "run"].unique())
    if not having:
        known = sorted(results["metric"].unique())
        near = suggest(metric, known) or (f" Give --metric {known[0]}." if len(known) == 1 else "")
        raise ValueError(f"No run has {metric!r}. Metrics there: {', '.join(known) or 'none'}.{near}")
    without = sorted(set(results["run"].unique()) - having)
    notes = [f"Run {name} has no {metric} and is left out." for name in without]
    return results[results["run"].isin(having)] if without else results, notes


def _require_finite(rows: pd.DataFrame, metric: str) -> None:
    broken = rows[~np.isfinite(rows["value"])]
    if broken.empty:
        return
    first = broken.groupby("run")["env_steps_per_agent"].min()
    names = ", ".join(f"{name} (from {steps:,} steps per agent on)" for name, steps in first.items())
    raise ValueError(
        f"{metric} is not finite in {names}: the run diverged, or was not recorded. A mean without it would flatter "
        f"its arm. To leave it out all the same, name it: --exclude {' '.join(sorted(first.index))} (in Python "
        f"exclude={sorted(first.index)!r}); the report will say so."
    )


def _finished(results: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, list[str]]:
    """Without unfinished runs, and with longer ones cut to the budget that most runs of their arm have."""
    keys = ["arm", "task", "run"]
    by_run = results[results["metric"] == metric].groupby(keys, sort=False)["env_steps_per_agent"]
    runs = by_run.agg(last="max").reset_index()
    runs["gap"] = runs["run"].map(unwritten(results, metric))
    runs["limit"], notes, per_agent = np.inf, [], "" if alone(results) else " per agent"
    for (arm, task), arm_runs in runs.groupby(["arm", "task"], sort=False):
        gaps, lasts = arm_runs["gap"], np.sort(arm_runs["last"])
        budget = int(arm_runs["last"].mode().max() if len(set(lasts)) < len(lasts) else lasts[len(lasts) // 2])
        tolerance = gaps.max() if metric == EPISODES else gaps.median()
        for index, run, last in zip(arm_runs.index, arm_runs["run"], arm_runs["last"], strict=True):
            if last <= budget - tolerance:
                runs.loc[index, "limit"] = -np.inf
                notes.append(
                    f"Run {run} ended at {last:,} of {budget:,} env steps{per_agent}: it is unfinished and left out."
                )
            elif last >= budget + tolerance:
                runs.loc[index, "limit"] = budget
                notes.append(
                    f"Run {run} went on to {last:,} env steps{per_agent}; it is cut to the {budget:,} of the other "
                    f"runs of {arm} on {task}."
                )
    if notes:
        limits = results[keys].merge(runs, on=keys, how="left")["limit"].to_numpy()
        results = results[results["env_steps_per_agent"].to_numpy() <= limits]
    return results, notes


def _versions(rows: pd.DataFrame) -> Iterator[str]:
    """Tasks that are two versions of one, given to different arms."""
    tasks = pd.Series(rows["task"].unique())
    for base, versions in tasks.groupby(tasks.str.replace(_VERSION, "", regex=True)):
        arms = {task: sorted(rows.loc[rows["task"] == task, "arm"].unique()) for task in versions}
        if len({tuple(names) for names in arms.values()}) > 1:
            found = "; ".join(f"{task}: {', '.join(names)}" for task, names in arms.items())
            yield f"version of {base}: the arms ran different ones ({found})"


def _differences(
    task: str, rows: pd.DataFrame, reference: str, somewhere: bool, slack: pd.Series | None
) -> Iterator[str]:
    """What arms differ in on one task, each as a phrase.

    :param slack: of episodes, what the log of each run may lack
    """
    arms = {str(arm): part for arm, part in rows.groupby("arm", sort=False)}
    for arm, part in arms.items():
        yield from _unlike(f"{arm} on {task}", part)
    for column in ("engine", "evaluation"):
        found = {arm: sorted(set(part[column].unique()) - {""}) for arm, part in arms.items()}
        if len({value for values in found.values() for value in values}) > 1:
            values = "; ".join(f"{arm}: {' and '.join(map(repr, value)) or 'unknown'}" for arm, value in found.items())
            yield f"{column} on {task}: {values}"
    groups = _compared(arms, reference, somewhere)
    if not all(any(alike([end(one, steps, slack) for one in group], slack) for steps in STEPS) for group in groups):
        lone = alone(rows)
        budgets = "; ".join(
            f"{arm}: {end(part, STEPS[0])[0]:,} env steps"
            + ("" if lone else f" per agent, {end(part, STEPS[1])[0]:,} in total")
            for arm, part in arms.items()
        )
        yield f"budget on {task}: {budgets}"


def _compared(arms: Mapping[str, pd.DataFrame], reference: str, somewhere: bool) -> list[list[pd.DataFrame]]:
    """Groups of arms that must have one budget, per agent or in total: each with the reference; all if there is none.

    :param somewhere: whether the reference ran on any task; where it did not, nothing is compared
    """
    if reference not in arms:
        return [[part] for part in arms.values()] if somewhere else [list(arms.values())]
    return [[arms[reference], part] for part in arms.values()]


def _unlike(what: str, rows: pd.DataFrame) -> Iterator[str]:
    """What must be equal in all runs of one arm: its number of agents; and each seed comes once."""
    named = rows.drop_duplicates(["run", "seed"])
    for seed in named.loc[named["seed"].duplicated(), "seed"].unique():
        names = ", ".join(sorted(named.loc[named["seed"] == seed, "run"]))
        yield f"seed {seed} of {what} comes twice: runs {names}"
    sizes = {str(run): team_size(part) for run, part in rows.groupby("run", sort=False)}
    if len(set(sizes.values())) > 1:
        yield f"number of agents of {what}: {', '.join(f'{run} has {size}' for run, size in sizes.items())}"


def _copies(what: str, rows: pd.DataFrame) -> list[str]:
    """Whether seeds have one curve: of noise no two have, of shares of some episodes some, unless of many values."""
    found: dict[tuple[float, ...], list[int]] = {}
    for seed, part in rows.groupby("seed"):
        curve = tuple(part.sort_values(["agent", "env_steps_per_agent"])["value"])
        fine = any(abs(100 * value - round(100 * value)) > 1e-6 for value in curve)
        if len(set(curve)) > (1 if fine else max(4, len(curve) // 2)):
            found.setdefault(curve, []).append(int(seed))
    return [
        f"Seeds {', '.join(map(str, seeds))} of {what} have the same evaluations, value by value. They count as "
        "independent here; if they are copies, or the seed changes nothing, leave all but one out: --exclude."
        for seeds in found.values()
        if len(seeds) > 1
    ]


def _remarks(rows: pd.DataFrame) -> list[str]:
    """What a reader should know about results that may be compared."""
    notes = []
    for task, here in rows.groupby("task", sort=False):
        seeds = {str(arm): set(part["seed"]) for arm, part in here.groupby("arm", sort=False)}
        everything = set().union(*seeds.values())
        for arm, own in seeds.items():
            notes += _copies(f"{arm} on {task}", here[here["arm"] == arm])
            if missing := sorted(everything - own):
                notes.append(
                    f"{arm} on {task} lacks seed{'s' if len(missing) > 1 else ''} {', '.join(map(str, missing))}: "
                    "differences are taken over the seeds that both arms have."
                )
            if len(own) == 1:
                notes.append(f"{arm} on {task} is one single run: only its points are shown.")
            elif len(own) < MIN_SEEDS_FOR_INTERVAL:
                notes.append(f"{arm} on {task} has {len(own)} seeds: its points are shown and no interval.")
        if len(here["evaluation"].unique()) > 1:
            unknown = ", ".join(sorted(here.loc[here["evaluation"] == "", "arm"].unique()))
            notes.append(f"How {unknown} was evaluated on {task} is not recorded; see to it that it was as the others.")
    arms = set(rows["arm"].unique())
    for task, here in rows.groupby("task", sort=False):
        if absent := sorted(arms - set(here["arm"].unique())):
            notes.append(f"{', '.join(absent)} was not run on {task}.")
    return notes
