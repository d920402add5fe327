"""From done cells to results and report: every file is checked against the DONE that vouches for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from marl_pr_common.files import read_json, write_text
from marl_pr_common.plots import learning_curves, save_figure
from marl_pr_common.runs import RESULTS, read_results, write_results
from marl_pr_common.study.cell import DONE, LOG, is_done, results_file
from marl_pr_common.study.config import StudyConfig
from marl_pr_common.study.plan import Cell
from marl_pr_common.summary import summarise

BOOTSTRAP_SEED = 0
"""Seed of the resamples: the same results give the same intervals."""


def report(config: StudyConfig, cells: Sequence[Cell], out: Path, failed: Mapping[str, str]) -> None:
    """Write results, figures and report of the cells that are done; nothing if none is.

    :param failed: directory of a cell that failed -> its last words
    """
    results, notes = collect(cells, failed)
    if results is None:
        return
    write_results(out / RESULTS, results)
    labels = {cell.manifest.arm: cell.manifest.label for cell in cells}
    save_figure(learning_curves(results, np.random.default_rng(BOOTSTRAP_SEED), labels), out / "learning_curves")
    write_text(out / "summary.md", summarise(results, np.random.default_rng(BOOTSTRAP_SEED), labels, notes))


def collect(cells: Sequence[Cell], failed: Mapping[str, str]) -> tuple[pd.DataFrame | None, list[str]]:
    """The results of all cells that are done, arms and tasks in the study's order, and what is missing and why."""
    good, notes = [], []
    for cell in cells:
        reason = _missing(cell, failed)
        if reason:
            notes.append(f"{cell.name}: {reason}")
        else:
            good.append(results_file(cell.directory))
    return (read_results(good) if good else None), notes


def _missing(cell: Cell, failed: Mapping[str, str]) -> str:
    """Why a cell's results do not count; empty if they do."""
    if str(cell.directory) in failed:
        return f"failed ({failed[str(cell.directory)]}); its log is {cell.directory.name}/{LOG}"
    if not is_done(cell.directory):
        return "not run to the end"
    said = read_json(cell.directory / DONE).get("sha256")
    found = hashlib.sha256(results_file(cell.directory).read_bytes()).hexdigest()
    return "" if said == found else f"left out: {RESULTS} is not the file that {DONE} vouches for"
