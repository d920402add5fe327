"""How fast n stacked agents train, as ratios to upstream SB3 measured in the same run.

    OMP_NUM_THREADS=1 python benchmarks/sb3_speed.py [--n-agents 3] [--env Hopper-v5] [--net 256 256] [--rounds 7]
    OMP_NUM_THREADS=1 python benchmarks/sb3_speed.py --n-agents 3 --n-teams 10     # stacked teams
    OMP_NUM_THREADS=1 python benchmarks/sb3_speed.py --n-agents 1 --n-teams 10     # ten seeds of upstream's at once

Every arm trains a little, in turn, round after round (A B C A B C ...), so that what else the machine does meets all of
them; a ratio is the median over rounds of the quotient within a round. One core. Whole ``learn()`` calls: environment
steps, replay, updates, logging.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

import numpy as np
import torch as th
from stable_baselines3 import DDPG, TD3

from sb3_pr import DDPGPR, TD3PR
from sb3_pr.fast import fast_matmul, onednn_keeps_float32

WARM_UP, STEPS = 400, 100  # steps per agent before, and in each measured piece


def arms(args: argparse.Namespace) -> dict[str, list[Any]]:
    """The models of each arm; n lone ones for upstream."""
    upstream, ours = (TD3, TD3PR) if args.algorithm == "td3" else (DDPG, DDPGPR)

    def options() -> dict[str, Any]:
        return {
            "policy": "MlpPolicy",
            "env": args.env,
            "policy_kwargs": {"net_arch": args.net},
            "learning_starts": 100,
            "buffer_size": 20_000,
            "device": args.device,
            "seed": 0,
        }

    def group(**pr: Any) -> list[Any]:
        return [ours(**options(), n_agents=args.n_agents, n_teams=args.n_teams, **pr)]

    if args.n_teams > 1:
        n = args.n_agents * args.n_teams
        one_by_one = [ours(**options(), n_agents=args.n_agents, trust="td") for _ in range(args.n_teams)]
        return {
            "upstream": [upstream(**options()) for _ in range(n)],
            "kappa=0": group(kappa=0.0),
            **({"trust": group(trust="td"), "trust, team by team": one_by_one} if args.n_agents > 1 else {}),
        }

    noise = {"adjacency": "noise", "n_adjacent": 3}
    found = {
        "upstream": [upstream(**options()) for _ in range(args.n_agents)],
        "kappa=0": group(kappa=0.0),
        "sampled": group(estimator="sampled"),
        "full, same state": group(),
        "full, 4 adjacent states": group(**noise),
        "kappa=0, fast": group(kappa=0.0, fast=True),
        "sampled, fast": group(estimator="sampled", fast=True),
    }
    if args.with_sbx:
        import sbx  # the extra JAX implementation, pip install sbx-rl

        found["sbx"] = [getattr(sbx, args.algorithm.upper())(**_for_sbx(options())) for _ in range(args.n_agents)]
    return found


def _for_sbx(options: dict[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in options.items() if k != "device"}, "buffer_size": 20_000}


def measure(models: dict[str, list[Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds per step of all agents, (rounds,) for each arm."""
    for group in models.values():
        for model in group:
            model.learn(WARM_UP * getattr(model, "n_columns", 1))
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, group in models.items():
            start = time.perf_counter()
            for model in group:
                model.learn(STEPS * getattr(model, "n_columns", 1), reset_num_timesteps=False)
            seconds[name].append((time.perf_counter() - start) / STEPS)
    return seconds


def ratio(above: list[float], below: list[float]) -> tuple[float, float, float]:
    """Median, smallest and largest quotient within a round."""
    quotients = [a / b for a, b in zip(above, below, strict=True)]
    return statistics.median(quotients), min(quotients), max(quotients)


def gigaflops(fast: bool) -> float:
    """Rate of the matrix product that dominates an update, 256 x 256 x 256 for three agents."""
    left, right = th.randn(3, 256, 256), th.randn(3, 256, 256)
    times = []
    with fast_matmul(fast):
        for _ in range(100):
            start = time.perf_counter()
            th.bmm(left, right)
            times.append(time.perf_counter() - start)
    return 3 * 2 * 256**3 / float(np.median(times)) / 1e9


def floor(model: Any, gflops: float, peers: int) -> float:
    """Seconds that the matrix products of one joint update take at ``gflops``: what no overhead can go below.

    Forward passes count 1, gradients of weights and of inputs 1 each. TD3 needs the target actor once; target critics
    once and, for PR, ``peers`` times more; critics 3 times; every ``policy_delay`` updates the actor 3 times and one
    critic twice.
    """
    actor, critic = (
        sum(weight.numel() for name, weight in network.named_parameters() if name.endswith("weight"))
        for network in (model.policy.actor.mu, model.policy.critic.qf0)
    )
    critics = model.policy.critic.n_critics
    products = actor + critics * critic * (4 + peers) + (3 * actor + 2 * critic) / model.policy_delay
    return float(2 * model.batch_size * products / gflops / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", choices=["td3", "ddpg"], default="td3")
    parser.add_argument("--env", default="Hopper-v5")
    parser.add_argument("--n-agents", type=int, default=3)
    parser.add_argument("--n-teams", type=int, default=1, help="stacked teams of --n-agents")
    parser.add_argument("--net", type=int, nargs="+", default=[256, 256])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--with-sbx", action="store_true", help="also measure sbx (needs sbx-rl and JAX)")
    args = parser.parse_args()
    th.set_num_threads(1)
    if args.device == "cpu" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core: JAX would take more
    models = arms(args)
    seconds = measure(models, args.rounds)
    agents = f"{args.n_teams} x {args.n_agents} agents" if args.n_teams > 1 else f"{args.n_agents} agents"
    print(f"{args.algorithm.upper()} on {args.env}, {agents}, nets {args.net}, {args.rounds} rounds\n")
    print("| arm | ms per step of all agents | times faster than n x upstream | time over kappa=0 |")
    print("| --- | --- | --- | --- |")
    for name, values in seconds.items():
        faster, low, high = ratio(seconds["upstream"], values)
        zero = seconds["kappa=0, fast" if "fast" in name else "kappa=0"]
        over = "" if name in ("upstream", "sbx") else f"{ratio(values, zero)[0]:.2f}"
        print(f"| {name} | {statistics.median(values) * 1e3:.1f} | {faster:.2f} ({low:.2f} to {high:.2f}) | {over} |")
    if args.device != "cpu" or args.n_teams > 1:
        return
    default, fast = gigaflops(False), gigaflops(True)
    print(f"\nMatrix products: {default:.0f} GFLOP/s by default, {fast:.0f} with fast=True", end="")
    print("." if onednn_keeps_float32() else " (oneDNN would not keep float32 here: not used).")
    group = models["kappa=0"][0]
    low, high = floor(group, default, 0), floor(group, default, 1)
    limit = statistics.median(seconds["upstream"]) / high
    print(
        f"They alone take {low * 1e3:.1f} ms of an update at kappa=0, {high * 1e3:.1f} ms of a sampled one: nothing "
        f"that uses them this way can be more than {limit:.2f} times faster than n x upstream here."
    )


if __name__ == "__main__":
    main()
