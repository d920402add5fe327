"""``marl-pr plot``: a report whose learning curves lie beside it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from marl_pr_common.cli import report
from marl_pr_common.runs.console import Display


@dataclass(frozen=True)
class Command(report.Command):
    """Draw runs that are there: `marl-pr report`, and its learning curves are copied into `out`.

    Two folders of logs: `marl-pr plot mine=logs/a base=logs/b --reference base --budget 100000`.
    """

    def run(self) -> int:
        """Write the report; exit code 0."""
        paths = self.write()
        from marl_pr_common.report import FIGURES  # slow to import

        for path in paths:
            drawn = [path.parent / FIGURES / f"learning_curves.{kind}" for kind in ("png", "svg")]
            curves = [shutil.copy(curve, path.parent) for curve in drawn]
            Display().line(f"Wrote {', '.join(map(str, (path, *curves)))}")
        return 0
