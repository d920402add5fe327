"""``marl-pr figure``."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from rich.console import Console

from marl_pr_common.cli.study import tell
from marl_pr_common.runs.console import screen
from marl_pr_common.tabular.theory import FigureConfig, run_figure


@dataclass(frozen=True)
class Command(FigureConfig):
    """Make figure 2 or 3 of the paper again: PNG, SVG, the data behind it (CSV), and a summary (Markdown); or figure 4,
    a study, with its report."""

    number: Annotated[Literal[2, 3, 4], tyro.conf.Positional]
    """2: consensus and convergence on Digital. 3: the case kappa = 1, and how fast Q* is reached on random MDPs.
    4: learning curves on the grid worlds: `marl-pr study fig4` with other environments, seeds or steps."""

    def run(self) -> int:
        """Make the figure, say where it is, and show the summary; exit code 0, or 1 if a run of figure 4 failed."""
        if self.number == 4:
            from marl_pr_common.study.run import run_study

            console, out = screen(), self.out / (self.name or "figure4")
            command = shlex.join(["marl-pr", *sys.argv[1:]])
            return tell(run_study(self.study(), out, self.jobs, console=console, command=command), out, console)
        path = run_figure(self)
        console = Console()
        console.print(path.with_suffix(".md").read_text(), markup=False, highlight=False, soft_wrap=True)
        console.print(f"Written: {path} and beside it .svg, .csv, .md", soft_wrap=True, markup=False)
        return 0
