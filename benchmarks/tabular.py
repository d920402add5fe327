"""Speed of tabular IQL+PR: python benchmarks/tabular.py [--out runs/benchmarks] [--repeats 5]

Digital with N = 20 agents, 20 states, 2 actions, |S#| = 3, complete graph, environment included. In one run: the fused
kernel, NumPy vectorised over agents and 100 seeds, NumPy vectorised over agents, and a plain Python loop over NumPy
tables. CPU seconds of one thread per agent and update, median of the repeats, interleaved.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from marl_pr_common.envs import FiniteMDP, ObsSpace, digital_mdp, grid_spec
from marl_pr_common.reciprocity import peers
from marl_pr_common.report.figures.style import OKABE_ITO, new_figure, save_figure
from marl_pr_common.tabular import (
    Constant,
    DigitalRun,
    Power,
    TabularConfig,
    TabularPR,
    TheoryWarning,
    WorldTrainer,
    decision,
    faithful,
    iql,
)

ALPHA, BETA, KAPPA = Power(0.3, 0.65), Power(0.3, 0.35), 0.5


def plain_loop(mdp: FiniteMDP, steps: int, reciprocity: bool, seed: int = 0) -> np.ndarray:
    """IQL, or IQL+PR by eq. 4 to 6, as one writes it first: Python loops over NumPy tables."""
    rng = np.random.default_rng(seed)
    q = [np.zeros((mdp.n_states, mdp.n_actions)) for _ in range(mdp.n_agents)]
    visits = np.zeros((mdp.n_states, mdp.n_actions))
    s = 0
    for _ in range(steps):
        a = int(rng.integers(mdp.n_actions))
        following = int(rng.choice(mdp.n_states, p=mdp.transition[s, a]))
        k = visits[s, a]
        alpha, beta = 0.3 / (k + 1) ** 0.65, 0.3 / (k + 1) ** 0.35
        star = 0.0
        if reciprocity:
            near = [x for x in (s - 1, s, s + 1) if 0 <= x < mdp.n_states]
            same = sum(table[s, a] for table in q) / mdp.n_agents
            sharp = sum(sum(table[x, a] for x in near) / len(near) for table in q) / mdp.n_agents
            star = KAPPA * same + (1 - KAPPA) * sharp
        for i in range(mdp.n_agents):
            reward = mdp.reward[i, s, a] + rng.uniform(-0.5, 0.5)
            new = q[i][s, a] + alpha * (reward + mdp.gamma * q[i][following].max() - q[i][s, a])
            if reciprocity:
                new += beta * (star - q[i][s, a])
            q[i][s, a] = new
        visits[s, a] += 1
        s = following
    return np.stack(q)


def digital(
    n_agents: int, n_states: int, seeds: int, backend: str, pr: bool = True, level: int = 1, ring: bool = False
) -> DigitalRun:
    """A run of Digital's kind; S# holds 2 * level + 1 states."""
    mdp = digital_mdp(np.random.default_rng(0), n_states, 2, n_agents)
    config = TabularConfig(weighting="mean", level=level)
    graph = peers.ring(n_agents) if ring else None
    reciprocity = config.reciprocity([ObsSpace((n_states,), ordinal=(True,))] * n_agents, graph)
    rngs = [np.random.default_rng(seed) for seed in range(seeds)]
    return DigitalRun(mdp, reciprocity, ALPHA, BETA if pr else Constant(0.0), KAPPA, rngs, backend=backend)


def nanoseconds(work: Callable[[int], object], steps: int, updates_per_step: int) -> float:
    """CPU nanoseconds per agent and update."""
    start = time.process_time()
    work(steps)
    return (time.process_time() - start) / steps / updates_per_step * 1e9


def main_table(repeats: int) -> pd.DataFrame:
    """All implementations, interleaved, so that a busy machine disturbs them alike."""
    mdp = digital_mdp(np.random.default_rng(0))
    cases: dict[tuple[str, str], tuple[Callable[[int], object], int, int]] = {}
    for name, pr in (("IQL", False), ("IQL+PR", True)):
        cases["plain Python loop", name] = (lambda steps, pr=pr: plain_loop(mdp, steps, pr), 400, 20)
        cases["NumPy over agents", name] = (digital(20, 20, 1, "numpy", pr).train, 2_000, 20)
        cases["NumPy over agents and 100 seeds", name] = (digital(20, 20, 100, "numpy", pr).train, 300, 2_000)
        cases["fused", name] = (digital(20, 20, 1, "numba", pr).train, 1_000_000, 20)
    for work, _, _ in cases.values():
        work(10)  # compile
    times: dict[tuple[str, str], list[float]] = {key: [] for key in cases}
    for _ in range(repeats):
        for key, (work, steps, updates) in cases.items():
            times[key].append(nanoseconds(work, steps, updates))
    rows = [
        (name, algorithm, statistics.median(values), min(values), max(values))
        for (name, algorithm), values in times.items()
    ]
    table = pd.DataFrame(rows, columns=["implementation", "algorithm", "ns", "ns_min", "ns_max"])
    fused = table[table["implementation"] == "fused"].set_index("algorithm")["ns"]
    table["million_updates_per_s"] = 1e3 / table["ns"]
    table["times_fused"] = table["ns"] / table["algorithm"].map(fused)
    return table


def grid_table(repeats: int) -> pd.DataFrame:
    """Nanoseconds per agent and environment step of the grid worlds, exploration and environment included."""
    rows = []
    for env in ("Landmarks-2", "Navigation-10", "Blocker-3"):
        spec = grid_spec(env)
        for name, config in {"IQL": iql(), "PR faithful": faithful(), "PR decision": decision()}.items():
            learner = TabularPR(config.reciprocity(spec.spaces), 5, config, spec.gamma, 1, "numba")
            trainer = WorldTrainer(spec, learner, [np.random.default_rng(0)])
            trainer.train(10)
            found = [nanoseconds(trainer.train, 20_000, spec.n_agents) for _ in range(repeats)]
            rows.append((env, name, statistics.median(found)))
    return pd.DataFrame(rows, columns=["env", "algorithm", "ns"])


def scaling(repeats: int) -> pd.DataFrame:
    """Cost against N, |S| and |S#|, the others as in Digital."""
    cases = [("N", n, (n, 20, 1)) for n in (3, 5, 10, 20, 50, 100, 200)]
    cases += [("|S|", s, (20, s, 1)) for s in (10, 20, 50, 100, 200, 500)]
    cases += [("|S#|", 2 * level + 1, (20, 50, level)) for level in (0, 1, 2, 5, 10, 20)]
    rows = []
    for axis, value, (n, states, level) in cases:
        for label, pr, ring in (("IQL", False, False), ("PR, complete graph", True, False), ("PR, ring", True, True)):
            train = digital(n, states, 1, "numba", pr, level, ring).train
            train(10)
            found = [nanoseconds(train, 4_000_000 // n, n) for _ in range(repeats)]
            rows.append((axis, value, label, statistics.median(found)))
    return pd.DataFrame(rows, columns=["axis", "value", "algorithm", "ns"])


def draw(data: pd.DataFrame, path: Path) -> None:
    """One panel per axis."""
    figure, axes = new_figure(1, 3, (12.0, 3.4))
    for axis, (name, part) in zip(axes[0], data.groupby("axis", sort=False), strict=True):
        for k, (label, rows) in enumerate(part.groupby("algorithm", sort=False)):
            axis.plot(rows["value"], rows["ns"], "osD"[k] + "-", color=OKABE_ITO[k], markersize=4, label=label)
        axis.set(xlabel=str(name), ylabel="ns per agent and update", xscale="log", yscale="log")
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8, frameon=False)
    save_figure(figure, path, dpi=150)


def main() -> None:
    """Measure, print, and write CSV and the scaling figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore", TheoryWarning)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, table in {"tabular": main_table(options.repeats), "tabular_grids": grid_table(options.repeats)}.items():
        table.to_csv(options.out / f"{name}.csv", index=False)
        print(table.round(2).to_string(index=False), end="\n\n")
    data = scaling(max(options.repeats // 2, 1))
    data.to_csv(options.out / "tabular_scaling.csv", index=False)
    draw(data, options.out / "tabular_scaling")
    print(data.round(1).to_string(index=False))


if __name__ == "__main__":
    main()
