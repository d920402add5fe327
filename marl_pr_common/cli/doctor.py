"""``marl-pr doctor``."""

from __future__ import annotations

from dataclasses import dataclass

from marl_pr_common.cli.findings import examine
from marl_pr_common.runs.console import show_findings


@dataclass(frozen=True)
class Command:
    """Say what is installed, which devices and optional hosts are found, and what to do about the rest."""

    def run(self) -> int:
        """Examine; exit code 0 unless something that every command needs is broken."""
        findings = examine()
        show_findings(findings)
        return 1 if any(finding.state == "broken" for finding in findings) else 0
