"""``marl-pr figure``: 2 and 3 are drawn, 4 to 8 are studies."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import tyro
from rich.console import Console

from marl_pr_common.cli import study as study_command
from marl_pr_common.cli.study import Approval
from marl_pr_common.runs.console import screen
from marl_pr_common.tabular.theory import FigureConfig, run_figure

STUDIES = {5: "fig5", 6: "fig6", 7: "fig7a", 8: "fig8"}
"""Figure -> the shipped study that begins with it; of 7 the first panel."""
PANELS = {6: ("fig6_starcraft",), 7: ("fig7b", "fig7c")}
"""What else belongs to a figure."""


@dataclass(frozen=True)
class Command(FigureConfig):
    """Make figure 2 or 3 of the paper again: PNG, SVG, the data behind it (CSV), and a summary (Markdown); or one of
    the figures 4 to 8, which are studies, with its report. Their plan is shown first; above an hour it asks."""

    FIGURES: ClassVar[tuple[int, ...]] = (2, 3, 4, 5, 6, 7, 8)

    number: Annotated[Literal[2, 3, 4, 5, 6, 7, 8], tyro.conf.Positional]
    """2: consensus and convergence on Digital. 3: the case kappa = 1, and how fast Q* is reached on random MDPs.
    4: learning curves on the grid worlds: `marl-pr study fig4` with other environments, seeds or steps. 5 to 8:
    `marl-pr study fig5`, fig6, fig7a or fig8 at its smallest scale."""
    dry_run: bool = False
    """Of 4 to 8: run and write nothing; show the plan: cells, steps, time, disk."""
    yes: bool = False
    """Of 4 to 8: do not ask before what takes more than an hour."""

    def run(self) -> int:
        """Make the figure, say where it is, and show the summary; exit code 0, or 1 if a run of a study failed."""
        if self.number > 4:
            return self._smallest()
        if self.number == 4:
            from marl_pr_common.study.run import run_study

            console, out, asked = screen(), self.out / (self.name or "figure4"), self.study()
            command = shlex.join(["marl-pr", *sys.argv[1:]])
            approve = Approval(asked, self.jobs, self.dry_run, self.yes, console)
            what: dict[str, Any] = {"console": console, "command": command, "approve": approve}
            return approve.run(lambda: run_study(asked, out, self.jobs, **what), out)
        if self.dry_run:
            raise ValueError(f"--dry-run: figure {self.number} is no study. --steps and --seeds say how long it takes.")
        path = run_figure(self)
        console = Console()
        console.print(path.with_suffix(".md").read_text(), markup=False, highlight=False, soft_wrap=True)
        console.print(f"Written: {path} and beside it .svg, .csv, .md", soft_wrap=True, markup=False)
        return 0

    def _smallest(self) -> int:
        """The smallest study of figure 5 to 8.

        :raises ValueError: for options of the other figures
        """
        plain = FigureConfig(4)
        changed = [name for name in ("seeds", "steps", "envs") if getattr(self, name) != getattr(plain, name)]
        study = STUDIES[self.number]
        if changed:
            raise ValueError(
                f"--{changed[0]}: not for figure {self.number}, whose study says it. `marl-pr study {study} --scale` "
                "names other scales, and a YAML of your own may say anything else."
            )
        if self.number in PANELS:
            others = ", ".join(f"`marl-pr study {name}`" for name in PANELS[self.number])
            screen().print(f"Figure {self.number} begins with {study}; the rest: {others}", markup=False)
        out = self.out / (self.name or f"figure{self.number}")
        return study_command.Command(study, out, jobs=self.jobs, dry_run=self.dry_run, yes=self.yes).run()
