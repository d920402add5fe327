"""What the guards cost: TD3PR with and without, in alternating blocks of one run on one replay.

python benchmarks/guards.py [--blocks 20] [--steps 1000] [--env Hopper-v5] [--n-agents 3] [--width 256]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch as th

from sb3_pr import TD3PR
from sb3_pr.guards import Watch


def switch(model: TD3PR, guards: bool) -> None:
    """The same model with or without guards."""
    for handle in model.watch._handles:
        handle.remove()
    alarm = model.watch.alarm
    model.guards = guards
    model.watch = Watch(model.n_agents, guards)
    model.watch.alarm = alarm
    model.watch.attach(model)


def main() -> None:
    """Print the ratio of the medians, and its range over pairs of neighbouring blocks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--steps", type=int, default=300, help="steps of each agent per block")
    parser.add_argument("--env", default="Hopper-v5")
    parser.add_argument("--n-agents", type=int, default=3)
    parser.add_argument("--width", type=int, default=256)
    options = parser.parse_args()
    th.set_num_threads(1)
    network = {"net_arch": [options.width, options.width]}
    model = TD3PR(
        "MlpPolicy", options.env, n_agents=options.n_agents, policy_kwargs=network, learning_starts=300, seed=0
    )
    model.learn(options.n_agents * 600)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for block in range(options.blocks):
        for guards in (True, False) if block % 2 == 0 else (False, True):
            switch(model, guards)
            start = time.process_time()
            model.learn(options.n_agents * options.steps, reset_num_timesteps=False)
            seconds[guards].append(time.process_time() - start)
    on, off = np.array(seconds[True]), np.array(seconds[False])
    ratios = np.sort(on / off)
    per_step = 1e3 * np.median(off) / options.steps
    print(f"{options.env}, {options.n_agents} agents, width {options.width}: {per_step:.2f} ms of CPU per step of each")
    print(f"with guards / without: {np.median(on) / np.median(off):.4f} (medians), {np.median(ratios):.4f} (pairs)")
    print(f"pairs from {ratios[0]:.3f} to {ratios[-1]:.3f}, {options.blocks} pairs of {options.steps} steps")


if __name__ == "__main__":
    main()
