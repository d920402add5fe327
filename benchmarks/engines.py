"""Env steps per second of every engine that is installed, one environment and many: python benchmarks/engines.py

Random legal actions, one process. Single environments are driven through their PettingZoo or gymnasium interface,
vectors as arrays; drawing the actions is part of the time. Every line is measured ``--turns`` times, turn by turn, and
the median is printed. An engine that is not measured stands in the table with the reason. It takes about three minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marl_pr_common.envs import starcraft
from marl_pr_common.envs.simulators import ENGINES, missing

Steps = Callable[[int], int]
"""Runs at least so many env steps, and says how many."""
PARTICLES = ("CooperativeNavigation-3", "CooperativeNavigation-6", "PredatorPrey-3", "PredatorPrey-6")
BATTLES = ("3s_vs_5z", "5m_vs_6m")
GAMES = ("SMAC", "SMACv2")


def single(name: str, **options: Any) -> Steps:
    """One of our ParallelEnvs."""
    from marl_pr_common.envs import make

    env, rng = make(name, **options), np.random.default_rng(0)
    seen, _ = env.reset(seed=0)

    def action(agent: str, observation: Any) -> int:
        if not isinstance(observation, dict):
            return int(rng.integers(5))
        return int(rng.choice(np.flatnonzero(observation["action_mask"])))

    def steps(count: int) -> int:
        nonlocal seen
        for _ in range(count):
            if not env.agents:
                seen, _ = env.reset()
            seen, *_ = env.step({agent: action(agent, seen[agent]) for agent in env.agents})
        return count

    return steps


def vector(name: str, rows: int) -> Steps:
    """Many rows in one simulator, which are reset together; rows whose episode is over count no more until then."""
    if name in BATTLES:
        from marl_pr_common.envs.smax.vector import SMAXVector

        env: Any = SMAXVector(name, range(rows))
    else:
        from marl_pr_common.envs.particles.vector import ParticleVector

        env = ParticleVector(name, range(rows))
    rng, now, over = np.random.default_rng(0), env.reset(), np.zeros(rows, bool)

    def steps(count: int) -> int:
        nonlocal now, over
        done = 0
        while done < count:
            if over.all():
                now, over = env.reset(), np.zeros(rows, bool)
            now = env.step((rng.random(now.masks.shape) * now.masks).argmax(axis=2))
            done += int((~over).sum())
            over = over | now.ended | now.cut
        return done

    return steps


def smaclite_battle(map_name: str) -> Steps:
    """SMAClite, with this package's map file where it has no map of its own."""
    import gymnasium
    import smaclite  # noqa: F401

    import epymarl_pr

    file = Path(epymarl_pr.__file__).parent / "envs" / "maps" / f"{map_name}.json"
    own = {"map_file": str(file)} if file.is_file() else {}
    with contextlib.redirect_stdout(io.StringIO()):  # it says which port of RVO2 it uses
        env: Any = gymnasium.make(f"smaclite/{'custom' if own else map_name}-v0", seed=0, **own).unwrapped
    env.reset()
    rng = np.random.default_rng(0)

    def steps(count: int) -> int:
        for _ in range(count):
            legal = np.asarray(env.get_avail_actions())
            _, _, over, *_ = env.step([int(action) for action in (rng.random(legal.shape) * legal).argmax(axis=1)])
            if over:
                env.reset()
        return count

    return steps


def lines(rows: list[int], quick: int) -> list[tuple[str, str, int, Steps, int]]:
    """(task, engine, rows, what runs it, env steps of a turn) of everything that is installed."""
    there = {engine.name for engine in ENGINES if not missing(engine)}
    found: list[tuple[str, str, int, Steps, int]] = []
    for name in PARTICLES:
        if "mpe2" in there:
            found.append((name, "mpe2", 1, single(name), 2 * quick))
        if {"mpe2", "SMAX"} <= there:
            found.append((name, "JaxMARL", 1, single(name, engine="jaxmarl"), quick))
            found += [(name, "JaxMARL", count, vector(name, count), 50 * count) for count in rows]
    for name in BATTLES:
        if "SMAX" in there:
            found.append((name, "SMAX", 1, single(f"smax:{name}"), quick))
            found += [(name, "SMAX", count, vector(name, count), 50 * count) for count in rows]
        if "SMAClite" in there:
            found.append((name, "SMAClite", 1, smaclite_battle(name), quick // 10))
    return found


def unmeasured() -> dict[str, str]:
    """Engine -> why it has no number."""
    found = {
        engine.name: f"not installed: no {' and no '.join(missing(engine))}" for engine in ENGINES if missing(engine)
    }
    game = "needs StarCraft II" if starcraft.find() is None else "is not measured here"
    return {**found, **{name: f"{game}{'; ' + found[name] if name in found else ''}" for name in GAMES}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--steps", type=int, default=1000, help="env steps of a turn of a single environment")
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    found = lines(given.rows, given.steps)
    speeds: list[list[float]] = [[] for _ in found]
    for turn in range(given.turns + 1):
        for (_, _, _, steps, count), values in zip(found, speeds, strict=True):
            start = time.perf_counter()
            done = steps(count)
            if turn:  # the first one compiles
                values.append(done / (time.perf_counter() - start))
    table = [
        {"task": task, "engine": engine, "rows": rows, "steps/s": f"{float(f'{np.median(values):.2g}'):,.0f}"}
        for (task, engine, rows, *_), values in zip(found, speeds, strict=True)
    ]
    table += [{"task": "", "engine": engine, "rows": "", "steps/s": reason} for engine, reason in unmeasured().items()]
    print(pd.DataFrame(table).to_string(index=False))


if __name__ == "__main__":
    main()
