"""How fast n stacked agents train, as ratios to upstream SB3 measured in the same run.

    OMP_NUM_THREADS=1 python benchmarks/sb3_speed.py [--n-agents 3] [--env Hopper-v5] [--net 256 256] [--rounds 7]
    OMP_NUM_THREADS=1 python benchmarks/sb3_speed.py --n-agents 3 --n-teams 10     # stacked teams
    OMP_NUM_THREADS=1 python benchmarks/sb3_speed.py --goal stacked        # or one_voice, trust: docs/performance.md
    python benchmarks/sb3_speed.py --device cuda                                   # not run yet: no machine had one

Every arm trains a little, in turn, round after round (A B C A B C ...), so that what else the machine does meets all of
them; a ratio is the median over rounds of the quotient within a round. CPU time on one core; the clock's on an
accelerator. Whole ``learn()`` calls: environment steps, replay, updates, logging. ``update`` is ``train()`` alone,
against the matrix products of one update, which are timed in turns with it, shape by shape.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch as th
from stable_baselines3 import DDPG, TD3

from sb3_pr import DDPGPR, TD3PR
from sb3_pr.fast import onednn_keeps_float32
from sb3_pr.networks.mlp import _product

clock = time.process_time
WARM_UP, STEPS, UPDATES = 400, 100, 20  # steps per agent before, and in each measured piece; updates in a piece
ADJACENT = {"adjacency": "noise", "n_adjacent": 3}
ARMS: dict[str, dict[str, Any]] = {
    "kappa=0": {"kappa": 0.0},
    "one_voice": {"estimator": "one_voice"},
    "sampled": {"estimator": "sampled"},
    "full, same state": {},
    "full, 4 adjacent states": ADJACENT,
    "trust": {"trust": "td"},
    "trust, one_voice": {"trust": "td", "estimator": "one_voice"},
    "kappa=0, fast": {"kappa": 0.0, "fast": True},
    "sampled, fast": {"estimator": "sampled", "fast": True},
}
"""Arm -> parameters of ours; besides "upstream", "sbx" and "trust, team by team"."""
ONE_TEAM = ("upstream", *ARMS, "sbx")
TEAMS = ("upstream", "kappa=0", "trust", "trust, team by team")
GOALS: dict[str, tuple[dict[str, Any], list[tuple[str, str, str, float]]]] = {
    "stacked": (
        {"env": "HalfCheetah-v5", "n_agents": 1, "n_teams": 30, "net": [64, 64], "batch_size": 64},
        [("upstream", "kappa=0", ">=", 8.0)],
    ),
    "one_voice": (
        {"env": "HalfCheetah-v5", "n_agents": 3, "net": [256, 256], "batch_size": 256},
        [
            ("upstream", "one_voice", ">=", 1.45),
            ("sbx", "one_voice", ">=", 1.2),
            ("one_voice", "kappa=0", "<=", 1.03),
            ("update", "products", "<=", 1.3),
        ],
    ),
    "trust": (
        {"env": "HalfCheetah-v5", "n_agents": 3, "net": [256, 256], "batch_size": 256},
        [("trust", "full, same state", "<=", 1.15), ("trust, one_voice", "one_voice", "<=", 1.15)],
    ),
}
"""Name -> settings, and ratios of seconds (above, below) with what they should be."""


def made(arm: str, args: argparse.Namespace) -> list[Any]:
    """The models of an arm; n lone ones for upstream."""
    upstream, ours = (TD3, TD3PR) if args.algorithm == "td3" else (DDPG, DDPGPR)
    options = {
        "policy": "MlpPolicy",
        "env": args.env,
        "policy_kwargs": {"net_arch": args.net},
        "batch_size": args.batch_size,
        "learning_starts": 100,
        "buffer_size": 20_000,
        "seed": 0,
    }
    columns = args.n_agents * args.n_teams
    if arm == "sbx":
        import sbx  # the JAX implementation, pip install sbx-rl

        return [getattr(sbx, args.algorithm.upper())(**options) for _ in range(columns)]
    options["device"] = args.device
    if arm == "upstream":
        return [upstream(**options) for _ in range(columns)]
    if arm == "trust, team by team":
        return [ours(**options, n_agents=args.n_agents, trust="td") for _ in range(args.n_teams)]
    return [ours(**options, n_agents=args.n_agents, n_teams=args.n_teams, **ARMS[arm])]


def measure(models: dict[str, list[Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds per step of all agents, (rounds,) for each arm; of one update and of its products where they are."""
    pieces: dict[str, Callable[[], float]] = {}
    for name, group in models.items():
        for model in group:
            model.learn(WARM_UP * getattr(model, "n_columns", 1))
        pieces[name] = lambda group=group: learn(group)  # type: ignore[misc]
    if "one_voice" in models and models["one_voice"][0].device.type == "cpu":
        (model,) = models["one_voice"]
        pieces["update"], pieces["products"] = (lambda: update(model)), products(model)
    seconds: dict[str, list[float]] = {name: [] for name in pieces}
    for _ in range(rounds):
        for name, piece in pieces.items():
            seconds[name].append(piece())
    return seconds


def learn(group: list[Any]) -> float:
    """Seconds of one step of all agents."""
    start = clock()
    for model in group:
        model.learn(STEPS * getattr(model, "n_columns", 1), reset_num_timesteps=False)
    return (clock() - start) / STEPS


def update(model: Any) -> float:
    """Seconds of one update."""
    start = clock()
    model.train(gradient_steps=UPDATES, batch_size=model.batch_size)
    return (clock() - start) / UPDATES


def products(model: Any) -> Callable[[], float]:
    """Seconds that the matrix products of one update at one value per row take: what nothing can go below.

    Of TD3: the target actor and the target critics forward; the critics forward and backward; every ``policy_delay``
    updates the actor forward and backward, and one critic forward and for its input.
    """
    actor, critic = (
        [weight.shape for name, weight in network.named_parameters() if name.endswith("weight")]
        for network in (model.policy.actor.mu, model.policy.critic.qf0)
    )
    n, rows, critics, delay = model.n_columns, model.batch_size, model.policy.critic.n_critics, model.policy_delay
    counted: list[tuple[float, th.Tensor, th.Tensor]] = []
    for layers, forward, of_weights, of_input in (
        (actor, 1 + 1 / delay, 1 / delay, 1 / delay),
        (critic, critics * 2 + 1 / delay, critics, critics + 1 / delay),
    ):
        for index, (inputs, outputs) in enumerate(shape[-2:] for shape in layers):
            x, w, g = th.randn(n, rows, inputs), th.randn(n, inputs, outputs), th.randn(n, rows, outputs)
            counted += [(forward, x, w), (of_weights, x.transpose(1, 2), g)]
            if index or layers is critic:  # an actor's observations need no gradient
                counted.append((of_input if index else 1 / delay, g, w.transpose(1, 2)))

    def once() -> float:
        total = 0.0
        for weight, left, right in counted:
            start = clock()
            for _ in range(UPDATES):
                _product(left, right)
            total += weight * (clock() - start) / UPDATES
        return total

    return once


def ratio(above: list[float], below: list[float]) -> tuple[float, float, float]:
    """Median, smallest and largest quotient within a round."""
    quotients = [a / b for a, b in zip(above, below, strict=True)]
    return statistics.median(quotients), min(quotients), max(quotients)


def table(seconds: dict[str, list[float]]) -> None:
    """Every arm against upstream and against its kappa=0."""
    print("| arm | ms per step of all agents | times faster than n x upstream | time over kappa=0 |")
    print("| --- | --- | --- | --- |")
    for name, values in seconds.items():
        if name in ("update", "products"):
            continue
        faster, low, high = ratio(seconds["upstream"], values)
        zero = seconds["kappa=0, fast" if "fast" in name else "kappa=0"]
        over = "" if name in ("upstream", "sbx") else f"{ratio(values, zero)[0]:.2f}"
        print(f"| {name} | {statistics.median(values) * 1e3:.1f} | {faster:.2f} ({low:.2f} to {high:.2f}) | {over} |")
    if "products" in seconds:
        whole, alone = (statistics.median(seconds[name]) * 1e3 for name in ("update", "products"))
        print(f"\nOne update at one_voice takes {whole:.1f} ms, its matrix products alone {alone:.1f} ms.")
    if "kappa=0, fast" in seconds and not onednn_keeps_float32():
        print("oneDNN would not keep float32 here: fast=True leaves the products with the default library.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goal", choices=list(GOALS), help="the settings of a goal, and whether it is reached")
    parser.add_argument("--algorithm", choices=["td3", "ddpg"], default="td3")
    parser.add_argument("--env", default="Hopper-v5")
    parser.add_argument("--n-agents", type=int, default=3)
    parser.add_argument("--n-teams", type=int, default=1, help="stacked teams of --n-agents")
    parser.add_argument("--net", type=int, nargs="+", default=[256, 256])
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    goals: list[tuple[str, str, str, float]] = []
    arms = list(ONE_TEAM if args.n_teams == 1 else TEAMS if args.n_agents > 1 else TEAMS[:2])
    if args.goal:
        settings, goals = GOALS[args.goal]
        vars(args).update(settings)
        arms = list(dict.fromkeys(["upstream", "kappa=0", *(arm for goal in goals for arm in goal[:2])]))
        arms = [arm for arm in arms if arm not in ("update", "products")]
    if importlib.util.find_spec("sbx") is None:
        arms = [arm for arm in arms if arm != "sbx"]
    th.set_num_threads(1)
    if args.device != "cpu":
        global clock
        clock = time.perf_counter
    elif hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core: JAX would take more
    seconds = measure({arm: made(arm, args) for arm in arms}, args.rounds)
    agents = f"{args.n_teams} x {args.n_agents} agents" if args.n_teams > 1 else f"{args.n_agents} agents"
    shape = f"nets {args.net}, batches of {args.batch_size}"
    print(f"{args.algorithm.upper()} on {args.env}, {agents}, {shape}, {args.rounds} rounds\n")
    table(seconds)
    for above, below, sign, goal in goals:
        if above not in seconds:
            print(f"\n{above} is not installed: no ratio to it.")
            continue
        found, low, high = ratio(seconds[above], seconds[below])
        reached = found >= goal if sign == ">=" else found <= goal
        said = "reached" if reached else "not reached"
        print(f"\n{above} over {below}: {found:.2f} ({low:.2f} to {high:.2f}), goal {sign} {goal}: {said}.")


if __name__ == "__main__":
    main()
