"""Arms of TD3PR on one task, the seeds of each as stacked teams in one process; `marl-pr report` compares them.

    OMP_NUM_THREADS=1 python benchmarks/stacked_study.py --arm independent --out runs/copies
    OMP_NUM_THREADS=1 python benchmarks/stacked_study.py --arm uniform --out runs/copies
    OMP_NUM_THREADS=1 python benchmarks/stacked_study.py --arm trust --out runs/copies
    marl-pr report runs/copies --reference independent --out runs/copies/report

A seed is a team, and each team has a table of results of its own, as a cell of a study. An arm that is there is kept,
an interrupted one begins anew. Every team is evaluated as often as ``--eval-every`` says, agent by agent.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import stable_baselines3

from marl_pr_common.runs.table import Clock, ResultsWriter, RunIdentity, set_aside
from sb3_pr import TD3PR, evaluate_agents

ARMS = {"independent": {"kappa": 0.0}, "uniform": {}, "trust": {"trust": "td"}, "one_voice": {"estimator": "one_voice"}}
SETTINGS = {"learning_rate": 1e-3, "batch_size": 64, "policy_kwargs": {"net_arch": [64, 64]}, "device": "cpu"}
"""What of SB3's defaults is not kept: smaller networks and batches."""
WARM_UP = 1_000
"""Steps of each agent with random actions."""


def main() -> None:
    """Train one arm in pieces, and write what each team's agents reach."""
    args = arguments()
    folders = {seed: args.out / f"{args.arm}-{args.env}-seed{seed}" for seed in args.seeds}
    if all((folder / "results.parquet").exists() for folder in folders.values()):
        print(f"{args.arm} is there.")
        return
    columns = args.n_agents * len(args.seeds)
    options = {"learning_starts": WARM_UP * columns, "buffer_size": args.steps * columns, **SETTINGS}
    reciprocity = {"kappa": args.kappa, **ARMS[args.arm]}
    teams = {"n_agents": args.n_agents, "n_teams": len(args.seeds), "seeds": args.seeds}
    model = TD3PR("MlpPolicy", args.env, **teams, **options, **reciprocity)
    protocol = f"{args.episodes} episodes of each agent, deterministic"
    identity = [
        RunIdentity(
            run=folder.name,
            arm=args.arm,
            task=args.env,
            engine=f"stable-baselines3 {stable_baselines3.__version__}",
            seed=seed,
            evaluation=protocol,
        )
        for seed, folder in folders.items()
    ]
    for folder in folders.values():
        set_aside(folder)
        folder.mkdir(parents=True)
    writers = [ResultsWriter(folder, who) for folder, who in zip(folders.values(), identity, strict=True)]
    wall = cpu = 0.0
    for step in range(0, args.steps + 1, args.eval_every):
        if step:
            began, busy = time.perf_counter(), time.process_time()
            model.learn(args.eval_every * columns, reset_num_timesteps=False)
            wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - busy
        returns = evaluate_agents(model, args.env, args.episodes, seed=10_000 + step, vote=False)
        clock = Clock(step, step * args.n_agents, max(0, step - WARM_UP), wall / len(writers), cpu / len(writers))
        for writer, team in zip(writers, returns, strict=True):
            for agent, reached in enumerate(team):
                writer.append(clock, {"eval/return": float(reached.mean())}, agent)
        mean = sum(float(reached.mean()) for team in returns for reached in team) / columns
        print(f"{args.arm}: {step} steps per agent, mean return {mean:.1f}, {cpu:.0f} s of CPU", flush=True)
    for writer in writers:
        writer.flush()


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--arm", choices=list(ARMS), required=True)
    parser.add_argument("--env", default="HalfCheetah-v5")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1_000, 2_000, 100)))
    parser.add_argument("--n-agents", type=int, default=3)
    parser.add_argument("--kappa", type=float, default=2 / 3)
    parser.add_argument("--steps", type=int, default=24_000, help="of each agent")
    parser.add_argument("--eval-every", type=int, default=4_000)
    parser.add_argument("--episodes", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
