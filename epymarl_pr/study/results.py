"""Sacred's record of a run as a table in the schema of :mod:`marl_pr_common.runs`.

EPyMARL logs means over test episodes: ``test_return_mean`` of the team, or with ``common_reward=False`` one
``test_agent_I_return_mean`` for each agent. The folder's ``metrics.json`` holds every statistic with its steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from epymarl_pr.run_dir import SERIES
from marl_pr_common.files import read_json
from marl_pr_common.runs import COLUMNS, RESULTS, TEAM, write_results
from marl_pr_common.study.hosts import CellRun

METRICS = "metrics.json"
COMPLETED = "COMPLETED"
_AGENT = re.compile(r"test_agent_(\d+)_(.+)")
_LEFT_OUT = ("episode", *SERIES)
Series = Mapping[str, Mapping[str, list[float]]]


def records(directory: Path) -> list[Path]:
    """Sacred's folders of the runs below ``directory``, oldest first; one that went on holds the whole curve."""
    found = [file.parent for file in (directory / "sacred").glob("*/*/*/run.json")]
    return sorted(found, key=lambda folder: int(folder.name) if folder.name.isdigit() else 0)


def completed(directory: Path) -> Path | None:
    """The record of a run that came to its end, or None."""
    for folder in reversed(records(directory)):
        try:
            if read_json(folder / "run.json").get("status") == COMPLETED and (folder / METRICS).is_file():
                return folder
        except ValueError:  # killed while sacred wrote it
            continue
    return None


def write(record: Path, directory: Path, cell: CellRun, engine: str) -> None:
    """Write ``results.parquet``.

    :raises ValueError: if the record has no evaluation
    """
    series: Series = read_json(record / METRICS)
    if "wall_time" not in series or not series["wall_time"]["steps"]:
        raise ValueError(
            f"{record} holds no evaluation: t_max={cell.plan.env_steps_per_agent} is too short for test_interval and "
            "test_nepisode, or the run was not started by a study."
        )
    table = pd.DataFrame(_rows(series, cell.plan.n_agents), columns=list(COLUMNS[5:]))
    for position, (column, value) in enumerate(
        {"run": cell.name, "arm": cell.arm, "task": cell.task, "engine": engine, "seed": cell.seed}.items()
    ):
        table.insert(position, column, value)
    table = table.sort_values(["env_steps_per_agent", "metric", "agent"], kind="stable", ignore_index=True)
    write_results(directory / RESULTS, table)


def _rows(series: Series, n_agents: int) -> Iterator[tuple[Any, ...]]:
    """(agent, env steps per agent, total env steps, updates, wall time, CPU time, metric, value).

    Times are measured at evaluations; between them they are interpolated.
    """
    measured = {name: (series[name]["steps"], series[name]["values"]) for name in SERIES}
    for name, values in series.items():
        if name in _LEFT_OUT:
            continue
        agent, metric = named(name)
        last = dict(zip(values["steps"], values["values"], strict=True))  # one value a step
        wall, cpu, updates = (np.interp(list(last), *measured[key]) for key in SERIES)
        for row, (step, value) in enumerate(last.items()):
            clock = int(step), int(step) * n_agents, int(updates[row]), float(wall[row]), float(cpu[row])
            yield (agent, *clock, metric, float(value))


def named(statistic: str) -> tuple[int, str]:
    """Agent and metric of one of EPyMARL's statistics."""
    if match := _AGENT.fullmatch(statistic):
        return int(match[1]), f"eval/{match[2].removesuffix('_mean')}"
    if statistic.startswith("test_"):
        return TEAM, f"eval/{statistic.removeprefix('test_').removesuffix('_mean')}"
    return TEAM, f"train/{statistic}"
