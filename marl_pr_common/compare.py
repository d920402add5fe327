"""A comparison: every (arm, seed) is a cell, every cell one process that runs `marl-pr train` into its own directory.

out/compare.json          the shared settings; other settings in the same directory are refused
out/configs/CELL.yaml     what each cell was given
out/cells/CELL/           its run directory
out/logs/CELL.log         what it said
out/results.parquet, learning_curves.png, learning_curves.svg, summary.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import numpy as np
import yaml

from marl_pr_common.arms import arm_labels, cell_config, check_arms
from marl_pr_common.cells import Cell, is_complete, run_cells
from marl_pr_common.comparable import comparable
from marl_pr_common.display import Display
from marl_pr_common.files import read_json, write_json, write_text
from marl_pr_common.plots import learning_curves, save_figure
from marl_pr_common.provenance import as_plain, differences
from marl_pr_common.readers import read_all
from marl_pr_common.readers.given import Given
from marl_pr_common.run_guard import in_use
from marl_pr_common.runs import INCOMPLETE, RESULTS, read_results, write_results
from marl_pr_common.summary import summarise
from sb3_pr.train_config import TrainConfig

COMPARISON = "compare.json"
SUMMARY = "summary.md"
FIGURE = "learning_curves"
BOOTSTRAP_SEED = 0
"""Seed of the resamples: the same results give the same intervals."""
_LOCK = ".lock"
_SET_BY_CELL = ("algo", "seed", "shared_replay", "own_critics", "final_checkpoint", "checkpoint_every")


@dataclass(frozen=True)
class CompareConfig:
    """Which arms are compared on which seeds, and what they share."""

    arms: tuple[str, ...] = ("td3", "td3_pr")
    """Arms, the reference first: td3, td3_pr, td3_independent (no reciprocity), td3_shared_replay (no reciprocity,
    common data), td3_pr_shared_replay, td3_own_critics (an ensemble of the agent's own), and the same with ddpg."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds; every arm runs every seed."""
    jobs: int = 2
    """Processes at the same time."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Settings of every arm."""

    def __post_init__(self) -> None:
        check_arms(self.arms)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds={self.seeds!r}: expected at least one, each once, integers >= 0.")
        if self.jobs < 1:
            raise ValueError(f"jobs={self.jobs!r}: expected an integer >= 1.")


@dataclass(frozen=True)
class Outcome:
    """What became of the cells, by name."""

    complete: tuple[str, ...]
    failed: tuple[str, ...]


def compare(config: CompareConfig, out: Path, display: Display | None = None, beside: Sequence[str] = ()) -> Outcome:
    """Run the cells that are not complete yet, then collect results, figure and summary in ``out``.

    Seeds and arms may be added to a comparison later, and earlier ones left out: complete cells are kept as they are,
    and all of them are collected. A cell that fails stops no other; its name and log are on the display and in the
    summary. Without a complete cell there is no summary.

    :param beside: names of files of somebody else's that may lie in ``out``
    :raises ValueError: if a setting is refused, ``out`` holds complete cells of other settings, or another process
        works on it; nothing is changed then
    :raises FileExistsError: if ``out`` holds something else
    """
    display = display or Display()
    wanted = _cells(config.train, config.arms, config.seeds, out)
    require_comparison_or_unused(out, beside)
    if not all(is_complete(cell.directory) for cell in wanted):
        from sb3_pr.tasks import check_task  # slow to import

        check_task(config.train.env)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(out / _LOCK, timeout=0):
            everything = _cells(config.train, *_claim(config, out, display), out)
            todo = [cell for cell in wanted if not is_complete(cell.directory)]
            for cell in todo:
                write_text(cell.config, yaml.safe_dump(as_plain(wanted[cell]), sort_keys=False))
            if len(todo) < len(wanted):
                display.line(f"{len(wanted) - len(todo)} of {len(wanted)} cells are complete and kept.")
            failed = run_cells(todo, config.jobs, display) if todo else ()
            complete = [cell for cell in everything if is_complete(cell.directory)]
            if complete:
                collect(complete, out, _notes(failed, [cell.name for cell in everything if cell not in complete]))
    except filelock.Timeout as error:
        raise ValueError(f"Another process is working on {out}. Wait for it, or choose another --out.") from error
    return Outcome(tuple(cell.name for cell in complete), tuple(failed))


def collect(cells: Sequence[Cell], out: Path, notes: Sequence[str] = ()) -> None:
    """Write ``results.parquet``, the figure and ``summary.md`` of complete cells."""
    results = read_results([cell.directory for cell in cells])
    write_results(out / RESULTS, results)
    report([out], out, notes)


def report(
    paths: Sequence[Path],
    out: Path,
    notes: Sequence[str] = (),
    metric: str = "eval/return",
    exclude: Sequence[str] = (),
    given: Given | None = None,
) -> None:
    """Write figure and summary of the results in ``paths``, foreign ones included, into ``out``.

    :param exclude: names of runs to leave out; the summary says so
    :param given: see :func:`marl_pr_common.readers.read_all`
    :raises FileNotFoundError: if there are no results
    :raises NotComparableError: if arms differ in budget, version of the task, engine or evaluation
    """
    skipped: list[str] = []
    checked = comparable(read_all(paths, skipped, given), metric, exclude)
    results, labels = checked.results, arm_labels(checked.results, metric)
    rng = np.random.default_rng
    out.mkdir(parents=True, exist_ok=True)
    figure = learning_curves(results, rng(BOOTSTRAP_SEED), labels, metric)
    save_figure(figure, out / FIGURE)
    everything = [*notes, *skipped, *checked.notes]
    write_text(out / SUMMARY, summarise(results, rng(BOOTSTRAP_SEED), labels, everything, metric))


def require_comparison_or_unused(out: Path, beside: Sequence[str] = ()) -> None:
    """Raise FileExistsError if ``out`` holds anything but a comparison and the file names ``beside``."""
    if (out / COMPARISON).is_file() or not out.exists():
        return
    if not out.is_dir() or any(path.name not in (_LOCK, *beside) for path in out.iterdir()):
        raise FileExistsError(f"{out} is not empty and holds no comparison. Nothing was changed; choose another --out.")


def _claim(config: CompareConfig, out: Path, display: Display) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Make ``out`` this comparison's directory, or check that it already is; all its arms and seeds, oldest first."""
    path = out / COMPARISON
    settings = {key: value for key, value in as_plain(config.train).items() if key not in _SET_BY_CELL}
    arms, seeds = config.arms, config.seeds
    if path.is_file():
        old = read_json(path)
        changes = differences(old.get("train", {}), settings)
        if changes and _is_under_way(out):
            raise ValueError(
                f"{out} holds a comparison with other settings: {'; '.join(changes)}. "
                "Nothing was changed; choose another --out, or give the old settings to go on with it."
            )
        if changes:
            display.line(f"No cell in {out} was complete: its settings are replaced ({'; '.join(changes)}).")
        else:
            arms = tuple(dict.fromkeys([*old.get("arms", ()), *arms]))
            seeds = tuple(dict.fromkeys([*old.get("seeds", ()), *seeds]))
            check_arms(arms)
    write_json(path, {"arms": list(arms), "seeds": list(seeds), "train": settings})
    return arms, seeds


def _is_under_way(out: Path) -> bool:
    """Whether a cell is complete, or a process that an earlier comparison left behind still trains one."""
    cells = [path for path in (out / "cells").glob("*") if path.is_dir() and INCOMPLETE not in path.name]
    return any(is_complete(path) for path in cells) or any(in_use(path) for path in cells)


def _cells(shared: TrainConfig, arms: Sequence[str], seeds: Sequence[int], out: Path) -> dict[Cell, TrainConfig]:
    """Every arm on every seed, with its settings; nothing is written.

    :raises ValueError: if a setting is refused
    """
    return dict(_make_cell(shared, arm, seed, out) for arm in arms for seed in seeds)


def _make_cell(shared: TrainConfig, arm: str, seed: int, out: Path) -> tuple[Cell, TrainConfig]:
    settings = cell_config(shared, arm, seed)
    name = f"{arm}-seed{seed}"
    cell = Cell(
        name=name,
        arm=arm,
        config=out / "configs" / f"{name}.yaml",
        directory=out / "cells" / name,
        log=out / "logs" / f"{name}.log",
        total_env_steps=settings.timesteps_per_agent * settings.team_size,
        threads=settings.threads,
    )
    return cell, settings


def _notes(failed: Sequence[str], incomplete: Sequence[str]) -> list[str]:
    """For the summary: the cells that are not in it."""
    notes = [f"Cell {name} failed; its log is logs/{name}.log." for name in failed]
    left_out = [name for name in incomplete if name not in failed]
    return notes + ([f"Not run to the end, and not asked for this time: {', '.join(left_out)}."] if left_out else [])
