"""Figure 4: learning curves on the discrete environments, for IQL, a shared table and both modes of PR."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marl_pr_common.envs import GRIDS, grid_spec, make
from marl_pr_common.figures.curves import BUDGETS, Advance, Budget, arms, curves, median_steps, threshold
from marl_pr_common.figures.style import COLOURS, DASHES, mean_interval, new_figure, save


def figure4(
    envs: tuple[str, ...],
    seeds: int,
    out: Path,
    steps: int | None = None,
    advance: Advance | None = None,
    name: str = "figure4",
) -> Path:
    """Train everything, write the tidy data (CSV), the figure (PNG, SVG) and a summary (Markdown).

    :param steps: training steps per agent instead of each environment's own budget
    :returns: path of the PNG
    """
    budgets = {env: budget_of(env, steps) for env in envs}
    data = pd.concat([curves(env, arms(env), seeds, budgets[env], advance) for env in envs], ignore_index=True)
    out.mkdir(parents=True, exist_ok=True)
    data.to_csv(out / f"{name}.csv", index=False)
    (out / f"{name}.md").write_text(summary(data, budgets))
    return draw(data, out / name)


def budget_of(env: str, steps: int | None = None) -> Budget:
    """The default budget of an environment, or ``steps`` with 40 evaluations."""
    if steps is None:
        return BUDGETS.get(env, Budget(20_000, 500))
    return Budget(steps, max(steps // 40, 1))


def work(envs: tuple[str, ...], seeds: int, steps: int | None = None) -> int:
    """Steps that :func:`figure4` takes in all, for a progress bar.

    :raises ValueError: for an unknown environment, before anything is trained
    """
    for env in envs:
        if env.partition("-")[0] in GRIDS:
            grid_spec(env)
        else:
            make(env).close()
    return sum(len(arms(env)) * seeds * budget_of(env, steps).steps for env in envs)


def draw(data: pd.DataFrame, path: Path) -> Path:
    """One panel per environment: mean over seeds with 95 % intervals, and the threshold as a dotted line."""
    envs = list(dict.fromkeys(data["env"]))
    figure, axes = new_figure(1, len(envs), (4.4, 3.6))
    for axis, env in zip(axes[0], envs, strict=True):
        part = data[data["env"] == env]
        panel(axis, part, arms(env))
        axis.axhline(threshold(part), color="0.5", linewidth=0.8, linestyle=":")
        axis.set_title(f"{env}, {part['seed'].nunique()} seeds")
    axes[0, 0].set_ylabel("greedy return per agent")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=min(3, len(labels)), frameon=False
    )
    figure.tight_layout()
    return save(figure, path)[0]


def panel(axis: Any, data: pd.DataFrame, chosen: Mapping[str, tuple[str, Any]]) -> None:
    """Learning curves of one environment."""
    for arm, (label, _) in chosen.items():
        k = list(arms("any")).index(arm)  # the same colour in every figure
        table = data[data["arm"] == arm].pivot(index="steps", columns="seed", values="mean_return")
        mean, half = mean_interval(table.to_numpy(), axis=1)
        axis.plot(table.index, mean, color=COLOURS[k], linestyle=DASHES[k], linewidth=1.6, label=label)
        axis.fill_between(table.index, mean - half, mean + half, color=COLOURS[k], alpha=0.18, linewidth=0)
    axis.set_xlabel("environment steps per agent")
    axis.grid(alpha=0.25)


def summary(data: pd.DataFrame, budgets: Mapping[str, Budget]) -> str:
    """A Markdown table per environment, and one sentence per PR arm that says what the intervals allow to say."""
    lines = []
    for env, part in data.groupby("env", sort=False):
        level = threshold(part)
        seeds = part["seed"].nunique()
        last = part["steps"].max()
        lines += [
            f"## {env}",
            "",
            f"{seeds} seeds, {last:,} steps per agent, {budgets[str(env)].episodes} greedy episodes per evaluation. "
            f"Threshold {level:.2f}: 80 % of the way from the untrained policy to the best point of IQL's mean curve.",
            "",
            "| | total steps, all agents | final return [95 %] | steps per agent to threshold [95 %] | reached |",
            "|---|---|---|---|---|",
        ]
        for arm, (label, _) in arms(str(env)).items():
            lines.append(_row(part[part["arm"] == arm], label, level))
        lines += [
            "",
            *(_verdict(part, arm, level, seeds) for arm in ("shared", "faithful", "decision", "decision-decay")),
            "",
        ]
    return "\n".join(lines)


def _row(rows: pd.DataFrame, label: str, level: float) -> str:
    end = rows[rows["steps"] == rows["steps"].max()]
    mean, half = mean_interval(end["mean_return"].to_numpy())
    middle, low, high, reached, of = median_steps(rows, level, np.random.default_rng(0))
    return (
        f"| {label} | {end['total_steps'].mean():,.0f} | {mean:.2f} [{mean - half:.2f}, {mean + half:.2f}] | "
        f"{_steps(middle)} [{_steps(low)}, {_steps(high)}] | {reached} of {of} |"
    )


def _steps(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else "never"


def _verdict(part: pd.DataFrame, arm: str, level: float, seeds: int) -> str:
    label = arms(str(part["env"].iloc[0]))[arm][0]
    reference = "iql-decay" if arm.endswith("decay") else "iql"
    spans = {
        name: median_steps(part[part["arm"] == name], level, np.random.default_rng(0))[:3] for name in (arm, reference)
    }
    against = f"{arms(str(part['env'].iloc[0]))[reference][0]}"
    if seeds < 10:
        return f"- {label} against {against}: {seeds} seeds are too few for a verdict; see the intervals."
    if spans[arm][2] < spans[reference][1]:
        return f"- {label} reached the threshold in fewer steps than {against} (intervals do not overlap)."
    if spans[arm][1] > spans[reference][2]:
        return f"- {label} needed more steps to the threshold than {against} (intervals do not overlap)."
    return f"- {label} and {against}: the intervals of the steps to the threshold overlap; no difference is claimed."
