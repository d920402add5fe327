"""Every number of a report, task by task: computed once, then worded, tabulated and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from marl_pr_common.config.arrays import Floats
from marl_pr_common.config.mapping import suggest
from marl_pr_common.report.context import ReportContext
from marl_pr_common.report.figures import ArmLabel, Curve, with_interval
from marl_pr_common.report.numbers import span
from marl_pr_common.report.scoring import (
    STEPS,
    Scored,
    differences,
    equal_per_agent,
    estimates,
    improvement,
    scores_of,
)
from marl_pr_common.report.trust import last_weights
from marl_pr_common.results.comparable import comparable
from marl_pr_common.results.stats import (
    MIN_SEEDS_FOR_INTERVAL,
    Aligned,
    Difference,
    Interval,
    Profile,
    Reached,
    TeamCurves,
    aligned,
    levels,
    performance_profile,
    steps_to_threshold,
    team_curves,
)
from marl_pr_common.results.stats.curves import team_size

N_RESAMPLES = 2_000
"""Of bands, which have many points; single numbers are resampled 10,000 times."""


@dataclass(frozen=True)
class ArmResult:
    """One arm on one task."""

    label: ArmLabel
    curve: Curve
    """As it was evaluated: what is drawn."""
    data: TeamCurves
    """Read off at the steps at which the arms of the task are compared: what is scored."""
    scores: Scored
    intervals: Mapping[str, Mapping[str, Interval]]
    """final, area -> mean, median, IQM -> interval; empty below five seeds"""
    updates: int
    """Of each agent; -1 if unknown."""
    wall: Floats
    """(n_seeds,) seconds of training of each run; NaN if unknown"""
    cpu: Floats
    """(n_seeds,) seconds of CPU"""


@dataclass(frozen=True)
class TaskResult:
    """All arms on one task."""

    task: str
    arms: Mapping[str, ArmResult]
    reference: str | None
    """None if the arm of reference was not run on this task."""
    improvement: Mapping[str, Interval]
    """Arm but the reference -> probability that its final return is above one of the reference; ends NaN below five
    seeds"""
    differences: Mapping[tuple[str, str], Difference]
    """(arm, key of ``DIFFERENCES``) -> arm minus reference, seed by seed, Holm's procedure over all; from ten on"""
    profiles: Mapping[str, Profile]
    threshold: float | None
    reached: Mapping[str, Reached]
    lined_up: Aligned | None = None
    """How arms that were evaluated at different steps are compared."""

    @property
    def equal_in_total(self) -> list[str]:
        """Arms whose agents took another number of steps than the reference's: only the totals are equal."""
        if self.reference is None:
            return []
        base = self.arms[self.reference].curve.data
        return [arm for arm, result in self.arms.items() if not equal_per_agent(result.curve.data, base)]


@dataclass(frozen=True)
class Measured:
    """All tasks."""

    tasks: Mapping[str, TaskResult]
    labels: Mapping[str, ArmLabel]
    reference: str
    engines: tuple[str, ...]
    evaluations: tuple[str, ...]
    """Protocols of evaluation, in words, as far as they are known."""
    across: Mapping[str, Interval]
    """Arm -> probability of improvement as a mean over all tasks; empty unless there are two tasks or more"""
    trust: Mapping[str, Mapping[str, Floats]]
    """Task -> arm with trust -> its last weights, mean over seeds, (n_agents, n_agents)"""
    remarks: tuple[str, ...]
    """What :func:`comparable` says about runs: left out, cut, seeds that are missing."""
    diverged: tuple[str, ...] = ()
    """Runs that were left out by name and have values that are not finite."""

    @property
    def alone(self) -> bool:
        """Whether every arm is one agent: nobody needs words for teams then."""
        return all(arm.data.n_agents == 1 for task in self.tasks.values() for arm in task.arms.values())


def measure(results: pd.DataFrame, context: ReportContext) -> Measured:
    """Compute everything that a report shows.

    :param results: table in the schema of ``runs``
    :raises NotComparableError: if arms differ in budget, version of the task, engine or evaluation
    :raises ValueError: if there is nothing to report, a run diverged, or the arm of reference has no results
    """
    checked = comparable(results, context.metric, context.exclude, context.reference)
    rows = checked.results[checked.results["metric"] == context.metric]
    names = label_arms(rows, {}, context.metric) | dict(context.labels)
    arms = list(dict.fromkeys(rows["arm"]))
    labels = {arm: ArmLabel(names[arm], index) for index, arm in enumerate(arms)}
    reference = arms[0] if context.reference is None else context.reference
    if reference not in labels:
        raise ValueError(
            f"reference={reference!r}: expected an arm with results, {', '.join(arms)}.{suggest(reference, arms)}"
        )
    rng = np.random.default_rng(context.seed)
    tasks = {
        str(task): _task(str(task), here, labels, reference, context, rng)
        for task, here in rows.groupby("task", sort=False)
    }
    across = _across(tasks, reference, rng)
    engines, protocols = (tuple(filter(None, dict.fromkeys(rows[name]))) for name in ("engine", "evaluation"))
    trust = last_weights(checked.results)
    bad = results.loc[(results["metric"] == context.metric) & ~np.isfinite(results["value"]), "run"]
    return Measured(tasks, labels, reference, engines, protocols, across, trust, checked.notes, tuple(bad.unique()))


def label_arms(results: pd.DataFrame, names: Mapping[str, str], metric: str = "eval/return") -> dict[str, str]:
    """Arm -> its name for readers, that of the column ``arm`` if ``names`` has none; with its number of agents, unless
    all are one agent."""
    sizes: dict[str, list[int]] = {}
    for (arm, _), rows in results[results["metric"] == metric].groupby(["arm", "task"], sort=False):
        sizes.setdefault(str(arm), []).append(team_size(rows))
    if all(set(found) == {1} for found in sizes.values()):
        return {arm: names.get(arm, arm) for arm in sizes}
    counts = {arm: f"{span(found)} agent{'' if set(found) == {1} else 's'}" for arm, found in sizes.items()}
    return {arm: f"{names.get(arm, arm)}, {counts[arm]}" for arm in sizes}


def _task(
    task: str,
    rows: pd.DataFrame,
    labels: Mapping[str, ArmLabel],
    reference: str,
    context: ReportContext,
    rng: np.random.Generator,
) -> TaskResult:
    parts = {str(arm): part for arm, part in rows.groupby("arm", sort=False)}
    own = {arm: team_curves(parts[arm], arm, task, context.metric) for arm in labels if arm in parts}
    lined_up = _lined_up(own, reference)
    at = {} if lined_up is None else lined_up.steps
    data = {arm: team_curves(parts[arm], arm, task, context.metric, at[arm]) if arm in at else own[arm] for arm in own}
    arms = {arm: _arm(parts[arm], labels[arm], own[arm], data[arm], rng) for arm in own}
    finals = {arm: result.scores["final"][:, None] for arm, result in arms.items()}
    known = reference if reference in arms else None
    heights = levels(*finals.values())
    threshold = context.thresholds.get(task)
    reached = {} if threshold is None else {arm: steps_to_threshold(r.data, threshold) for arm, r in arms.items()}
    like = [arm for arm in arms if known is None or equal_per_agent(own[arm], own[known])]
    steps = {arm: {STEPS: found.env_steps_per_agent} for arm, found in reached.items() if arm in like}
    return TaskResult(
        task=task,
        arms=arms,
        reference=known,
        improvement={arm: improvement(finals[arm], finals[known], rng) for arm in arms if known and arm != known},
        differences=differences({a: (r.data, {**r.scores, **steps.get(a, {})}) for a, r in arms.items()}, known, rng),
        profiles={arm: _profile(final, heights, rng) for arm, final in finals.items()},
        threshold=threshold,
        reached=reached,
        lined_up=lined_up,
    )


def _lined_up(own: Mapping[str, TeamCurves], reference: str) -> Aligned | None:
    if reference not in own:  # nothing is compared
        return None
    return aligned(own, reference, tuple(arm for arm in own if not equal_per_agent(own[arm], own[reference])))


def _arm(rows: pd.DataFrame, label: ArmLabel, own: TeamCurves, data: TeamCurves, rng: np.random.Generator) -> ArmResult:
    """
    :param own: its curves as it was evaluated
    :param data: where arms are compared
    """
    curve = with_interval(own, rng, N_RESAMPLES)
    curve = replace(curve, cpu=_cpu(rows, curve))
    scored = scores_of(data)
    ends = rows.groupby("seed")[["wall_time", "cpu_time", "updates"]].max()
    return ArmResult(
        label=label,
        curve=curve,
        data=data,
        scores=scored,
        intervals={name: estimates(values, rng) for name, values in scored.items()},
        updates=int(ends["updates"].max()),
        wall=ends["wall_time"].to_numpy(),
        cpu=ends["cpu_time"].to_numpy(),
    )


def _profile(final: Floats, at: Floats, rng: np.random.Generator) -> Profile:
    profile = performance_profile(final, at, rng)
    if len(final) >= MIN_SEEDS_FOR_INTERVAL:
        return profile
    return profile._replace(low=np.full(len(at), np.nan), high=np.full(len(at), np.nan))


def _cpu(rows: pd.DataFrame, curve: Curve) -> Floats | None:
    times = rows.groupby("env_steps_per_agent")["cpu_time"].mean()
    if not np.isfinite(times.to_numpy()).all() or times.iloc[-1] <= 0:
        return None
    return np.asarray(np.interp(curve.data.env_steps_per_agent, times.index, times))


def _across(tasks: Mapping[str, TaskResult], reference: str, rng: np.random.Generator) -> dict[str, Interval]:
    """Probability of improvement over all tasks, for the arms that were run on all of them."""
    everywhere = [arm for arm in next(iter(tasks.values())).arms if all(arm in task.arms for task in tasks.values())]
    if len(tasks) < 2 or reference not in everywhere:
        return {}
    tables = {}
    for arm in everywhere:
        results = [task.arms[arm] for task in tasks.values()]
        seeds = set(results[0].data.seeds).intersection(*(result.data.seeds for result in results))
        columns = [result.scores["final"][np.isin(result.data.seeds, list(seeds))] for result in results]
        if seeds:
            tables[arm] = np.stack(columns, axis=1)
    if reference not in tables:
        return {}
    return {arm: improvement(table, tables[reference], rng) for arm, table in tables.items() if arm != reference}
