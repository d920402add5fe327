"""Figures 2 and 3: consensus on Digital; and beside them what the paper does not show, the distance to Q*."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marl_pr_common.config.arrays import Floats
from marl_pr_common.envs import FiniteMDP, ObsSpace, digital_mdp, optimal_q
from marl_pr_common.report.figures.style import OKABE_ITO, new_figure, save_figure
from marl_pr_common.results.stats import mean_interval
from marl_pr_common.tabular import DigitalRun, Power, Shrink, TabularConfig, TheoryWarning, measures
from marl_pr_common.tabular.schedules import Schedule

Advance = Callable[[int], None]
"""Called with the number of steps done after each piece of work, for a progress bar."""
COLOURS = tuple(OKABE_ITO[index] for index in (6, 0, 5, 3, 2, 1, 4))
DASHES = ("-", ":", "--", "-.", "-", "--", "-.")
ALPHA, BETA = Power(0.3, 0.65), Power(0.3, 0.35)
"""The paper's numbers for Digital (section V.A)."""
KAPPAS: dict[str, float | Schedule] = {"1": 1.0, "0.9": 0.9, "0.5": 0.5, "0.3": 0.3, "Shrink(30)": Shrink(30.0)}
MEASURES = {
    "bound": "sup |Q|",
    "consensus": "sup |Q_i - Qbar|",
    "policy_mse": "policy MSE (paper's Figure 2)",
    "mean_distance": "sup |Qbar - Q*|",
    "process_distance": "sup |Q_i - Q_i at kappa = 1|",
}


def checkpoints(steps: int) -> list[int]:
    """Four numbers of steps per decade from 1000 to ``steps``, the last included."""
    count = max(round(float(4 * np.log10(max(steps, 1000) / 1000))) + 1, 2)
    return sorted({round(float(s)) for s in np.geomspace(min(1000, steps), steps, count)})


def digital_runs(
    seeds: int, steps: int, kappas: dict[str, float | Schedule], advance: Advance | None = None, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, Floats], FiniteMDP]:
    """Run every kappa on the same Digital, with the same transitions and rewards per seed.

    :param kappas: by name; must contain "1", the process of Corollary 1
    :param seed: of the environment's transition probabilities and mean rewards
    :returns: tidy rows (kappa, seed, steps, one column per measure); the last tables q (B, N, S, A) by kappa; the model
    """
    mdp = digital_mdp(np.random.default_rng(seed))
    q_star = optimal_q(mdp)
    reciprocity = TabularConfig(weighting="mean").reciprocity([ObsSpace((20,), ordinal=(True,))] * mdp.n_agents)
    at, rows = checkpoints(steps), []
    base: dict[int, Floats] = {}
    last: dict[str, Floats] = {}
    for name in sorted(kappas, key=lambda key: key != "1"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TheoryWarning)  # constant kappa < 1 is what the figure is about
            rngs = [np.random.default_rng([s, 4]) for s in range(seeds)]
            run = DigitalRun(mdp, reciprocity, ALPHA, BETA, kappas[name], rngs)
        before = 0
        for done, q in run.snapshots(at):
            if name == "1":
                base[done] = q
            columns = (
                measures.boundedness(q),
                measures.consensus_error(q),
                measures.policy_mse(q),
                measures.mean_distance(q, q_star),
                measures.process_distance(q, base[done]),
            )
            rows += [(name, b, done, *(float(column[b]) for column in columns)) for b in range(seeds)]
            last[name] = q
            if advance:
                advance((done - before) * seeds)
            before = done
    return pd.DataFrame(rows, columns=["kappa", "seed", "steps", *MEASURES]), last, mdp


def figure2(seeds: int, steps: int, out: Path, advance: Advance | None = None) -> Path:
    """Upper: Boltzmann policies of agents 6, 9, 12 and the mean agent at random states. Lower: the measures against
    steps."""
    agents = (6, 9, 12)
    data, last, mdp = _told(out / "figure2", seeds, steps, "0.5", agents, advance)
    figure, axes = new_figure(2, 3, (13.2, 6.8))
    draw_policies(axes[0, 0], last["0.5"][0], agents, mdp, f"kappa = 0.5, {steps:,} steps, seed 0")
    draw_greedy(axes[0, 1], last, mdp)
    draw_measure(axes[0, 2], data, "consensus")
    draw_measure(axes[1, 0], data, "policy_mse")
    draw_measure(axes[1, 1], data, "mean_distance")
    draw_measure(axes[1, 2], data[data["kappa"] != "1"], "process_distance")
    return _finish(figure, axes, out / "figure2")


def figure3(seeds: int, steps: int, out: Path, advance: Advance | None = None) -> Path:
    """kappa = 1: policies of agents 3, 6, 9, 12, 15, 18, and Corollary 1's distance to the processes with kappa < 1."""
    agents = (3, 6, 9, 12, 15, 18)
    data, last, mdp = _told(out / "figure3", seeds, steps, "1", agents, advance)
    figure, axes = new_figure(1, 3, (13.8, 3.6))
    draw_policies(axes[0, 0], last["1"][0], agents, mdp, f"kappa = 1, {steps:,} steps, seed 0")
    draw_measure(axes[0, 1], data[data["kappa"] == "1"], "policy_mse")
    draw_measure(axes[0, 2], data[data["kappa"] != "1"], "process_distance")
    return _finish(figure, axes, out / "figure3")


def _told(
    stem: Path, seeds: int, steps: int, kappa: str, agents: Sequence[int], advance: Advance | None
) -> tuple[pd.DataFrame, dict[str, Floats], FiniteMDP]:
    """Run, and write what is drawn as tables; policies are those of one kappa."""
    data, last, mdp = digital_runs(seeds, steps, KAPPAS, advance)
    stem.parent.mkdir(parents=True, exist_ok=True)
    data.to_csv(f"{stem}.csv", index=False)
    policy_rows(last[kappa][0], agents, mdp).to_csv(f"{stem}_policies.csv", index=False)
    stem.with_suffix(".md").write_text(theory_summary(data, float(np.ptp(optimal_q(mdp)))))
    return data, last, mdp


def policy_rows(q: Floats, agents: Sequence[int], mdp: FiniteMDP) -> pd.DataFrame:
    """P(action 0 | s) under the Boltzmann policy (temperature 1) of the paper's 1-based agents, the mean agent, and
    Q*."""
    policy = measures.boltzmann(q)[..., 0]
    columns = {f"agent {i}": policy[i - 1] for i in agents}
    mean, best = policy.mean(axis=0), measures.boltzmann(optimal_q(mdp))[:, 0]
    return pd.DataFrame({"state": np.arange(mdp.n_states), **columns, "average": mean, "Q*": best})


def draw_policies(axis: Any, q: Floats, agents: Sequence[int], mdp: FiniteMDP, title: str) -> None:
    """Markers per agent over ten states chosen at random, as the paper does."""
    rows = policy_rows(q, agents, mdp)
    states = np.sort(np.random.default_rng(0).choice(mdp.n_states, size=min(10, mdp.n_states), replace=False))
    for k, i in enumerate(agents):
        place = np.arange(len(states)) + 0.1 * (k - (len(agents) - 1) / 2)
        axis.plot(
            place, rows[f"agent {i}"][states], "osD^vP"[k], color=COLOURS[k + 1], markersize=4, label=f"agent {i}"
        )
    axis.plot(np.arange(len(states)), rows["average"][states], "_k", markersize=16, label="average")
    axis.plot(np.arange(len(states)), rows["Q*"][states], "x", color="0.4", label="policy of Q*")
    axis.set_xticks(np.arange(len(states)), [str(s) for s in states])
    axis.set(xlabel="state", ylabel="P(action 0), Boltzmann", title=title, ylim=(0, 1))
    axis.legend(fontsize=7, ncols=2, frameon=False)


def draw_greedy(axis: Any, last: dict[str, Floats], mdp: FiniteMDP) -> None:
    """Max Q of the mean agent over the states, for each kappa, beside Q*: flattening is seen here."""
    for k, (name, q) in enumerate(last.items()):
        best = q[0].mean(axis=0).max(axis=-1)
        axis.plot(best, color=COLOURS[k], linestyle=DASHES[k], linewidth=3.5 - 2 * (k > 0), label=f"kappa = {name}")
    axis.plot(optimal_q(mdp).max(axis=-1), "x", color="0.4", label="Q*")
    axis.set(xlabel="state", ylabel="max_a Qbar(s, a)", title="values, seed 0")
    axis.legend(fontsize=7, ncols=3, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.17))


def draw_measure(axis: Any, data: pd.DataFrame, measure: str) -> None:
    """A measure against steps, log-log, mean over seeds with 95 % intervals."""
    for name in dict.fromkeys(data["kappa"]):
        k = list(KAPPAS).index(name)
        table = data[data["kappa"] == name].pivot(index="steps", columns="seed", values=measure)
        mean, low, high = mean_interval(table.to_numpy().T, np.random.default_rng(0))
        axis.plot(
            table.index,
            mean,
            color=COLOURS[k],
            linestyle=DASHES[k],
            linewidth=3.5 - 2 * (k > 0),
            label=f"kappa = {name}",
        )
        axis.fill_between(
            table.index, np.maximum(low, 1e-12), np.maximum(high, 1e-12), color=COLOURS[k], alpha=0.18, linewidth=0
        )
    lowest = max(float(data[measure].min()) / 2, 1e-9)
    axis.set(xscale="log", yscale="log", xlabel="steps", ylabel=MEASURES[measure], ylim=(lowest, None))
    axis.legend(fontsize=7, frameon=False)


def theory_summary(data: pd.DataFrame, value_range: float) -> str:
    """The theorems with their numbers, as Markdown."""
    steps, seeds = int(data["steps"].max()), data["seed"].nunique()
    end = data[data["steps"] == steps].groupby("kappa", sort=False)
    late = data[data["steps"] >= steps / 100]
    lines = [
        f"Digital, {seeds} seeds of noise and behaviour on one environment, {steps:,} environment steps per agent "
        f"({steps * 20:,} updates of all 20 agents), alpha {ALPHA}, beta {BETA}. "
        f"Range of Q*: {value_range:.2f}. Means over seeds.",
        "",
        "| kappa | sup abs Q (Theorem 1) | sup abs(Q_i - Qbar) (Theorem 2) | its slope in log-log "
        "| sup abs(Qbar - Q*) (Theorem 3) | sup abs(Q_i - Q_i at kappa 1) (Corollary 1) |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in end:
        curve = late[late["kappa"] == name].groupby("steps")["consensus"].mean()
        slope = measures.decay_slope(curve.index, curve.to_numpy())
        values = rows[list(MEASURES)].mean()
        lines.append(
            f"| {name} | {values['bound']:.2f} | {values['consensus']:.4f} | {slope:.3f} | "
            f"{values['mean_distance']:.4f} | {values['process_distance']:.4f} |"
        )
    return "\n".join(lines) + "\n"


def _finish(figure: Any, axes: Any, path: Path) -> Path:
    for axis in axes.flat:
        axis.grid(alpha=0.25)
    return save_figure(figure, path, dpi=150)[0]
