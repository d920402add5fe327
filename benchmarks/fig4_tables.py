"""Tables of Figure 4 for docs/tabular.md, from a study that `marl-pr study fig4` has run.

    python benchmarks/fig4_tables.py runs/fig4-paper [--write docs/tabular.md]

Every number is the report's: 95 % bootstrap intervals, Kaplan-Meier medians, differences by the exact paired test.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from pages import add_write, deliver

from marl_pr_common.report import ReportContext
from marl_pr_common.report.measure import TaskResult, measure
from marl_pr_common.report.numbers import number, span
from marl_pr_common.results.stats import Difference, median_steps
from marl_pr_common.runs.table import read_results
from marl_pr_common.study.config import load_study
from marl_pr_common.study.report import families
from marl_pr_common.tabular.host import ARMS

STUDY = load_study("fig4").at("paper")
HEADER = (
    "",
    "steps of all agents",
    "final return",
    "steps per agent to threshold, median",
    "reached",
    "difference in steps",
)


def tell(difference: Difference | None) -> str:
    """Mean difference, its interval, and what the test decides."""
    if difference is None:
        return "not compared"
    decided = ("fewer" if difference.value < 0 else "more") if difference.different else "no difference shown"
    return f"{difference.value:+,.0f} [{difference.low:+,.0f}, {difference.high:+,.0f}], {decided}"


def rows(task: TaskResult) -> dict[str, str]:
    """Arm -> its line."""
    found = {}
    for name, arm in task.arms.items():
        reached, rng = task.reached[name], np.random.default_rng(0)
        middle = median_steps(reached.env_steps_per_agent, reached.reached, rng)
        steps = [f"{value:,.0f}" if np.isfinite(value) else "never" for value in middle]
        final = arm.intervals["final"]["mean"]
        told = "reference" if name == task.reference else tell(task.differences.get((name, "steps")))
        cells = (
            *(ARMS[name].text, span(arm.data.last_totals)),
            f"{number(final.value)} [{number(final.low)}, {number(final.high)}]",
            *(f"{steps[0]} [{steps[1]}, {steps[2]}]", f"{reached.reached.sum()} of {len(reached.reached)}", told),
        )
        found[name] = f"| {' | '.join(cells)} |"
    return found


def tables(directory: Path) -> str:
    """One table per task that has results, arms in the study's order."""
    results = read_results([directory])
    thresholds = {task: entry.threshold for task, entry in STUDY.tasks.items() if entry.threshold is not None}
    parts = {}
    for reference, arms in families(STUDY).items():
        context = ReportContext(reference=reference, thresholds=thresholds)
        measured = measure(results[results["arm"].isin(arms)], context)
        for task, result in measured.tasks.items():
            parts.setdefault(task, {}).update(rows(result))
    lines = []
    for task in (name for name in STUDY.tasks if name in parts):
        steps = results.loc[results["task"] == task, "env_steps_per_agent"].max()
        lines += [f"#### {task}", "", f"{steps:,} steps per agent; threshold {thresholds[task]:g}.", ""]
        lines += [f"| {' | '.join(HEADER)} |", "|" + "---|" * len(HEADER)]
        lines += [*(parts[task][arm] for arm in STUDY.arms if arm in parts[task]), ""]
    return "\n".join(lines)


def main() -> None:
    """Print the tables, or put them between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    add_write(parser, "fig4")
    given = parser.parse_args()
    deliver(tables(given.directory), "fig4", given.write)


if __name__ == "__main__":
    main()
