"""Cells of one arm and task that differ in their seeds as one process: who is stacked with whom, and what became of it.

A cell goes on the way it was begun: a stack with all its cells, a cell that was begun by itself by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marl_pr_common.runs.files import file_name, read_json, write_json
from marl_pr_common.runs.provenance import RUN
from marl_pr_common.runs.status import try_status
from marl_pr_common.runs.table import CHECKPOINTS, INCOMPLETE, set_aside
from marl_pr_common.study.cell import RUN_DIRECTORY, STACK, STACKS, is_done, stacked
from marl_pr_common.study.costs import makespan, together
from marl_pr_common.study.hosts import Host, load_host
from marl_pr_common.study.plan import Cell
from marl_pr_common.study.processes import Ended

LARGEST = 2_000_000_000
"""Bytes of memory that the data of one stack take at most; more cells are several stacks."""


@dataclass(frozen=True)
class Unit:
    """One process of a study."""

    directory: Path
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """Unique in the study."""
        return self.directory.name

    @property
    def is_stack(self) -> bool:
        """Whether it is several cells."""
        return len(self.cells) > 1


def require_stackable(stack: bool | str, cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """The cells. Refuse ``stack: true`` where a cell can't be stacked; nothing is run.

    :raises ValueError: naming the arm, and why
    """
    for cell in cells if stack is True else ():
        if reason := _why_alone(load_host(cell.manifest.host), cell, asked=True):
            raise ValueError(
                f"stack=True, but {cell.manifest.arm} on {cell.manifest.task} can't be stacked: {reason}. Give "
                "stack=auto, which stacks the cells that can be, or stack=false."
            )
    return cells


def units(cells: Sequence[Cell], stack: bool | str, out: Path, jobs: int = 1) -> list[Unit]:
    """The processes that cells run as, in the cells' order. Nothing is written.

    :param cells: those that are not done
    :param stack: see :attr:`marl_pr_common.study.config.StudyConfig.stack`
    :param out: the study's directory
    :param jobs: processes at a time; a stack is one core's work, so that an arm may be several
    """
    found: list[Unit] = []
    waiting = {cell.name: cell for cell in cells}
    if stack is not False and cells:
        for path in sorted((out / STACKS).glob(f"*/{STACK}")):
            if INCOMPLETE in path.parent.name:  # set aside
                continue
            names = [member.name for member in stacked(path.parent)]
            if set(names) <= set(waiting) and _goes_on(path.parent, [waiting[name] for name in names]):
                found.append(Unit(path.parent, tuple(waiting.pop(name) for name in names)))
        host = load_host(cells[0].manifest.host)
        able = [
            cell
            for cell in waiting.values()
            if not (_begun_alone(cell) or _failed(cell) or _why_alone(host, cell, stack is True))
        ]
        by_arm = sorted(able, key=_arm)  # stable: seeds in their order
        groups = [list(group) for _, group in itertools.groupby(by_arm, key=_arm)]
        by_themselves = waiting.keys() - {cell.name for cell in able}
        others = [unit.cells for unit in found] + [(waiting[name],) for name in by_themselves]
        for part in _soonest(groups, others, jobs, alone=stack is not True):
            if len(part) > 1:
                found.append(Unit(out / STACKS / _name(part), tuple(waiting.pop(cell.name) for cell in part)))
    found += [Unit(cell.directory, (cell,)) for cell in waiting.values()]
    order = {cell.name: position for position, cell in enumerate(cells)}
    return sorted(found, key=lambda unit: order[unit.cells[0].name])


def claim(units: Iterable[Unit]) -> dict[str, list[str]]:
    """Write which cells every stack has; what another one of that name left is renamed.

    :return: stack -> its cells
    """
    found = {unit.directory: [cell.name for cell in unit.cells] for unit in units if unit.is_stack}
    for directory, names in found.items():
        if (directory / STACK).is_file() and [path.name for path in stacked(directory)] != names:
            set_aside(directory)
        write_json(directory / STACK, {"cells": names})
    return {directory.name: names for directory, names in found.items()}


def apart(ended: Ended, unit: Unit) -> Iterator[Ended]:
    """What became of each cell of a process that has ended."""
    for cell in unit.cells:
        directory, seconds = str(cell.directory), ended.seconds / len(unit.cells)
        status = try_status(cell.directory / RUN_DIRECTORY)
        if not unit.is_stack:
            yield ended
        elif is_done(cell.directory):
            yield Ended(directory, "done", seconds)
        elif status is not None and status.state == "failed":
            yield Ended(directory, "failed", seconds, status.error or ended.error)
        else:
            yield Ended(directory, "failed" if ended.state == "done" else ended.state, seconds, ended.error)


def stacked_with(cell: Cell) -> int:
    """As one of how many teams a cell ran, or runs; 0 if by itself or not yet."""
    try:
        found = read_json(cell.directory / RUN_DIRECTORY / RUN).get("stacked")
    except (OSError, ValueError):
        return 0
    return len(found) if isinstance(found, list) else 0


def said(cells: Sequence[Cell]) -> list[str]:
    """Of cells that have run: for a report, which ran as stacks."""
    numbers = [(cell.manifest.label, stacked_with(cell)) for cell in cells]
    arms = dict.fromkeys(label for label, number in numbers if number)
    if not arms:
        return []
    alone = dict.fromkeys(label for label, number in numbers if not number)
    most = max(number for _, number in numbers)
    rest = f" Cells of {'; '.join(alone)} were processes of their own." if alone else ""
    return [
        f"Stacked: seeds of {'; '.join(arms)} learned together, up to {most} in one process, each as a "
        "team with environments, generators, networks and replay data of its own, so that a seed is one unit as ever. "
        "Only rounding differs from cells by themselves; their times are equal shares of the process's, and not to be "
        f"held against those of cells by themselves.{rest}"
    ]


def _arm(cell: Cell) -> tuple[str, str]:
    return cell.manifest.arm, cell.manifest.task


def _soonest(groups: list[list[Cell]], others: Sequence[Sequence[Cell]], jobs: int, alone: bool) -> list[list[Cell]]:
    """The stacks of every arm's cells with which a plan ends first; the fewest that are within 5 % of that.

    :param others: cells of each process beside them
    :param alone: whether cells may be processes of their own, then all of them: none beside stacks of its arm
    """
    most = max(map(len, groups), default=0)
    numbers = [1, *(sorted({*range(2, min(most, 2 * jobs) + 1), most}) if jobs > 1 and most > 1 else ())]
    plans: list[tuple[float, list[list[Cell]]]] = []
    for number in numbers:
        limits = [len(cells) if alone and number >= len(cells) else max(1, len(cells) // 2) for cells in groups]
        parts = [
            part for cells, limit in zip(groups, limits, strict=True) for part in _parts(cells, min(number, limit))
        ]
        processes = [*parts, *others]
        times = [seconds for cells in processes if (seconds := together(cells).seconds) is not None]
        known = len(times) == len(processes)
        plans.append((makespan(times if known else [len(cells) for cells in processes], jobs), parts))
    least = min(seconds for seconds, _ in plans)
    return next(parts for seconds, parts in plans if seconds <= 1.05 * least)


def _parts(cells: list[Cell], least: int) -> list[list[Cell]]:
    """As few stacks as memory allows, but so many at least, of nearly equal size."""
    memory = together(cells[:1]).memory
    most = max(1, LARGEST // memory) if memory else len(cells)
    number = max(-(-len(cells) // most), least)
    bounds = [len(cells) * part // number for part in range(number + 1)]
    return [cells[first:last] for first, last in itertools.pairwise(bounds)]


def _name(cells: Sequence[Cell]) -> str:
    first = cells[0].manifest
    return file_name(f"{cells[0].name.removesuffix(f'-seed{first.seed}')}-seeds-from-{first.seed}")


def _why_alone(host: Host, cell: Cell, asked: bool) -> str:
    why: Any = getattr(host, "why_alone", None)
    if why is None:
        return f"host {cell.manifest.host} runs every cell by itself"
    return str(why(cell.manifest.task, cell.manifest.plan, asked))


def _goes_on(directory: Path, cells: Sequence[Cell]) -> bool:
    saved = any((directory / CHECKPOINTS).glob("*/manifest.json"))
    return saved and not any(_begun_alone(cell) for cell in cells) and not all(_failed(cell) for cell in cells)


def _failed(cell: Cell) -> bool:
    """Whether a cell failed, which it may have done for what only one of its stack met: it is run by itself then."""
    status = try_status(cell.directory / RUN_DIRECTORY)
    return status is not None and status.state == "failed"


def _begun_alone(cell: Cell) -> bool:
    """Whether a cell has something that it goes on from by itself: a checkpoint, or a complete run without DONE."""
    run = cell.directory / RUN_DIRECTORY
    status = try_status(run)
    return any((run / CHECKPOINTS).glob("*/manifest.json")) or (status is not None and status.state == "complete")
