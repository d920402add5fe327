"""The table of docs/reference.md: what is published for the plain algorithms, and what our hosts reached.

    python benchmarks/reference_table.py [docs/results] [--write docs/reference.md]

Every number of ours is of the study's results: mean over seeds with the report's 95 % bootstrap interval, and what each
seed reached, at the number of steps at which the other was published.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pages import add_write, deliver

from marl_pr_common.report import ReportContext
from marl_pr_common.report.measure import measure
from marl_pr_common.report.numbers import number
from marl_pr_common.runs.table import read_results
from marl_pr_common.study.config import load_study

CURVES = "[their curves](https://github.com/sfujim/TD3/tree/master/learning_curves), ten seeds, version 1"
ZOO = "[rl-zoo3](https://github.com/DLR-RM/rl-baselines3-zoo/blob/master/benchmark.md), one run, 750 episodes"


@dataclass(frozen=True)
class Published:
    """A number of somebody else's: mean and standard deviation of returns after so many steps."""

    study: str
    arm: str
    task: str
    steps: int
    mean: float
    deviation: float
    source: str


PUBLISHED = (
    Published("reference", "td3", "InvertedDoublePendulum-v5", 20_000, 9314, 2, CURVES),
    Published("reference", "td3", "HalfCheetah-v5", 100_000, 5514, 584, CURVES),
    Published("reference_sac", "sac", "Pendulum-v1", 20_000, -157.0, 88.7, ZOO),
)


def line(one: Published, results: Path) -> str:
    """A row of the table."""
    cells = [one.arm.upper(), one.task, f"{one.steps:,}", f"{one.mean:,g} ± {one.deviation:g}, {one.source}"]
    folder = results / one.study
    rows = read_results([folder]) if (folder / "results.parquet").exists() else None
    if rows is not None:
        rows = rows[(rows["task"] == one.task) & (rows["arm"] == one.arm) & (rows["env_steps_per_agent"] <= one.steps)]
        arrived = rows[(rows["env_steps_per_agent"] == one.steps) & (rows["metric"] == "eval/return")]
    if rows is None or set(arrived["seed"]) != set(load_study(one.study).seeds):
        return f"| {' | '.join([*cells, 'not complete', '', ''])} |"
    found = measure(rows, ReportContext(reference=one.arm)).tasks[one.task].arms[one.arm]
    mean, final = found.intervals["final"]["mean"], np.sort(found.scores["final"])
    ours = f"{number(mean.value)} [{number(mean.low)}, {number(mean.high)}]"
    cells += [ours, number(float(np.median(final))), ", ".join(number(float(value)) for value in final)]
    return f"| {' | '.join(cells)} |"


def table(results: Path) -> str:
    """All rows."""
    header = ("algorithm", "task", "env steps", "published", "ours, mean", "median", "every seed")
    lines = [line(one, results) for one in PUBLISHED]
    return "\n".join([f"| {' | '.join(header)} |", "|" + "---|" * len(header), *lines])


def main() -> None:
    """Print the table, or put it between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=Path("docs/results"))
    add_write(parser, "reference")
    given = parser.parse_args()
    deliver(table(given.results), "reference", given.write)


if __name__ == "__main__":
    main()
