"""What processes take, roughly: by what hosts say of their cells."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from marl_pr_common.study.hosts import Cost, load_host
from marl_pr_common.study.plan import Cell


def together(cells: Sequence[Cell]) -> Cost:
    """What one process takes: of a stack all that its cells do, sooner."""
    host: Any = load_host(cells[0].manifest.host)
    cost = getattr(host, "cost", lambda task, plan: Cost())
    costs = [cost(cell.manifest.task, cell.manifest.plan) for cell in cells]
    if len(cells) == 1:
        return costs[0]

    def added(name: str) -> Any:
        values = [getattr(each, name) for each in costs]
        return None if None in values else sum(values)

    seconds = added("seconds")
    if seconds is not None:
        seconds -= added("shared") - max(each.shared for each in costs)
    return Cost(
        seconds,
        kept=added("kept"),
        running=added("running"),
        memory=added("memory"),
        process=costs[0].process,
    )


def makespan(times: Sequence[float], jobs: int) -> float:
    """Until the last process has ended, the longest first; in a study's order it may be a little longer."""
    ends = [0.0] * max(1, min(jobs, len(times)))
    for time in sorted(times, reverse=True):
        heapq.heapreplace(ends, ends[0] + time)
    return max(ends)
