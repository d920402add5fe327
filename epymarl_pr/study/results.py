"""Sacred's record of a run as the results of a cell: as
:mod:`marl_pr_common.results.readers` reads it, with measured times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from epymarl_pr.launch.run_dir import SERIES
from marl_pr_common.results.readers import epymarl
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.table import RESULTS, write_results
from marl_pr_common.study.hosts import CellRun

COMPLETED = "COMPLETED"


def records(directory: Path) -> list[Path]:
    """Sacred's folders of the runs below ``directory``, oldest first; one that went on holds the whole curve."""
    found = [file.parent for file in (directory / "sacred").rglob("run.json") if file.parent.name.isdigit()]
    return sorted(found, key=lambda folder: int(folder.name))


def completed(directory: Path) -> Path | None:
    """The record of a run that came to its end, or None."""
    for folder in reversed(records(directory)):
        try:
            if read_json(folder / "run.json").get("status") == COMPLETED:
                return folder
        except ValueError:  # killed while sacred wrote it
            continue
    return None


def write(record: Path, directory: Path, cell: CellRun, engine: str) -> None:
    """Write ``results.parquet``.

    :raises ValueError: if the record has no evaluation
    """
    table = epymarl.read(
        record,
        n_agents=cell.plan.n_agents,
        run=cell.name,
        arm=cell.arm,
        task=cell.task,
        engine=engine,
        seed=cell.seed,
        evaluation=cell.plan.evaluation,
    )
    write_results(directory / RESULTS, timed(table))


def timed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the times and updates that the run has logged, in their columns.

    They are measured at evaluations; between two they are interpolated.
    """
    rows = {name: table[table["metric"] == f"train/{name}"] for name in SERIES}
    table = table[~table["metric"].isin([f"train/{name}" for name in SERIES])].reset_index(drop=True)
    steps = table["env_steps_per_agent"]
    for name, measured in rows.items():
        found = np.interp(steps, measured["env_steps_per_agent"], measured["value"])
        table[name] = found.astype(np.int64) if name == "updates" else found
    return table
