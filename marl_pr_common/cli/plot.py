"""``marl-pr plot``: the name that ``marl-pr report`` had; it stays for one release."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from marl_pr_common.cli import report
from marl_pr_common.runs.console import Display


@dataclass(frozen=True)
class Command(report.Command):
    """`marl-pr report` by its old name, which goes with the next release; its learning curves are copied into `out`."""

    def run(self) -> int:
        """Write the report; exit code 0."""
        path = self.write()
        from marl_pr_common.report import FIGURES  # slow to import

        curves = [shutil.copy(self.out / FIGURES / f"learning_curves.{kind}", self.out) for kind in ("png", "svg")]
        Display().line(f"Wrote {', '.join(map(str, (path, *curves)))}. `plot` is `marl-pr report` now: use that name.")
        return 0
