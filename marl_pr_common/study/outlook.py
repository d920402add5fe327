"""What a study will cost, before it is begun: cells, steps, time, memory and disk, and whether that was meant."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from marl_pr_common.runs.console import screen
from marl_pr_common.study.cell import RUN_DIRECTORY, is_done
from marl_pr_common.study.config import StudyConfig
from marl_pr_common.study.costs import makespan, together
from marl_pr_common.study.plan import Cell, resolve
from marl_pr_common.study.progress import duration
from marl_pr_common.study.stacks import Unit, units

LONG = 3600.0
"""Seconds above which a terminal is asked."""
LEAST = 5
"""Minutes; what a cell of few steps takes is mostly the start of its process, and no estimate is better than that."""


class DeclinedError(Exception):
    """The user does not want to begin it. Nothing was written."""


@dataclass(frozen=True)
class Outlook:
    """What is left to do."""

    cells: int
    todo: int
    env_steps: int
    """Of all agents of all cells that are left."""
    seconds: float | None
    """With so many cells at the same time; None if the host does not know."""
    disk: int | None
    """Bytes at most, those of running cells' checkpoints included."""
    memory: int | None = None
    """Bytes at most of the processes that run at the same time; None if the host does not know."""
    stacks: tuple[Unit, ...] = ()
    """Cells that run as one process."""
    processes: int = 0


def smallest(config: StudyConfig) -> str | None:
    """The scale with the fewest env steps, the default of commands; None of a study without scales.

    :raises ValueError: if no scale can be planned
    """
    steps: dict[str, int] = {}
    reasons: list[ValueError] = []
    for name in config.scales if len(config.scales) > 1 else ():
        scaled = config.at(name)
        try:
            cells = resolve(replace(scaled, seeds=scaled.seeds[:1]), Path())
        except ValueError as error:
            reasons.append(error)
        else:
            steps[name] = len(scaled.seeds) * sum(cell.manifest.plan.total_env_steps for cell in cells)
    if reasons and not steps:
        raise reasons[0]
    return min(steps, key=lambda name: steps[name]) if steps else next(iter(config.scales), None)


def outlook(cells: Sequence[Cell], jobs: int, stack: bool | str = False, out: Path = Path()) -> Outlook:
    """What the cells that are not done will take; nothing is run.

    :param stack: as :attr:`StudyConfig.stack`
    :param out: the study's directory, where a stack may have been begun
    """
    todo = [cell for cell in cells if not is_done(cell.directory)]
    steps = sum(cell.manifest.plan.total_env_steps for cell in todo)
    processes = units(todo, stack, out, jobs)
    costs = [together(unit.cells) for unit in processes]
    times = sorted((each.seconds for each in costs if each.seconds is not None), reverse=True)
    seconds = makespan(times, jobs) if len(times) == len(costs) else None
    disk = memory = None
    if all(each.kept is not None for each in costs):
        running = sorted((each.running for each in costs), reverse=True)[:jobs]
        disk = sum(each.kept or 0 for each in costs) + sum(running)
    if all(each.memory is not None for each in costs):
        memory = sum(sorted((each.process + (each.memory or 0) for each in costs), reverse=True)[:jobs])
    stacks = tuple(unit for unit in processes if unit.is_stack)
    return Outlook(len(cells), len(todo), steps, seconds, disk, memory, stacks, len(processes))


def tell(console: Console, config: StudyConfig, found: Outlook, cells: Sequence[Cell], jobs: int, note: str) -> None:
    """The plan in a few lines."""
    arms, tasks, seeds = len(config.arms), len(config.tasks), len(config.seeds)
    done = f", {found.cells - found.todo} of them done" if found.todo < found.cells else ""
    begun = sum((cell.directory / RUN_DIRECTORY).exists() for cell in cells if not is_done(cell.directory))
    lines = [
        f"Plan: {found.cells} cells ({arms} arms x {tasks} tasks x {seeds} seeds){done}"
        f"{f', {begun} begun' if begun else ''}; {found.env_steps:,} env steps to go, of all agents together",
        f"time: {_time(found, jobs)}",
        f"disk: {'not known' if found.disk is None else f'up to {size(found.disk)}'}",
    ]
    if not found.todo:
        del lines[1:]
    elif found.memory is not None:
        lines.append(f"memory: up to {size(found.memory)}")
    if found.stacks:
        lines.append(_stacks(found))
    if note:
        lines.append(f"note: {note}")
    for line in lines:
        console.print(line, markup=False)


def _stacks(found: Outlook) -> str:
    sizes = [len(unit.cells) for unit in found.stacks]
    arms = ", ".join(dict.fromkeys(unit.cells[0].manifest.arm for unit in found.stacks))
    return (
        f"stacked: {sum(sizes)} cells as {len(sizes)} {'process' if len(sizes) == 1 else 'processes'}, up to "
        f"{max(sizes)} seeds in each ({arms}); {found.processes} processes in all. --stack false: every cell one of "
        "its own"
    )


def _time(found: Outlook, jobs: int) -> str:
    number = min(jobs, found.processes or jobs)
    kind = ("process", "processes") if found.stacks else ("cell", "cells")
    at_once = f"{number} {kind[number > 1]} at a time"
    if found.seconds is None:
        return f"not known before the first cells are done ({at_once}); python benchmarks/study_cost.py measures it"
    if found.seconds < 60 * LEAST:
        return f"a few minutes at most ({at_once})"
    how = f"{at_once}, each on a core of its own"
    return f"about {duration(found.seconds)} ({how}), by measured rates: half or twice that is possible"


def require_meant(console: Console, found: Outlook, yes: bool) -> None:
    """Ask, if it takes long and somebody is there to be asked; elsewhere say so and go on.

    :param yes: the answer, given before
    :raises DeclinedError: if the answer is no
    """
    if yes or found.seconds is None or found.seconds <= LONG:
        return
    console = screen(quiet=False) if console.quiet else console  # a question that nobody sees waits for ever
    if not (console.is_terminal and _someone_types()):
        console.print("That is more than an hour; it begins now, as nobody can be asked here.", markup=False)
        return
    answer = ""
    with suppress(EOFError):
        answer = console.input("That is more than an hour. Begin? [y/N] ", markup=False)
    if answer.strip().lower() not in ("y", "yes"):
        raise DeclinedError


def _someone_types() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def size(number: float) -> str:
    """12 MB, 3.4 GB."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= factor:
            return f"{number / factor:.{0 if unit == 'MB' else 1}f} {unit}"
    return "1 MB"
