"""What an agent costs in a stack of 1 to 64: CPU time per step, and memory, against width and batch, in one figure.

    OMP_NUM_THREADS=1 python benchmarks/cost.py --rounds 3 --out docs/figures/cost.png

TD3PR with ``estimator="one_voice"`` on HalfCheetah-v5, whole ``learn()`` calls, and upstream's TD3 as the dotted line.
Every measurement is a process of its own, all in turn, round after round; medians. Memory is what the process has more
than before the model was made, with a replay buffer of 10,000 rows of each agent, filled.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

AGENTS = (1, 4, 16, 64)
SHAPES = (((64, 64), 64), ((64, 64), 256), ((256, 256), 256))
ROWS, WARM_UP, STEPS = 10_000, 110, 40


def measure(n_agents: int, net: tuple[int, ...], batch: int) -> dict[str, float]:
    """In this process. ``n_agents=0`` is upstream's."""
    import psutil
    import torch as th
    from stable_baselines3 import TD3

    from sb3_pr import TD3PR

    th.set_num_threads(1)
    process = psutil.Process()
    count = max(n_agents, 1)
    options: dict[str, Any] = {
        "policy_kwargs": {"net_arch": list(net)},
        "batch_size": batch,
        "buffer_size": ROWS * count,
        "learning_starts": 100 * count,
        "device": "cpu",
        "seed": 0,
    }
    TD3("MlpPolicy", "HalfCheetah-v5", device="cpu").learn(101)  # what any model loads
    before = process.memory_info().rss
    if n_agents:
        model: Any = TD3PR("MlpPolicy", "HalfCheetah-v5", n_agents=n_agents, estimator="one_voice", **options)
    else:
        model = TD3("MlpPolicy", "HalfCheetah-v5", **options)
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        getattr(model.replay_buffer, name).fill(0)
    model.learn(WARM_UP * count)
    start = time.process_time()
    model.learn(STEPS * count, reset_num_timesteps=False)
    used = time.process_time() - start
    return {"ms": used / STEPS / count * 1e3, "mb": (process.memory_info().rss - before) / 2**20 / count}


def draw(found: dict[tuple[int, int, int], dict[str, float]], path: Path) -> None:
    """Time and memory of an agent against the number of agents."""
    import matplotlib.pyplot as plt

    from marl_pr_common.report.figures.style import styled

    with styled():
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
        for index, (net, batch) in enumerate(SHAPES):
            colour, label = f"C{index}", f"{net[0]} wide, batches of {batch}"
            points = [found[n, net[0], batch] for n in AGENTS]
            left.plot(AGENTS, [one["ms"] for one in points], "o-", color=colour, label=label)
            left.axhline(found[0, net[0], batch]["ms"], color=colour, linestyle=":")
            right.plot(AGENTS, [one["mb"] for one in points], "o-", color=colour)
        for axes, unit in ((left, "CPU ms per agent and step"), (right, "MB per agent")):
            axes.set(xscale="log", xlabel="Agents in the stack", ylabel=unit, xticks=AGENTS)
            axes.set_xticklabels(AGENTS)
            axes.minorticks_off()
        left.set(yscale="log", yticks=[1, 2, 5, 10, 20], yticklabels=[1, 2, 5, 10, 20])
        left.minorticks_off()
        right.set_ylim(bottom=0)
        figure.legend(title="dotted: TD3 of Stable-Baselines3", loc="outside lower center", ncols=len(SHAPES))
        figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("cost.png"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        n_agents, width, batch = map(int, args.one.split(","))
        print(json.dumps(measure(n_agents, (width, width), batch)))
        return
    points = [(n, net[0], batch) for net, batch in SHAPES for n in (0, *AGENTS)]
    seen: dict[tuple[int, int, int], list[dict[str, float]]] = {point: [] for point in points}
    for _ in range(args.rounds):
        for point in points:
            command = [sys.executable, __file__, "--one", ",".join(map(str, point))]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seen[point].append(json.loads(done.stdout.splitlines()[-1]))
    found = {
        point: {key: statistics.median(one[key] for one in values) for key in ("ms", "mb")}
        for point, values in seen.items()
    }
    print("| agents | width | batch | CPU ms per agent and step | MB per agent |\n| --- | --- | --- | --- | --- |")
    for (n, width, batch), one in found.items():
        print(f"| {n or 'TD3'} | {width} | {batch} | {one['ms']:.2f} | {one['mb']:.1f} |")
    draw(found, args.out)


if __name__ == "__main__":
    main()
