"""Collecting episodes in EPyMARL: forked workers against one simulator. python benchmarks/collection.py [--rows 8]

Both runners collect with the same untrained QMIX controller (epsilon 1, as at the start of a run), turn by turn
(A B A B) in one process; no learner trains. The workers run mpe2 where the simulator is JaxMARL's particles, as a user
would. Prints the medians of the env steps per second of every turn, the median and range of the turns' ratios, and
how much of the vectorised runner's time its simulator takes: the rest is EPyMARL's own loop and controller, which both
share. Needs a checkout of EPyMARL.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from epymarl_pr.launch import launcher, register

CONFIGS = {"smax": "map_name", "gymma": "key"}


def arguments(env_config: str, task: str, rows: int, runner: str) -> SimpleNamespace:
    """EPyMARL's settings of a run of QMIX."""
    engine = "jaxmarl" if runner == "vectorised" else "mpe2"
    settings = [f"env_args.{CONFIGS[env_config]}={task}", f"batch_size_run={rows}", "use_cuda=False"]
    settings += [f"env_args.engine={engine}"] * (env_config == "gymma") + [f"runner={runner}"]
    argv = ["--config=qmix", f"--env-config={env_config}", "with", *settings]
    with tempfile.TemporaryDirectory() as folder:
        prepared = launcher.prepare(argv, Path(folder))
    config = {**prepared.config, "device": "cpu", "seed": 0}
    config["env_args"] = {**config["env_args"], "seed": 0}
    return SimpleNamespace(**config)


def controller(runner: Any, args: SimpleNamespace) -> None:
    """Give a runner what EPyMARL's training loop gives it."""
    import torch as th
    from components.episode_buffer import ReplayBuffer
    from components.transforms import OneHot
    from controllers import REGISTRY

    info = runner.get_env_info()
    args.n_agents, args.n_actions, args.state_shape = info["n_agents"], info["n_actions"], info["state_shape"]
    scheme = {
        "state": {"vshape": info["state_shape"]},
        "obs": {"vshape": info["obs_shape"], "group": "agents"},
        "actions": {"vshape": (1,), "group": "agents", "dtype": th.long},
        "avail_actions": {"vshape": (info["n_actions"],), "group": "agents", "dtype": th.int},
        "terminated": {"vshape": (1,), "dtype": th.uint8},
        "reward": {"vshape": (1,)},
    }
    groups = {"agents": args.n_agents}
    preprocess = {"actions": ("actions_onehot", [OneHot(out_dim=args.n_actions)])}
    buffer = ReplayBuffer(scheme, groups, 1, info["episode_limit"] + 1, preprocess=preprocess)
    mac = REGISTRY[args.mac](buffer.scheme, groups, args)
    runner.setup(scheme=scheme, groups=groups, preprocess=preprocess, mac=mac)


def speed(runner: Any, steps: int) -> float:
    """Env steps per second over at least ``steps`` of them."""
    begun, start = runner.t_env, time.perf_counter()
    while runner.t_env - begun < steps:
        runner.run(test_mode=False)
    return float((runner.t_env - begun) / (time.perf_counter() - start))


def timed(runner: Any) -> list[float]:
    """Seconds of every call of the simulator behind a vectorised runner, from now on."""
    env, seconds = runner.parent_conns[0]._rows._env, []

    def watch(call: Any) -> Any:
        def measured(*given: Any) -> Any:
            start = time.perf_counter()
            found = call(*given)
            seconds.append(time.perf_counter() - start)
            return found

        return measured

    env.reset, env.step = watch(env.reset), watch(env.step)
    return seconds


def compare(env_config: str, task: str, rows: int, steps: int, turns: int) -> dict[str, Any]:
    """One line of the table."""
    import torch as th

    th.set_num_threads(1)
    runners = {}
    for name in ("parallel", "vectorised"):  # the workers are forked before jax is imported here
        args = arguments(env_config, task, rows, name)
        register.environments()
        register.runners()
        from runners import REGISTRY

        runners[name] = REGISTRY[name](args=args, logger=mock.Mock())
        controller(runners[name], args)
        speed(runners[name], steps // 4)
    found: dict[str, list[float]] = {name: [] for name in runners}
    inside, whole = timed(runners["vectorised"]), 0.0
    for _ in range(turns):
        for name, runner in runners.items():
            start = time.perf_counter()
            found[name].append(speed(runner, steps))
            whole += (time.perf_counter() - start) * (name == "vectorised")
    runners["parallel"].close_env()
    medians = {name: float(np.median(values)) for name, values in found.items()}
    ratios = [b / a for a, b in zip(found["parallel"], found["vectorised"], strict=True)]
    line: dict[str, Any] = {"env": f"{env_config} {task}", "rows": rows}
    line |= {f"{name} steps/s": round(value, -1) for name, value in medians.items()}
    line["ratio"] = f"{np.median(ratios):.1f} [{min(ratios):.1f}, {max(ratios):.1f}]"
    return {**line, "simulator": f"{sum(inside) / whole:.0%}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--env-config", default="smax", choices=CONFIGS)
    parser.add_argument("--task", default="3s_vs_5z")
    given = parser.parse_args()
    line = compare(given.env_config, given.task, given.rows, given.steps, given.turns)
    print(pd.DataFrame([line]).to_string(index=False))


if __name__ == "__main__":
    main()
