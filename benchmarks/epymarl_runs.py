"""Long runs, by default of the three learners with PR: do they finish, and what do they return?

    python benchmarks/epymarl_runs.py --steps 50000
    python benchmarks/epymarl_runs.py --tasks epymarl_pr:spread-3-v0 --algorithms maptf maptf_pr dvm dvm_pr

One seed each: what is printed shows that the runs work, and ranks nothing. On two cores it takes about an hour.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import gymnasium
import numpy as np

from marl_pr_common.results.readers import epymarl

TASKS = {
    "lbforaging:Foraging-5x5-2p-1f-v3": ["env_args.time_limit=10"],
    "lbforaging:Foraging-8x8-2p-3f-v3": ["env_args.time_limit=25"],
    "epymarl_pr:spread-3-v0": [],
    "epymarl_pr:spread-6-v0": [],
    "epymarl_pr:pp-3-v0": ["reward_scalarisation=mean"],
    "epymarl_pr:pp-6-v0": ["reward_scalarisation=mean"],
}
FAST_QMIX = [
    *("epsilon_anneal_time=20000", "evaluation_epsilon=0.05", "target_update_interval_or_tau=0.02"),
    *("lr=0.001", "gamma=0.95"),
]
"""For the first task: EPyMARL's own settings are made for two million steps."""
PR = ["pr_kappa=0.5", "pr_adjacency=resample", "pr_n_adjacent=3"]


def returns(algorithm: str, key: str, settings: list[str]) -> list[float]:
    """Mean test returns of one run, in order, from sacred's record: the console shows means of the last five."""
    command = [sys.executable, "-m", "epymarl_pr", f"--config={algorithm}", "--env-config=gymma"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, f"--run-dir={folder}", "with", f"env_args.key={key}", *settings],
            cwd=folder,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        if done.returncode:
            raise SystemExit(f"{algorithm} on {key} failed:\n{done.stderr[-3000:]}")
        (record,) = (path.parent for path in Path(folder).rglob("run.json"))
        results = epymarl.read(record)
    found = results[results["metric"].eq("eval/return")].drop_duplicates("env_steps_per_agent")
    return [float(value) for value in found.sort_values("env_steps_per_agent")["value"]]


def random_return(key: str, limit: int, episodes: int = 1000) -> float:
    """Mean return of the team of uniformly random actions."""
    env = gymnasium.make(key, disable_env_checker=True)
    rng, total = np.random.default_rng(0), 0.0
    for episode in range(episodes):
        env.reset(seed=episode)
        for _ in range(limit):
            actions = [int(rng.integers(space.n)) for space in env.action_space]
            _, rewards, terminated, truncated, _ = env.step(actions)
            total += float(np.sum(rewards))
            if np.all(terminated) or truncated:
                break
    return total / episodes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50_000, help="env steps of a run")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--algorithms", nargs="+", default=["qmix_ns_pr", "mappo_ns_pr", "maddpg_ns_pr"])
    given = parser.parse_args()
    each = given.steps // 5
    common = [
        f"t_max={given.steps}",
        f"test_interval={each}",
        f"log_interval={each}",
        "test_nepisode=50",
        "seed=1",
    ]
    for key in given.tasks:
        if key == next(iter(TASKS)):
            print(f"{key} random play, 1,000 episodes: {random_return(key, 10):.3f}")
        for algorithm in given.algorithms:
            settings = [*common, *TASKS[key], *(PR if algorithm.endswith("_pr") else [])]
            if key == next(iter(TASKS)):
                # utilities of one network; the task on which QMIX is to be held against random play
                algorithm = algorithm.replace("qmix_ns", "qmix")
                settings += FAST_QMIX if "qmix" in algorithm else []
            values = returns(algorithm, key, settings)
            print(f"{key} {algorithm}: {', '.join(f'{value:.2f}' for value in values)}", flush=True)


if __name__ == "__main__":
    main()
