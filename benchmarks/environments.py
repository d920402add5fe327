"""Reference returns and speed of the particle environments: python benchmarks/environments.py [--episodes 300]

Predator-prey: mean return of one predator (all are paid the same) over an episode of 25 steps, for a chasing script and
for random actions, against every prey. Cooperative navigation: sum over agents, for agents that are assigned to
landmarks, and for random actions. Mean and standard error over episodes, and environment steps per second with random
actions. Seed 0. "pretrained" needs a checkout of EPyMARL and is left out without one.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from marl_pr_common.envs import make
from marl_pr_common.envs.grids.reference import chase, cover, own

Team = Callable[[Any], dict[str, int]]
PREYS = ("random", "frozen", "flee", "pretrained")


def random_team(rng: np.random.Generator) -> Team:
    """Uniform actions."""
    return lambda observations: {agent: int(rng.integers(5)) for agent in observations}


def returns(env: Any, team: Team, episodes: int) -> np.ndarray:
    """Return of every agent in every episode, (episodes, n_agents)."""
    env.seed(0)
    totals = np.zeros((episodes, len(env.possible_agents)))
    for total in totals:
        observations, _ = env.reset()
        while env.agents:
            observations, rewards, *_ = env.step(team(observations))
            total += list(rewards.values())
    return totals


def row(name: str, scale: str, reference: Team, episodes: int, **options: Any) -> dict[str, Any]:
    """One line of the table."""
    env = make(name, **options)
    aggregate = np.mean if scale == "per predator" else np.sum
    line: dict[str, Any] = {"environment": name, **options, "returns": scale}
    for label, team in (("script", reference), ("random team", random_team(np.random.default_rng(0)))):
        start = time.perf_counter()
        values = aggregate(returns(env, team, episodes), axis=1)
        line[label] = f"{values.mean():.1f} ± {values.std(ddof=1) / np.sqrt(episodes):.1f}"
        line["steps/s"] = int(episodes * env.max_cycles / (time.perf_counter() - start) / 10) * 10
    return line


def inverted_prey(n_agents: int, episodes: int) -> dict[str, Any]:
    """The pretrained prey with its actions as EPyMARL ships them, for comparison."""
    from marl_pr_common.envs.particles.pretrained_prey import PretrainedPrey

    env = make(f"PredatorPrey-{n_agents}", prey="frozen")
    env.prey = PretrainedPrey(as_shipped=True)
    values = returns(env, chase, episodes).mean(axis=1)
    script = f"{values.mean():.1f} ± {values.std(ddof=1) / np.sqrt(episodes):.1f}"
    name = f"PredatorPrey-{n_agents}"
    return {"environment": name, "prey": "pretrained, inverted", "returns": "per predator", "script": script}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=300)
    episodes = parser.parse_args().episodes
    rows = []
    for n in (2, 3, 4, 6):
        for prey in PREYS:
            try:
                rows.append(row(f"PredatorPrey-{n}", "per predator", chase, episodes, prey=prey))
            except FileNotFoundError as error:
                print(f"left out: {error}")
    with contextlib.suppress(FileNotFoundError):
        rows.append(inverted_prey(3, episodes))
    for n in (3, 6):
        for suffix, script in (("", cover), ("-maptf", own)):
            rows.append(row(f"CooperativeNavigation-{n}{suffix}", "sum of agents", script, episodes))
    print(pd.DataFrame(rows).astype(object).fillna("").to_string(index=False))


if __name__ == "__main__":
    main()
