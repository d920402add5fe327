"""Read, check, aggregate and report a study of 1,000 cells with 100 result rows each: seconds and peak memory.

    python benchmarks/study_report.py                  # 1,000 run directories, written to a temporary folder
    python benchmarks/study_report.py --cells 200

The files are real Parquet files as ``ResultsWriter`` leaves them; the returns in them are random numbers.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from marl_pr_common.report import write_report
from marl_pr_common.results.comparable import comparable
from marl_pr_common.results.readers import read_all
from marl_pr_common.results.stats import (
    STATISTICS,
    Scores,
    aggregate,
    compare_pairs,
    levels,
    mean_interval,
    median_steps,
    performance_profile,
    probability_of_improvement,
    scores,
    steps_to_threshold,
    team_curves,
)
from marl_pr_common.runs.table import Clock, ResultsWriter, RunIdentity

ARMS, SEEDS, POINTS, AGENTS = 10, 10, 20, 3
"""20 evaluations of 3 agents and 40 losses of the team: 100 rows a run."""


def write(root: Path, n_cells: int) -> None:
    """Run directories of ``ARMS`` arms on ``SEEDS`` seeds, and as many tasks as that takes."""
    rng = np.random.default_rng(0)
    for cell in range(n_cells):
        task, rest = divmod(cell, ARMS * SEEDS)
        arm, seed = divmod(rest, SEEDS)
        name = f"arm{arm}-task{task}-v1-seed{seed}"
        identity = RunIdentity(name, f"arm{arm}", f"task{task}-v1", "stable-baselines3 2.9.2", seed, "10 episodes")
        writer = ResultsWriter(root / "cells" / name, identity)
        height = rng.normal(size=(POINTS, AGENTS)).cumsum(axis=0)
        for point in range(POINTS):
            clock = Clock(1000 * point, AGENTS * 1000 * point, 1000 * point, float(point), float(point))
            for agent in range(AGENTS):
                writer.append(clock, {"eval/return": height[point, agent]}, agent)
            writer.append(clock, {"train/critic_loss": 1.0, "train/actor_loss": 2.0})
        writer.flush()


def analyse(root: Path) -> dict[str, tuple[float, float]]:
    """Everything that a report computes; seconds and CPU seconds of each part."""
    seconds, rng = {}, np.random.default_rng(0)
    start = time.perf_counter(), time.process_time()

    def lap(name: str) -> None:
        nonlocal start
        now = time.perf_counter(), time.process_time()
        seconds[name], start = (now[0] - start[0], now[1] - start[1]), now

    results = read_all([root], [])
    lap(f"read {len(results):,} rows of {results['run'].nunique():,} runs")
    results = comparable(results).results
    lap("check that they may be compared")
    arms, tasks = (list(dict.fromkeys(results[name])) for name in ("arm", "task"))
    for task in tasks:
        here = results[results["task"] == task]
        for arm in arms:
            curves = team_curves(here, arm, task)
            mean_interval(curves.curves, rng)
            reached = steps_to_threshold(curves, 1.0)
            median_steps(reached.env_steps_per_agent, reached.reached, rng)
    lap("learning curves and steps to a threshold, with intervals")
    final: dict[str, Scores] = {arm: scores(results, arm) for arm in arms}
    area = {arm: scores(results, arm, kind="area") for arm in arms}
    lap("final returns and areas")
    for found in (*final.values(), *area.values()):
        for statistic in STATISTICS.values():
            aggregate(found, statistic, rng)
    lap("aggregates with intervals")
    taus = levels(*final.values())
    for arm in arms:
        performance_profile(final[arm], taus, rng)
        probability_of_improvement(final[arm], final[arms[0]], rng)
    lap("profiles and probabilities of improvement")
    for column in range(len(tasks)):
        pairs = {arm: (final[arm].values[:, column], final[arms[0]].values[:, column]) for arm in arms[1:]}
        compare_pairs(pairs, rng)
    lap("differences")
    write_report(results, root / "report")
    lap("report: all of that again, figures, tables and HTML")
    return seconds


def main() -> None:
    """Write, then analyse in this process, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), options.cells)
        before = peak()
        seconds = analyse(Path(folder))
    wall, cpu = (sum(values) for values in zip(*seconds.values(), strict=True))
    print("  wall     CPU")
    for name, (taken, computed) in seconds.items():
        print(f"{taken:6.2f} s {computed:6.2f} s  {name}")
    print(f"{wall:6.2f} s {cpu:6.2f} s  in all; peak memory {peak():.0f} MB ({before:.0f} MB before reading)")


def peak() -> float:
    """Largest resident memory so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
