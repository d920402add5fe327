"""``marl-pr figure``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from rich.console import Console

from marl_pr_common.figures import FigureConfig, run_figure


@dataclass(frozen=True)
class Command(FigureConfig):
    """Make figure 2, 3 or 4 of the paper again: PNG, SVG, the data behind it (CSV), and a summary (Markdown)."""

    number: Annotated[Literal[2, 3, 4], tyro.conf.Positional]
    """2: consensus and convergence on Digital. 3: the case kappa = 1, and how fast Q* is reached on random MDPs.
    4: learning curves on the grid worlds."""

    def run(self) -> int:
        """Make the figure, say where it is, and show the summary; exit code 0."""
        path = run_figure(self)
        console = Console()
        console.print(path.with_suffix(".md").read_text(), markup=False, highlight=False, soft_wrap=True)
        console.print(f"Written: {path} and beside it .svg, .csv, .md", soft_wrap=True, markup=False)
        return 0
