"""Curves of one foreign run as rows in the results schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marl_pr_common.runs.table import COLUMNS, TEAM, RunIdentity

UNKNOWN = -1
"""Value of column ``updates`` where the host did not write it down; times that it did not are NaN."""
_ABSENT = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "None", "null", "NULL"]
IDENTITY = tuple(field.name for field in fields(RunIdentity))


@dataclass(frozen=True)
class Curve:
    """One metric of one agent, or of the team, over a run."""

    metric: str
    steps: npt.NDArray[np.int64]
    """(n_points,) env steps of each agent; of equal ones the last counts."""
    values: npt.NDArray[np.float64]
    """(n_points,)"""
    agent: int = TEAM
    wall_time: npt.NDArray[np.float64] | None = None
    """(n_points,) seconds"""
    updates: npt.NDArray[np.int64] | None = None
    """(n_points,)"""


def rows(identity: RunIdentity, curves: Sequence[Curve], n_agents: int, where: str) -> pd.DataFrame:
    """A table in the schema of ``runs``, ordered by steps.

    :param n_agents: agents that step at the same time; ``total_env_steps`` counts all of them
    :param where: names the run in errors
    :raises ValueError: if the steps of a curve go back: two runs were logged into one
    """
    if n_agents < 1:
        raise ValueError(f"{where}: n_agents={n_agents!r}, expected an integer >= 1.")
    tables = [_table(curve, where) for curve in curves if len(curve.steps)]
    if not tables:
        raise ValueError(f"{where} holds no value yet: the run has only begun, or logs something else.")
    table = pd.concat(tables).sort_values(["env_steps_per_agent", "metric", "agent"], kind="stable")
    constant = asdict(identity) | {"cpu_time": np.nan}
    table = table.assign(total_env_steps=table["env_steps_per_agent"] * n_agents, **constant)
    return table[list(COLUMNS)].reset_index(drop=True)


def _table(curve: Curve, where: str) -> pd.DataFrame:
    if np.any(np.diff(curve.steps) < 0):
        raise ValueError(
            f"{where}: the steps of {curve.metric} go back: two runs were logged into one file. Give each its own."
        )
    n = len(curve.steps)
    table = pd.DataFrame(
        {
            "env_steps_per_agent": curve.steps.astype(np.int64),
            "metric": curve.metric,
            "agent": curve.agent,
            "value": curve.values.astype(np.float64),
            "wall_time": np.full(n, np.nan) if curve.wall_time is None else curve.wall_time,
            "updates": np.full(n, UNKNOWN) if curve.updates is None else curve.updates,
        }
    )
    return table.drop_duplicates("env_steps_per_agent", keep="last")


def whole_steps(values: Any, what: str) -> npt.NDArray[np.int64]:
    """Counts of steps.

    :param values: (n_points,) numbers as a file has them
    :param what: file and name of the numbers, for errors
    :raises ValueError: if they are not one list of finite numbers >= 0
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} are not numbers ({error}). Mend the file or leave this run out.") from error
    if found.ndim != 1:
        raise ValueError(f"{what} have the shape {found.shape}, expected (n_points,). Mend the file or leave it out.")
    wrong = found[~(np.isfinite(found) & (found >= 0.0) & (found < 2.0**53))]
    if len(wrong):
        raise ValueError(f"{what}: {wrong[0]:g}, expected finite numbers >= 0. Mend the file or leave this run out.")
    return found.astype(np.int64)


def overridden(identity: RunIdentity, given: dict[str, Any]) -> RunIdentity:
    """``identity`` with what the user says instead; the name of the run follows unless it is given."""
    changed = replace(identity, **{key: value for key, value in given.items() if key in IDENTITY})
    return changed if "run" in given else replace(changed, run=f"{changed.arm}-{changed.task}-seed{changed.seed}")


def numeric(table: pd.DataFrame, columns: tuple[str, ...], path: Path) -> pd.DataFrame:
    """The table with these columns as numbers.

    :raises ValueError: naming the column that holds something else
    """
    for column in columns:
        try:
            table[column] = table[column].to_numpy(dtype=object).astype(np.float64)  # with "nan"
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: column {column} holds what is no number ({error}). Mend the line or leave this run out."
            ) from error
    return table


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """An empty cell is none, and what is written for one; ``nan`` is a value, and stays what it is.

    :raises ValueError: if it is no CSV file
    """
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=_ABSENT, **options)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} is not a readable CSV file ({error}).") from error
