"""A study of 1,000 cells is read and reported within the memory of a laptop; benchmarks/study_report.py times it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marl_pr_common.runs.table import write_results

READ_AND_REPORT = """
import resource, sys
from pathlib import Path
from marl_pr_common.results.readers import read_all
from marl_pr_common.report import write_report
write_report(read_all([Path(sys.argv[1])]), Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def big(n_arms=10, n_tasks=5, n_seeds=20, n_points=100):
    """A table with one row per point of one agent each."""
    arm, task, seed, point = np.indices((n_arms, n_tasks, n_seeds, n_points)).reshape(4, -1)
    rng = np.random.default_rng(0)
    luck = rng.normal(0.0, 30.0, (n_arms, n_tasks, n_seeds))[arm, task, seed]
    return pd.DataFrame(
        {
            "run": [f"arm{a}-task{t}-seed{s}" for a, t, s in zip(arm, task, seed, strict=True)],
            "arm": [f"arm{number}" for number in arm],
            "task": [f"task{number}-v1" for number in task],
            "engine": "stable-baselines3 2.9.2",
            "evaluation": "10 episodes",
            "seed": seed,
            "agent": 0,
            "env_steps_per_agent": 1000 * point,
            "total_env_steps": 1000 * point,
            "updates": 1000 * point,
            "wall_time": 1.0 * point,
            "cpu_time": 1.0 * point,
            "metric": "eval/return",
            "value": luck + 3.0 * point + rng.normal(0.0, 10.0, len(point)),
        }
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is asked from resource")
def test_a_thousand_cells(tmp_path):
    results = big()
    assert (len(results), results["run"].nunique()) == (100_000, 1_000)
    write_results(tmp_path / "results.parquet", results)
    command = [sys.executable, "-c", READ_AND_REPORT, str(tmp_path / "results.parquet"), str(tmp_path / "out")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    peak = float(done.stdout)
    peak /= 2**30 if sys.platform == "darwin" else 2**20
    print(f"{peak:.2f} GB")  # noqa: T201
    assert peak < 1
