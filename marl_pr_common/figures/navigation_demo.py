"""First part of ``make demo``: IQL, one shared table and both modes of PR on Navigation-10, in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from marl_pr_common.figures.curves import Advance, Budget, arms, curves, median_steps, threshold
from marl_pr_common.figures.figure4 import panel
from marl_pr_common.figures.style import mean_interval, new_figure, save

ENV = "Navigation-10"
ARMS = ("iql", "shared", "faithful", "decision")
FILES = ("navigation.png", "navigation.svg", "navigation.csv")
"""What the demo writes."""
BUDGET = Budget(30_000, 500, episodes=10)


@dataclass(frozen=True)
class DemoResult:
    """What the demo wrote, and its table."""

    figure: Path
    data: Path
    rows: tuple[tuple[str, str, str], ...]
    """Per learner: label, final return with 95 % interval, median steps per agent to the threshold with 95 %
    interval."""


def show_navigation_demo(out: Path, console: Console, seeds: int = 5) -> DemoResult:
    """:func:`run_navigation_demo` with a progress bar, and its table on ``console``."""
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(f"{ENV}: {len(ARMS)} learners, {seeds} seeds", total=demo_work(seeds))
        result = run_navigation_demo(out, seeds, lambda steps: bar.advance(task, steps))
    table = Table(title=f"{ENV}, {BUDGET.steps:,} steps per agent, {seeds} seeds, 95 % intervals", title_justify="left")
    for heading in ("", "final return per agent", "steps per agent to threshold"):
        table.add_column(heading)
    for row in result.rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    console.print(table)
    console.print(f"Written: {result.figure}, .svg and .csv", soft_wrap=True, highlight=False)
    return result


def demo_work(seeds: int = 5) -> int:
    """Steps that :func:`run_navigation_demo` takes, for a progress bar."""
    return len(ARMS) * seeds * BUDGET.steps


def run_navigation_demo(out: Path, seeds: int = 5, advance: Advance | None = None) -> DemoResult:
    """Train, and write ``navigation.png``, ``.svg`` and ``.csv`` into ``out``.

    :param seeds: independent repetitions of every learner
    :param advance: called with the number of steps done after each piece of work
    """
    chosen = {name: arm for name, arm in arms(ENV).items() if name in ARMS}
    data = curves(ENV, chosen, seeds, BUDGET, advance)
    out.mkdir(parents=True, exist_ok=True)
    data.to_csv(out / "navigation.csv", index=False)
    level = threshold(data)
    figure, axes = new_figure(1, 1, (6.4, 3.8))
    panel(axes[0, 0], data, chosen)
    axes[0, 0].axhline(level, color="0.5", linewidth=0.8, linestyle=":")
    axes[0, 0].set_title(f"{ENV}: 10 agents, {seeds} seeds, mean and 95 % interval")
    axes[0, 0].set_ylabel("greedy return per agent")
    axes[0, 0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.tight_layout()
    png = save(figure, out / "navigation")[0]
    rows = []
    for name, (label, _) in chosen.items():
        part = data[data["arm"] == name]
        mean, half = mean_interval(part[part["steps"] == BUDGET.steps]["mean_return"].to_numpy())
        middle, low, high, _, _ = median_steps(part, level, np.random.default_rng(0))
        span = [f"{value:,.0f}" if np.isfinite(value) else "never" for value in (middle, low, high)]
        rows.append((label, f"{mean:.2f} [{mean - half:.2f}, {mean + half:.2f}]", f"{span[0]} [{span[1]}, {span[2]}]"))
    return DemoResult(png, out / "navigation.csv", tuple(rows))
