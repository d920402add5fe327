"""What reciprocity costs in EPyMARL: CPU seconds of whole runs, upstream and with PR in turn, workers included.

    python benchmarks/epymarl_overhead.py --rounds 3
    python benchmarks/epymarl_overhead.py --rounds 3 --agents 6 --algorithms maddpg_ns --arm maptf

Prints one line for each algorithm and team: the ratio of the medians, and the range of the paired ratios.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile

ALGORITHMS = ("qmix_ns", "mappo_ns", "maddpg_ns", "qmix", "mappo", "maddpg")
GOAL = {3: 1.10, 6: 1.25}


def cpu_seconds(algorithm: str, n_agents: int, steps: int, extra: list[str]) -> float:
    """CPU seconds, user and system, of one run and the workers it waited for."""
    settings = [f"env_args.key=epymarl_pr:spread-{n_agents}-v0", f"t_max={steps}", f"test_interval={steps}"]
    settings += ["test_nepisode=10", "seed=1", *extra]
    command = [sys.executable, "-m", "epymarl_pr", f"--config={algorithm}", "--env-config=gymma", "with", *settings]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20_000, help="env steps of a run")
    parser.add_argument("--agents", type=int, nargs="+", default=[3, 6])
    parser.add_argument("--algorithms", nargs="+", default=ALGORITHMS)
    parser.add_argument("--adjacency", default="resample")
    parser.add_argument("--set", nargs="*", default=[], help="settings for both arms, such as use_rnn=True")
    parser.add_argument("--arm", help="the second arm, such as maptf, instead of the algorithm with PR")
    parser.add_argument("--pr", nargs="*", default=[], help="more settings of PR, such as pr_estimator=full")
    given = parser.parse_args()
    # four adjacent states, the state itself among them
    pr = [f"pr_adjacency={given.adjacency}", "pr_n_adjacent=3", "pr_kappa=0.5", *given.pr]
    for n_agents in given.agents:
        for algorithm in given.algorithms:
            times: list[tuple[float, float]] = []
            for _ in range(given.rounds):
                plain = cpu_seconds(algorithm, n_agents, given.steps, given.set)
                arm, more = (given.arm, given.pr) if given.arm else (f"{algorithm}_pr", pr)
                reciprocal = cpu_seconds(arm, n_agents, given.steps, given.set + more)
                times.append((plain, reciprocal))
            plain, reciprocal = (statistics.median(column) for column in zip(*times, strict=True))
            ratios = [b / a for a, b in times]
            print(
                f"{algorithm} N={n_agents}: {reciprocal / plain:.3f} ({min(ratios):.3f} to {max(ratios):.3f}), "
                f"{plain:.1f} s upstream, {reciprocal:.1f} s with {given.arm or 'PR'}, "
                f"{given.rounds} rounds{'' if given.arm else f', goal {GOAL.get(n_agents)}'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
