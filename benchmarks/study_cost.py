"""How long will a study take? A short cell of every arm on every task, extrapolated to the study's own budget.

    python benchmarks/study_cost.py fig6 --scale overnight --steps 3000 --cores 2

CPU seconds, so that a busy machine does not count: those of training per step between the evaluations of the short
run, and for each evaluation what the rest of its process took, its start included. That makes it an upper estimate.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from marl_pr_common.runs.table import read_results
from marl_pr_common.study.cell import results_file, write_manifest
from marl_pr_common.study.config import StudyConfig, load_study
from marl_pr_common.study.plan import Cell, resolve
from marl_pr_common.study.processes import _environment, command

EVALUATIONS = 3
BUDGET = {"sb3": ("timesteps_per_agent", "eval_every"), "epymarl": ("t_max", "test_interval")}
BUDGET["tabular"] = ("steps_per_agent", "eval_every")


@dataclass(frozen=True)
class Cost:
    """CPU seconds."""

    step: float
    evaluation: float


def short(config: StudyConfig, steps: int) -> StudyConfig:
    """The same study with one seed and another budget; what arms set themselves stays."""
    total, every = BUDGET[config.host]
    given: dict[str, Any] = {total: steps, every: steps // EVALUATIONS}
    if config.host == "epymarl":
        given |= {"learner_log_interval": steps, "runner_log_interval": steps, "log_interval": steps}
    tasks = {name: replace(task, settings={**task.settings, **given}) for name, task in config.tasks.items()}
    return replace(config, seeds=config.seeds[:1], tasks=tasks)


def measure(cell: Cell) -> Cost:
    """Run one cell."""
    cell.directory.mkdir(parents=True)
    write_manifest(cell.directory, cell.manifest)
    before = used()
    log = cell.directory / "log.txt"
    with log.open("w") as output:
        code = subprocess.run(
            command(cell.directory), env=_environment(1), stdout=output, stderr=output, check=False
        ).returncode
    if code:
        raise SystemExit(f"{cell.name} failed:\n{log.read_text()[-2000:]}")
    total = used() - before
    found = read_results([results_file(cell.directory)])
    points = found[found["metric"].eq("eval/return")].drop_duplicates("env_steps_per_agent")
    steps, seconds = points["env_steps_per_agent"].to_numpy(), points["cpu_time"].to_numpy()
    rate = (seconds[-1] - seconds[1]) / (steps[-1] - steps[1])  # without the steps before the first update
    return Cost(rate, (total - seconds[-1]) / len(points))


def used() -> float:
    """CPU seconds of all processes that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--scale", default=None)
    parser.add_argument("--steps", type=int, default=3000, help="per agent, of the short cells")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--arms", nargs="+", help="only these")
    parser.add_argument("--tasks", nargs="+", help="only these")
    given = parser.parse_args()
    config = load_study(given.study).at(given.scale)
    if given.arms:
        chosen = {arm: replace(config.arms[arm], reference=None) for arm in given.arms}
        config = replace(config, arms=chosen)
    if given.tasks:
        config = replace(config, tasks={task: config.tasks[task] for task in given.tasks})
    with tempfile.TemporaryDirectory() as folder:
        whole = {cell.name: cell.manifest.plan for cell in resolve(config, Path(folder))}
        hours = 0.0
        for cell in resolve(short(config, given.steps), Path(folder)):
            cost, plan = measure(cell), whole[cell.name]
            every = int(plan.settings.get(BUDGET[config.host][1], 2000))
            evaluations = plan.env_steps_per_agent / every + 1
            seconds = cost.step * plan.env_steps_per_agent + cost.evaluation * evaluations
            hours += seconds * len(config.seeds) / 3600 / given.cores
            sys.stdout.write(
                f"{cell.manifest.task:28} {cell.manifest.arm:24} {1 / cost.step:8.0f} steps/s per agent, "
                f"{cost.evaluation:6.1f} s an evaluation, {seconds / 60:8.1f} min a cell\n"
            )
            sys.stdout.flush()
    sys.stdout.write(f"{len(config.seeds)} seeds on {given.cores} cores: {hours:.1f} h\n")


if __name__ == "__main__":
    main()
