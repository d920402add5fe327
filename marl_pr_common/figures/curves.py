"""Learning curves of tabular learners on any registered environment, as tidy rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marl_pr_common.envs import GRIDS, grid_spec, make
from marl_pr_common.figures.style import median_interval
from marl_pr_common.tabular import ParallelTrainer, TabularConfig, TabularPR, TheoryWarning, WorldTrainer
from marl_pr_common.tabular.config import decision, faithful, iql, shared_table
from marl_pr_common.tabular.schedules import Power

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Budget:
    """How long to train, per agent, and how often to look."""

    steps: int
    every: int
    episodes: int = 20


BUDGETS = {
    "Landmarks-2": Budget(15_000, 300),
    "Landmarks-10": Budget(60_000, 1_000),
    "Navigation-3": Budget(25_000, 500),
    "Navigation-10": Budget(30_000, 500),
    "Blocker-2": Budget(12_000, 250),
    "Blocker-3": Budget(1_000_000, 25_000),
    "Courier-4": Budget(40_000, 1_000),
    "Cliff-4": Budget(8_000, 250),
}


def arms(env: str) -> dict[str, tuple[str, TabularConfig]]:
    """The compared learners: label and options by short name. The paper's beta is .3 on Navigation, else .4."""
    beta = 0.3 if env.startswith("Navigation") else 0.4
    decayed = Power(1.0, 0.65)
    return {
        "iql": ("IQL, alpha = .5 (paper)", iql()),
        "iql-decay": ("IQL, alpha = (k+1)^-.65", iql(decayed)),
        "shared": ("one shared table, alpha = .5", shared_table()),
        "faithful": ("PR eq. 5, the paper's numbers", faithful(beta)),
        "decision": ("PR decision, alpha = .5", decision()),
        "decision-decay": ("PR decision, alpha = (k+1)^-.65", decision(decayed)),
    }


def learning_curve(
    env: str, config: TabularConfig, seeds: int, budget: Budget, advance: Advance | None = None, epsilon: float = 0.1
) -> pd.DataFrame:
    """Greedy return before, during and after training, for every seed.

    :param advance: called with the number of steps done (over all seeds) after each piece of work, for a progress bar
    :returns: columns seed, steps (per agent), total_steps (all agents, those that had left not counted), episodes,
        mean_return
        (undiscounted, mean over agents and evaluation episodes). Row 0 of each seed is the untrained, random policy
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)  # the summary reports on the theorems' conditions
        if env.partition("-")[0] in GRIDS:
            rows = _grid_rows(env, config, seeds, budget, advance, epsilon)
        else:
            rows = _parallel_rows(env, config, seeds, budget, advance, epsilon)
    return pd.DataFrame(rows, columns=["seed", "steps", "total_steps", "episodes", "mean_return"])


Row = tuple[int, int, int, int, float]


def _grid_rows(
    env: str, config: TabularConfig, seeds: int, budget: Budget, advance: Advance | None, epsilon: float
) -> list[Row]:
    spec = grid_spec(env)
    learner = TabularPR(config.reciprocity(spec.spaces), spec.n_actions, config, spec.gamma, seeds)
    trainer = WorldTrainer(spec, learner, [np.random.default_rng([seed, 0]) for seed in range(seeds)], epsilon)
    test_rngs = [np.random.default_rng([seed, 1]) for seed in range(seeds)]
    rows: list[Row] = []
    while True:
        returns = trainer.evaluate(budget.episodes, test_rngs).mean(axis=(1, 2))
        totals = learner.tables.n.sum(axis=(1, 2, 3))
        rows += [(b, learner.steps, int(totals[b]), budget.episodes, float(returns[b])) for b in range(seeds)]
        if learner.steps >= budget.steps:
            return rows
        piece = min(budget.every, budget.steps - learner.steps)
        trainer.train(piece)
        if advance:
            advance(piece * seeds)


def _parallel_rows(
    env: str, config: TabularConfig, seeds: int, budget: Budget, advance: Advance | None, epsilon: float
) -> list[Row]:
    rows: list[Row] = []
    for seed in range(seeds):
        trainer = ParallelTrainer(lambda: make(env), config, epsilon=epsilon, seed=seed)
        while True:
            evaluation = trainer.evaluate(budget.episodes)
            mean = float(evaluation.returns.mean())
            rows.append((seed, evaluation.steps, evaluation.total_steps, budget.episodes, mean))
            if evaluation.steps >= budget.steps:
                break
            piece = min(budget.every, budget.steps - evaluation.steps)
            trainer.train(piece)
            if advance:
                advance(piece)
    return rows


def curves(
    env: str,
    chosen: Mapping[str, tuple[str, TabularConfig]],
    seeds: int,
    budget: Budget,
    advance: Advance | None = None,
) -> pd.DataFrame:
    """:func:`learning_curve` of several learners, with columns env and arm in front."""
    parts = []
    for name, (_, config) in chosen.items():
        part = learning_curve(env, config, seeds, budget, advance)
        part.insert(0, "arm", name)
        part.insert(0, "env", env)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def threshold(data: pd.DataFrame, share: float = 0.8) -> float:
    """The return that is ``share`` of the way from the untrained policy to the best point of IQL's mean curve.

    IQL is the better of its arms in ``data``; needs the arm "iql".
    """
    plain = data[data["arm"].isin(["iql", "iql-decay"])]
    best = float(plain.groupby(["arm", "steps"])["mean_return"].mean().max())
    start = float(data[(data["arm"] == "iql") & (data["steps"] == 0)]["mean_return"].mean())
    return start + share * (best - start)


def steps_to(data: pd.DataFrame, level: float, smooth: int = 3) -> pd.Series:
    """Steps per agent at which each seed's running mean of ``smooth`` evaluations first reaches ``level``; else
    infinity.

    :param data: rows of one arm
    """
    result = {}
    for seed, rows in data.groupby("seed"):
        ordered = rows.sort_values("steps")
        smoothed = ordered["mean_return"].rolling(smooth, min_periods=1).mean().to_numpy()
        reached = np.flatnonzero(smoothed >= level)
        result[seed] = float(ordered["steps"].iloc[reached[0]]) if len(reached) else np.inf
    return pd.Series(result)


def median_steps(data: pd.DataFrame, level: float, rng: np.random.Generator) -> tuple[float, float, float, int, int]:
    """Median over seeds of :func:`steps_to` with its 95 % interval, how many seeds reached it, and of how many."""
    steps = steps_to(data, level)
    middle, low, high = median_interval(steps.to_numpy(), rng)
    return middle, low, high, int(np.isfinite(steps).sum()), len(steps)
