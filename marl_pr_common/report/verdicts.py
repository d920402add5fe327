"""The first lines of a report: a verdict per arm and task, and whether its runs can carry one.

From ten common seeds on the calibrated exact test and its interval decide; below, no word ranks anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from marl_pr_common.config.arrays import Floats
from marl_pr_common.report.context import ReportContext
from marl_pr_common.report.document import Table
from marl_pr_common.report.measure import ArmResult, Measured, TaskResult
from marl_pr_common.report.numbers import interval_text, plural, span, two
from marl_pr_common.report.scoring import SCORES
from marl_pr_common.report.sharing import EqualBudget
from marl_pr_common.results.stats import MIN_SEEDS_FOR_DIFFERENCE, Difference, paired_difference

MIN_SEEDS_FOR_LEARNT = 6
"""With fewer seeds the exact interval has no ends: the range over seeds stands in its place."""
UNTRAINED = 0.02
"""A first evaluation within this part of the budget is one of untrained agents."""
_RECIPROCAL = re.compile(r"(?:^|[_+-]|td3|ddpg|sac)pr(?![a-z0-9])", re.IGNORECASE)
_NAMED = 4
"""So many runs are named in the first lines."""


def ordered(measured: Measured, context: ReportContext) -> list[str]:
    """The arms but the reference: those with reciprocity first."""
    first = _reciprocal(measured, context)
    return [*first, *(arm for arm in measured.labels if arm not in (measured.reference, *first))]


def _reciprocal(measured: Measured, context: ReportContext) -> list[str]:
    """The arms with reciprocity, known by their names, or else what readers call them, or else a kappa above 0."""
    arms = [arm for arm in measured.labels if arm != measured.reference]
    named = [arm for arm in arms if _RECIPROCAL.search(arm)]
    called = [arm for arm in arms if _RECIPROCAL.search(measured.labels[arm].text)]
    return named or called or [arm for arm in arms if _kappa(context.settings.get(arm, {})) > 0]


def _kappa(settings: Mapping[str, object]) -> float:
    found = [value for key, value in settings.items() if re.search(r"(^|[._])kappa$", key)]
    return max((float(value) for value in found if isinstance(value, (int, float))), default=0.0)


def word(difference: Difference) -> str:
    """What the test decides."""
    if not difference.different:
        return "not shown"
    return "higher" if difference.value > 0 else "lower"


def verdicts(measured: Measured, context: ReportContext, equal: Mapping[str, Sequence[EqualBudget]]) -> Table | None:
    """Arm by arm and task by task; None if nothing is compared."""
    totals = {task: pair[1] for task, pair in equal.items() if pair}
    results = [arm for task in measured.tasks.values() for arm in task.arms.values()]
    scores = [key for key in SCORES if all(key in arm.scores for arm in results)]
    header = ["arm", "task", *(SCORES[key] for key in scores)]
    header += ["final return at equal env steps in total"] * bool(totals) + ["seeds", steps_words(measured)]
    rows = []
    for arm in ordered(measured, context):
        for name, task in measured.tasks.items():
            if arm in task.arms and task.reference is not None:
                cells = [_cell(task, arm, key, task.differences) for key in scores]
                if totals:
                    at_total = totals[name].differences if name in totals else task.differences
                    cells.append(_cell(task, arm, "final", at_total, name not in totals))
                data = task.arms[arm].data
                steps = [f"{data.env_steps_per_agent[-1]:,}"] + [span(data.last_totals)] * (not measured.alone)
                rows.append((measured.labels[arm].text, name, *cells, str(len(_common(task, arm))), " / ".join(steps)))
    title = f"Against {measured.labels[measured.reference].text}"
    note = (
        "Mean difference over common seeds, in brackets its interval; what the exact paired test does not tell from 0 "
        "is not shown. Two significant digits."
    )
    decided = any(task.differences for task in measured.tasks.values())
    return Table(title, header, rows, note if decided else "") if rows else None


def steps_words(measured: Measured) -> str:
    """How budgets are named: nobody needs words for teams where all arms are one agent."""
    return "env steps" if measured.alone else "env steps per agent / in total"


def _common(task: TaskResult, arm: str) -> Floats:
    assert task.reference is not None
    return np.intersect1d(task.arms[arm].data.seeds, task.arms[task.reference].data.seeds)


def _cell(task: TaskResult, arm: str, key: str, told: Mapping[tuple[str, str], Difference], whole: bool = True) -> str:
    """A verdict with its numbers; with too few seeds the means of both arms, where the whole budget is meant."""
    if (arm, key) in told:
        difference = told[arm, key]
        return f"{word(difference)}: {interval_text(difference.value, difference.low, difference.high)}"
    assert task.reference is not None
    n = len(_common(task, arm))
    if n >= MIN_SEEDS_FOR_DIFFERENCE:
        return "not compared"
    mine, theirs = (task.arms[name].scores[key].mean() for name in (arm, task.reference))
    numbers = f" (mean {two(mine)}, reference {two(theirs)})" if whole else ""
    return f"{plural(n, 'seed')}: no verdict{numbers}"


def headlines(measured: Measured, context: ReportContext) -> list[str]:
    """One line per arm with reciprocity, or per arm if there is none: what the test decides on every task."""
    arms = _reciprocal(measured, context) or ordered(measured, context)
    return [line for arm in arms if (line := _headline(measured, arm))]


def _headline(measured: Measured, arm: str) -> str:
    tasks = [task for task in measured.tasks.values() if arm in task.arms and task.reference is not None]
    if not tasks:
        return ""
    parts = [part for key in SCORES if (part := _on_tasks(measured, arm, key))]
    data = [task.arms[arm].data for task in tasks]
    budget = f"{span(int(item.env_steps_per_agent[-1]) for item in data)} env steps"
    if not measured.alone:
        budget += f" per agent, {span(total for item in data for total in item.last_totals)} in total"
    seeds = span(len(_common(task, arm)) for task in tasks)
    seeds += " seed" if seeds == "1" else " seeds"
    pair = f"{measured.labels[arm].text} against {measured.labels[measured.reference].text}"
    if parts:
        return f"{pair}: {'; '.join(parts)}. {seeds}, {budget}."
    return f"{pair}: {seeds}: no verdict on {', '.join(task.task for task in tasks)}, after {budget}."


def _on_tasks(measured: Measured, arm: str, key: str) -> str:
    """``final return lower on A (-86 [-170, -21]), not shown on B (...)``."""
    found: dict[str, list[str]] = {}
    for name, task in measured.tasks.items():
        if (arm, key) in task.differences:
            d = task.differences[arm, key]
            found.setdefault(word(d), []).append(f"{name} ({interval_text(d.value, d.low, d.high)})")
    return f"{SCORES[key]} " + ", ".join(f"{what} on {' and '.join(on)}" for what, on in found.items()) if found else ""


@dataclass(frozen=True)
class Learnt:
    """The last evaluation of an arm minus its first."""

    value: float
    low: float
    high: float
    n_seeds: int
    first: str
    """The agents of the first evaluation, in words."""

    @property
    def text(self) -> str:
        """The numbers."""
        if self.n_seeds >= MIN_SEEDS_FOR_LEARNT:
            return f"{interval_text(self.value, self.low, self.high)}, {plural(self.n_seeds, 'seed')}"
        ends = f", from {two(self.low)} to {two(self.high)}" if self.n_seeds > 1 else ""
        return f"{'+' * (self.value > 0)}{two(self.value)}, {plural(self.n_seeds, 'seed')}{ends}"


def learnt(arm: ArmResult) -> Learnt | None:
    """How far an arm came from its first evaluation; None with a single evaluation."""
    curves, steps = arm.curve.data.curves, arm.curve.data.env_steps_per_agent
    if len(steps) < 2:
        return None
    gains = curves[:, -1] - curves[:, 0]
    low, high = float(gains.min()), float(gains.max())
    if len(gains) >= MIN_SEEDS_FOR_LEARNT:
        found = paired_difference(curves[:, -1], curves[:, 0], np.random.default_rng(0))
        low, high = found.low, found.high
    first = "untrained" if steps[0] <= UNTRAINED * steps[-1] else f"after {steps[0]:,} env steps"
    return Learnt(float(gains.mean()), low, high, len(gains), first)


def baselines(measured: Measured) -> tuple[list[str], list[str]]:
    """Whether the reference has learnt: on which tasks not, and on which it has or that is not known, in sentences."""
    label = measured.labels[measured.reference].text
    found: dict[str, list[str]] = {"absent": [], "not": [], "unknown": [], "learnt": []}
    for name, task in measured.tasks.items():
        gain = None if task.reference is None else learnt(task.arms[task.reference])
        if task.reference is None:
            found["absent"].append(name)
        elif gain is None:
            found["unknown"].append(name)
        else:
            found["learnt" if gain.low > 0 else "not"].append(f"{name} (first: {gain.first}; {gain.text})")
    change = "Last evaluation minus the first"
    texts = {  # before and after the tasks
        "not": (
            f"The reference has not learnt: {label} on ",
            f". {change}; no conclusion about the arms is drawn there.",
        ),
        "absent": (f"The reference, {label}, was not run on ", ", so nothing is compared there."),
        "learnt": (f"The reference has learnt: {label} on ", f". {change}."),
        "unknown": ("One evaluation only on ", f": whether the reference, {label}, has learnt is not known."),
    }
    said = {key: ["; ".join(found[key]).join(text)] if found[key] else [] for key, text in texts.items()}
    return said["not"] + said["absent"], said["learnt"] + said["unknown"]


def fallen(measured: Measured) -> list[str]:
    """Arms whose last evaluations are below their first ones: as far as the seeds tell, and in the mean only."""
    shown, mean = "Worse than", "In the mean, but not shown to be, worse than"
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for arm, label in measured.labels.items():
        for name, task in measured.tasks.items():
            gain = learnt(task.arms[arm]) if arm in task.arms else None
            if gain is not None and gain.value < 0:
                tasks = found.setdefault((shown if gain.high < 0 else mean, gain.first), {})
                tasks.setdefault(label.text, []).append(f"{name} ({gain.text})")
    return [
        f"{what} {first}: " + "; ".join(f"{label} on {', '.join(tasks)}" for label, tasks in arms.items()) + "."
        for (what, first), arms in sorted(found.items(), reverse=True)
    ]


def absent(measured: Measured, context: ReportContext) -> list[str]:
    """What failed, diverged, stopped or is missing: counted, and the first of them named."""
    present = sum(len(arm.data.seeds) for task in measured.tasks.values() for arm in task.arms.values())
    unfinished = [remark for remark in measured.remarks if "is unfinished and left out" in remark]
    groups = {
        "failed": [name for name, _ in context.failed],
        "diverged and are left out": list(measured.diverged),
        "were left out by request": [name for name in context.exclude if name not in measured.diverged],
        "were not run to their end and are missing": [*context.missing, *(r.split()[1] for r in unfinished)],
    }
    total = present + sum(map(len, groups.values()))
    lines = [f"{len(names)} of {total} runs {what}: {_some(names)}." for what, names in groups.items() if names]
    rest = len(context.stopped) - _NAMED
    more = [f"{rest} more runs stopped: see below, Not in the numbers."] if rest > 0 else []
    return [*lines, *context.stopped[:_NAMED], *more]


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
