"""How soon does `marl-pr` answer? CPU seconds of commands of their own, median of some rounds, in turns.

    python benchmarks/startup.py --rounds 5

CPU seconds of the process and what it started, user and system, so that a busy machine counts little. `train` ends
with the first step of an environment, and with the first step after an update: its environment ends the process there.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROBE = '''"""An environment that ends its process at a step."""
import os
import gymnasium as gym

class Probe(gym.Wrapper):
    steps = 0

    def step(self, action):
        Probe.steps += 1
        if Probe.steps >= int(os.environ["PROBE_STEPS"]):
            os._exit(0)
        return super().step(action)

def make():
    return Probe(gym.make(os.environ["PROBE_ENV"], max_episode_steps=2))
'''
TRAIN = (
    *("train", "--env", "probe:make", "--eval-episodes", "1", "--eval-every", "100000"),
    *("--learning-starts", "1", "--timesteps-per-agent", "100000", "--out", "OUT"),
)
CASES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "marl-pr": ((), {}),
    "marl-pr --help": (("--help",), {}),
    "marl-pr train --help": (("train", "--help"), {}),
    "marl-pr train --taau 1": (("train", "--taau", "1"), {}),
    "marl-pr train --env Hoper-v5": (("train", "--env", "Hoper-v5", "--out", "OUT"), {}),
    "marl-pr study quik": (("study", "quik"), {}),
    "marl-pr train, first step on Pendulum-v1": (TRAIN, {"PROBE_ENV": "Pendulum-v1", "PROBE_STEPS": "1"}),
    "marl-pr train, first step on HalfCheetah-v5": (TRAIN, {"PROBE_ENV": "HalfCheetah-v5", "PROBE_STEPS": "1"}),
    "marl-pr train, after some updates": (TRAIN, {"PROBE_ENV": "Pendulum-v1", "PROBE_STEPS": "100"}),
}
"""What is measured -> arguments and variables."""


def seconds(arguments: tuple[str, ...], variables: dict[str, str]) -> float:
    """CPU seconds of one command."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "probe.py").write_text(PROBE)
        given = [argument.replace("OUT", f"{folder}/run") for argument in arguments]
        before = used()
        subprocess.run(
            [sys.executable, "-m", "marl_pr_common.cli", *given],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
            capture_output=True,
            check=False,
        )
        return used() - before


def used() -> float:
    """CPU seconds of all processes that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose name has this")
    given = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in CASES if given.only in name}
    for case in found:
        seconds(*CASES[case])  # bytecode is written once
    for _ in range(given.rounds):
        for case, times in found.items():
            times.append(seconds(*CASES[case]))
    print(f"| CPU seconds, median of {given.rounds} | |\n|---|---|")
    for case, times in found.items():
        print(f"| {case} | {statistics.median(times):.2f} |", flush=True)


if __name__ == "__main__":
    main()
