"""What a report says beside the numbers: what was asked, with which settings, on which machine, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ReportContext:
    """Everything that the table of results does not hold. What is left out is called unknown, or not shown at all."""

    title: str = "Comparison"
    description: str = ""
    """What was asked, in plain words; paragraphs are separated by empty lines."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Arm -> name for readers; that of the column ``arm``, with the number of agents, where there is none."""
    reference: str | None = None
    """Arm that the others are compared to; the first one in the results by default."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Arm -> settings in which the arms differ."""
    failed: Sequence[tuple[str, str]] = ()
    """Cells that failed, each with the name of its log."""
    missing: Sequence[str] = ()
    """Cells that were not run to their end."""
    stopped: Sequence[str] = ()
    """What is known of runs that ended before their budget, a sentence each."""
    notes: Sequence[str] = ()
    config_text: str = ""
    """The full configuration, as YAML."""
    command: str = ""
    """The command line that makes the results again."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """As :func:`marl_pr_common.runs.provenance.describe` gives it, of the runs: versions, git, hardware, ..."""
    sweep: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Setting, such as kappa or n_peers -> arm -> its value: scores are drawn against it."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Task -> return whose first reaching is timed."""
    exclude: Sequence[str] = ()
    """Names of runs to leave out, for instance diverged ones; the report names them."""
    metric: str = "eval/return"
    seed: int = 0
    """Of the resamples: the same results give the same report."""
