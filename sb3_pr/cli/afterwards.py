"""What ``marl-pr train`` ends with: a figure, the best agent, and the commands that come next."""

from __future__ import annotations

import shlex
from pathlib import Path

from marl_pr_common.runs.console import Display
from marl_pr_common.runs.files import replacing
from marl_pr_common.runs.table import read_results

FIGURE = "learning_curves.png"


def conclude(run: Path, display: Display) -> None:
    """Draw the figure of a complete run and say what it has learnt."""
    from marl_pr_common.report.figures.one_run import returns_of_agents  # slow to import, as what comes below

    table = read_results([run])
    rows = table[table["metric"] == "eval/return"]
    if rows.empty:
        return
    task, arm, seed = (table[name].iloc[0] for name in ("task", "arm", "seed"))
    figure = returns_of_agents(table, f"{arm} on {task}, seed {seed}")
    with replacing(run / FIGURE) as temporary:
        figure.savefig(temporary, dpi=130)
    first, last = (rows[rows["total_env_steps"] == end(rows["total_env_steps"])] for end in (min, max))
    best = last.loc[last["value"].idxmax()]
    of_all = f", mean of {len(last)} agents {last['value'].mean():.1f}" if len(last) > 1 else ""
    display.line(
        f"{run} is complete. Best agent: {int(best['agent'])}, return {best['value']:.1f}{of_all}; before training "
        f"{first['value'].mean():.1f}. {rows['env_steps_per_agent'].nunique()} evaluations: {run / FIGURE}"
    )
    name = shlex.quote(str(run))
    display.line(
        f"Next: marl-pr enjoy {name}   (a film)\n"
        f"      marl-pr eval {name} --episodes 100\n"
        f"      marl-pr report {name} --out {shlex.quote(f'{run}-report')}"
    )
