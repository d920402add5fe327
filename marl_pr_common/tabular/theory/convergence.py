"""How fast the consistent variant reaches Q*: error against updates on random MDPs with known Q*."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from marl_pr_common.envs import ObsSpace, optimal_q, random_mdp
from marl_pr_common.reciprocity import peers
from marl_pr_common.report.figures.style import new_figure, save_figure
from marl_pr_common.tabular import DigitalRun, Power, Shrink, TabularConfig, TheoryWarning
from marl_pr_common.tabular.measures import decay_slope, distance
from marl_pr_common.tabular.schedules import Schedule
from marl_pr_common.tabular.theory.figures import COLOURS, DASHES, Advance

ALPHA, BETA = Power(0.9, 0.85), Power(0.1, 0.05)
"""Inside the theorems' range for any reward with finite variance: tau_2 < tau_1 - 1/2."""
VARIANTS: dict[str, float | Schedule] = {"Shrink(1): consistent": Shrink(1.0), "kappa = 0.5, constant": 0.5}
CHECKPOINTS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000, 4_000_000)


def error_curve(seed: int, kappa: float | Schedule, at: tuple[int, ...]) -> list[float]:
    """sup over all agents of |Q_i - Q*| in units of the range of Q*, on random MDP number ``seed``.

    Odd numbers have a ring of peers, even ones the complete graph.
    """
    rng = np.random.default_rng([seed, 2304])
    mdp = random_mdp(rng)
    graph = peers.ring(mdp.n_agents) if seed % 2 else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)  # the constant kappa stands there for comparison
        reciprocity = TabularConfig(weighting="mean").reciprocity(
            [ObsSpace((mdp.n_states,), ordinal=(True,))] * mdp.n_agents, graph
        )
        run = DigitalRun(mdp, reciprocity, ALPHA, BETA, kappa, [rng])
    q_star = optimal_q(mdp)
    return [float(distance(q, q_star)[0] / np.ptp(q_star)) for _, q in run.snapshots(at)]


def convergence(out: Path, n_mdps: int = 20, advance: Advance | None = None) -> Path:
    """Write ``convergence.png``, ``.svg``, ``.csv`` and ``.md``: both variants on ``n_mdps`` random MDPs."""
    rows = []
    for name, kappa in VARIANTS.items():
        for seed in range(n_mdps):
            rows += [
                (name, seed, at, e) for at, e in zip(CHECKPOINTS, error_curve(seed, kappa, CHECKPOINTS), strict=True)
            ]
            if advance:
                advance(CHECKPOINTS[-1])
    data = pd.DataFrame(rows, columns=["variant", "mdp", "steps", "error"])
    out.mkdir(parents=True, exist_ok=True)
    data.to_csv(out / "convergence.csv", index=False)
    figure, axes = new_figure(1, 1, (5.6, 4.0))
    lines = [f"Random MDPs: {n_mdps}. alpha {ALPHA}, beta {BETA}. Errors in units of the range of Q*.", ""]
    for k, name in enumerate(VARIANTS):
        table = data[data["variant"] == name].pivot(index="steps", columns="mdp", values="error")
        axes[0, 0].plot(table.index, table, color=COLOURS[k + 1], linewidth=0.6, alpha=0.4)
        median = table.median(axis=1)
        axes[0, 0].plot(median.index, median, color=COLOURS[k + 1], linestyle=DASHES[2 * k], linewidth=2.2, label=name)
        last = table.loc[CHECKPOINTS[-1]]
        slope = decay_slope(median.index[2:], median.to_numpy()[2:])
        lines.append(
            f"- {name}: after {CHECKPOINTS[-1]:,} steps median {last.median():.4f}, worst {last.max():.4f}, "
            f"{int((last < 0.01).sum())} of {n_mdps} below 0.01; "
            f"slope of the median from 100,000 steps on: {slope:.2f}."
        )
    (out / "convergence.md").write_text("\n".join(lines) + "\n")
    axes[0, 0].axhline(0.01, color="0.5", linewidth=0.8, linestyle=":")
    axes[0, 0].set(
        xscale="log", yscale="log", xlabel="steps = updates of every agent", ylabel="sup |Q_i - Q*| / range of Q*"
    )
    axes[0, 0].set_title(f"{n_mdps} random MDPs, thick: median")
    axes[0, 0].legend(frameon=False)
    axes[0, 0].grid(alpha=0.25)
    return save_figure(figure, out / "convergence", dpi=150)[0]
