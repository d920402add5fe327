"""CPU seconds of a whole study whose seeds are stacked, against the same study with a process for each cell.

    OMP_NUM_THREADS=1 python benchmarks/stacked_study.py benchmarks/stacked_team.yaml --rounds 3

Stacked, one by one, in turn, round after round; everything counts, the reports, too. The goal is 3.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile


def cpu_seconds(study: list[str], stack: str, jobs: int) -> float:
    """Of one study, in a folder of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "marl_pr_common.cli", "study", *study]
        command += ["--stack", stack, "--jobs", str(jobs), "--out", folder, "--yes"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--scale")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    study = [given.study, *(["--scale", given.scale] if given.scale else [])]
    stacked, separate = [], []
    for _ in range(given.rounds):
        stacked.append(cpu_seconds(study, "true", given.jobs))
        separate.append(cpu_seconds(study, "false", given.jobs))
        print(f"stacked {stacked[-1]:.0f} s, one by one {separate[-1]:.0f} s", flush=True)
    ratios = [b / a for a, b in zip(stacked, separate, strict=True)]
    middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
    print(f"{given.study}: {middle:.2f} ({low:.2f} to {high:.2f}) times less CPU stacked")


if __name__ == "__main__":
    main()
