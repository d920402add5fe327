"""The tables of a report: every number with its interval, below five seeds the values of the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from marl_pr_common.config.arrays import Floats
from marl_pr_common.report.context import ReportContext
from marl_pr_common.report.document import Table
from marl_pr_common.report.measure import Measured, TaskResult
from marl_pr_common.report.numbers import difference_text, number, span
from marl_pr_common.report.scoring import DIFFERENCES, DIFFERENCES_ALONE, SCORES, Scored
from marl_pr_common.report.sharing import EqualBudget
from marl_pr_common.report.wording import CENSORED, COUNTS, HOW_DECIDED, at_other_steps
from marl_pr_common.results.stats import (
    MIN_SEEDS_FOR_DIFFERENCE,
    MIN_SEEDS_FOR_INTERVAL,
    Interval,
    Reached,
    fraction_reached,
    median_steps,
)

UNKNOWN = "unknown"
_FEW = f"from {MIN_SEEDS_FOR_INTERVAL} seeds on"
_DIFFERENCES = tuple(f"{name}, difference" for name in SCORES.values())


def of_task(task: TaskResult, alone: bool, rng: np.random.Generator) -> list[Table]:
    """Budget and scores; against the reference; steps to the threshold; time.

    :param alone: whether all arms are one agent, and nobody needs columns for teams
    """
    tables = [_scores(task, alone)]
    if task.reference is not None and len(task.arms) > 1:
        tables.append(_against(task, DIFFERENCES_ALONE if alone else DIFFERENCES))
    if task.reached:
        tables.append(_threshold(task, alone, rng))
    return [*tables, _time(task)]


def estimate(intervals: Mapping[str, Mapping[str, Interval]], scored: Scored, score: str, name: str) -> str:
    """A cell: the estimate with its interval, or the values of the seeds."""
    if score not in scored:
        return "one evaluation only"
    if name not in intervals[score]:
        return ", ".join(number(value) for value in scored[score]) if name == "mean" else _FEW
    interval = intervals[score][name]
    return f"{number(interval.value)} [{number(interval.low)}, {number(interval.high)}]"


def _scores(task: TaskResult, alone: bool) -> Table:
    counts = ("seeds", "env steps") if alone else ("agents", "seeds", "env steps per agent", "env steps in total")
    header = ("arm", *counts, "updates" if alone else "updates of each agent")
    columns = (("final", "mean"), ("final", "IQM"), ("area", "mean"), ("area", "IQM"))
    rows = []
    for arm in task.arms.values():
        data = arm.data
        budget = (f"{len(data.seeds):,}", f"{data.env_steps_per_agent[-1]:,}")
        updates = f"{arm.updates:,}" if arm.updates >= 0 else UNKNOWN
        cells = [estimate(arm.intervals, arm.scores, score, name) for score, name in columns]
        whole = budget if alone else (f"{data.n_agents:,}", *budget, span(data.last_totals))
        rows.append((arm.label.text, *whole, updates, *cells))
    return Table(
        title="Budget and scores",
        header=(*header, *(f"{SCORES[score]}, {name}" for score, name in columns)),
        rows=rows,
        note="In brackets: 95 % percentile bootstrap interval over seeds, 10,000 resamples. Below "
        f"{MIN_SEEDS_FOR_INTERVAL} seeds: one value per seed." + " Agents of a team are averaged first." * (not alone),
    )


def _against(task: TaskResult, names: Mapping[str, str]) -> Table:
    assert task.reference is not None
    reference = task.arms[task.reference].label.text
    told = list(names if task.reached else SCORES)
    rows = []
    for name, arm in task.arms.items():
        if name != task.reference:
            differences = [difference_text(task.differences.get((name, score))) for score in told]
            what = f"{arm.label.text} ({at_other_steps(task, name)})" if name in task.equal_in_total else arm.label.text
            rows.append((what, probability(task.improvement[name]), *differences))
    return Table(
        title=f"Against {reference}",
        header=("arm", "probability of improvement", *(f"{names[name]}, difference" for name in told)),
        rows=rows,
        note=f"{HOW_DECIDED}{CENSORED if task.reached else ''}"
        if task.differences
        else f"Differences are told from {MIN_SEEDS_FOR_DIFFERENCE} common seeds on.",
    )


def probability(interval: Interval) -> str:
    """A probability of improvement; without its interval where there are too few seeds."""
    if not np.isfinite(interval.low):
        return f"{interval.value:.2f}"
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def _threshold(task: TaskResult, alone: bool, rng: np.random.Generator) -> Table:
    rows = []
    for name, reached in task.reached.items():
        part = fraction_reached(reached.reached)
        count = f"{int(reached.reached.sum())} of {len(reached.reached)}"
        enough = len(reached.reached) >= MIN_SEEDS_FOR_INTERVAL
        share = f" [{part.low:.2f}, {part.high:.2f}]" if enough else ""
        medians = _medians(reached, rng)[: 1 if alone else 2]
        rows.append((task.arms[name].label.text, f"{count}{share}", *medians))
    counts = ("median env steps",) if alone else ("median env steps per agent", "median env steps in total")
    return Table(
        title=f"Steps to a return of {number(task.threshold or 0.0)}",
        header=("arm", "seeds that reached it", *counts),
        rows=rows,
        note="Seeds that never reached it count as not yet there at the end of their budget (Kaplan-Meier). In "
        "brackets: Wilson's interval of the share, and the bootstrap interval of the median.",
    )


def _medians(reached: Reached, rng: np.random.Generator) -> tuple[str, str]:
    texts = []
    for steps in (reached.env_steps_per_agent, reached.total_env_steps):
        interval = median_steps(steps, reached.reached, rng)
        low, high = (f"{end:,.0f}" if np.isfinite(end) else "beyond the budget" for end in interval[1:])
        enough = len(steps) >= MIN_SEEDS_FOR_INTERVAL
        known = enough and np.isfinite(interval.value)
        texts.append(_steps(interval.value) + (f" [{low}, {high}]" if known else ""))
    return texts[0], texts[1]


def _steps(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else "not reached by half"


def _time(task: TaskResult) -> Table:
    rows = [(arm.label.text, _seconds(arm.wall), _seconds(arm.cpu)) for arm in task.arms.values()]
    foreign = any(cpu == UNKNOWN != wall for _, wall, cpu in rows)
    counted = "counted where a log counts them, as EPyMARL's does" if foreign else "not counted"
    return Table(
        title="Time of a run",
        header=("arm", "on the clock", "CPU"),
        rows=rows,
        note=f"Mean over runs, and the shortest and longest. Evaluations are {counted}. What else the machine did at "
        "the time is in the time on the clock: it is no finding.",
    )


def _seconds(values: Floats) -> str:
    if not np.all(np.isfinite(values)) or not np.any(values > 0):
        return UNKNOWN
    return f"{values.mean():,.1f} s ({values.min():,.1f} to {values.max():,.1f})"


def of_equal_budget(task: TaskResult, budget: EqualBudget) -> Table:
    """All arms cut at one budget."""
    rows = []
    for name, arm in task.arms.items():
        if name not in budget.curves:
            rows.append((arm.label.text, *["no evaluation before it"] * 6))
            continue
        data = budget.curves[name]
        used = (f"{data.env_steps_per_agent[-1]:,}", span(data.last_totals))
        cells = [estimate(budget.intervals[name], budget.scores[name], score, "mean") for score in SCORES]
        told = [difference_text(budget.differences.get((name, score))) for score in SCORES]
        rows.append((arm.label.text, *used, *cells, *(["reference", ""] if name == task.reference else told)))
    return Table(
        title=f"{task.task}: {budget.budget:,} {COUNTS[budget.axis]}",
        header=("arm", "env steps per agent", "in total", *SCORES.values(), *_DIFFERENCES),
        rows=rows,
    )


def of_settings(measured: Measured, context: ReportContext) -> Table | None:
    """The settings in which the arms differ."""
    keys = list(dict.fromkeys(key for values in context.settings.values() for key in values))
    if not keys:
        return None
    rows = [(key, *(plain(context.settings.get(arm, {}).get(key, "")) for arm in measured.labels)) for key in keys]
    arms = [f"{label.text} ({arm})" for arm, label in measured.labels.items()]
    return Table("Settings of the arms", ("setting", *arms), rows)


def of_provenance(provenance: Mapping[str, Any]) -> list[Table]:
    """Versions, commit, hardware and the rest, one table each; nested mappings become rows."""
    tables = []
    single = []
    for key, value in provenance.items():
        if key in ("config", "command", "seed"):
            continue
        if isinstance(value, Mapping):
            rows = [(str(name), plain(item)) for name, item in value.items() if item is not None]
            tables.append(Table(_TITLES.get(key, key.capitalize()), ("", ""), rows))
        else:
            single.append((key, plain(value)))
    return [*tables, Table("Also recorded", ("", ""), single)] if single else tables


_TITLES = {"versions": "Versions of packages", "git": "Git", "hardware": "Hardware"}


def plain(value: object) -> str:
    """A setting as text."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(plain(item) for item in value)
    return UNKNOWN if value is None else str(value)
