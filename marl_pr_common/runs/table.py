"""Results of every run in one tidy table: one row per (run, evaluation, agent, metric), as Parquet.

A run directory holds ``results.parquet`` in this schema, ``run.json`` (what was run, see ``provenance``) and
``status.json`` (how far it is). Whatever trains, plots or summarises reads and writes this table and no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from marl_pr_common.runs.files import replacing

if TYPE_CHECKING:
    import pandas as pd

RESULTS = "results.parquet"
CHECKPOINTS = "checkpoints"  # directory of a run's checkpoints, in the run directory
INCOMPLETE = ".incomplete-"  # in a directory's name, before a number: what an interrupted run left, no result
TEAM = -1  # value of column ``agent`` in rows that are about the whole team, for instance a loss averaged over agents

SCHEMA_NAME = b"marl_pr.results"
SCHEMA_VERSION = b"2"
SCHEMA = pa.schema(
    [
        ("run", pa.string()),  # name of the run, unique within a comparison: "td3_pr-seed0"
        ("arm", pa.string()),  # what is compared: "td3_pr"
        ("task", pa.string()),  # environment id with its version: "Hopper-v5"
        ("engine", pa.string()),  # host and its version: "stable-baselines3 2.9.2"
        ("evaluation", pa.string()),  # protocol in words: "10 episodes, deterministic, ..."; "" is unknown
        ("seed", pa.int64()),
        ("agent", pa.int64()),  # 0 .. n_agents - 1, or TEAM
        ("env_steps_per_agent", pa.int64()),
        ("total_env_steps", pa.int64()),  # of all agents together
        ("updates", pa.int64()),  # gradient steps of each agent
        ("wall_time", pa.float64()),  # seconds since training began, evaluations not counted
        ("cpu_time", pa.float64()),  # seconds of the process, evaluations not counted
        ("metric", pa.string()),  # "eval/return", "train/critic_loss"
        ("value", pa.float64()),
    ],
    metadata={b"schema": SCHEMA_NAME, b"version": SCHEMA_VERSION},
)
COLUMNS = tuple(SCHEMA.names)
_ADDED = {b"1": ("evaluation",), SCHEMA_VERSION: ()}  # versions that can be read -> columns that they lack: "" then


@dataclass(frozen=True)
class RunIdentity:
    """The columns that stay the same in every row of a run."""

    run: str
    arm: str
    task: str
    engine: str
    seed: int
    evaluation: str = ""
    """How ``eval/...`` values come about, in words that are equal for all runs that may be compared."""


@dataclass(frozen=True)
class Clock:
    """How far a run is; every counter starts at 0 with the training."""

    env_steps_per_agent: int
    total_env_steps: int
    updates: int
    wall_time: float
    """Seconds."""
    cpu_time: float
    """Seconds of CPU of this process."""


class ResultsWriter:
    """Adds rows to the ``results.parquet`` of one run directory; rows that are already there are kept.

    :param directory: the run directory
    :param identity: columns equal in all rows of this run
    :raises ValueError: if the directory has a ``results.parquet`` of another schema
    """

    def __init__(self, directory: Path, identity: RunIdentity) -> None:
        self.path = directory / RESULTS
        self.identity = identity
        self._rows: list[dict[str, Any]] = _read_table(self.path).to_pylist() if self.path.exists() else []
        for row in self._rows:  # those that a release before schema version 2 wrote are of the same run
            row["evaluation"] = row["evaluation"] or identity.evaluation

    @property
    def n_rows(self) -> int:
        """Rows so far, written or not."""
        return len(self._rows)

    def cut(self, n_rows: int) -> None:
        """Drop what was written after a checkpoint that knew ``n_rows`` rows.

        :raises ValueError: if there are fewer
        """
        if (held := len(self._rows)) < n_rows:
            raise ValueError(f"{self.path} has {held} rows, but the checkpoint knew {n_rows}: it was altered.")
        del self._rows[n_rows:]

    def append(self, clock: Clock, values: Mapping[str, float], agent: int = TEAM) -> None:
        """Add one row per metric, in memory; :meth:`flush` writes them.

        :param values: metric name -> value
        :param agent: index of the agent that the values belong to
        """
        common = vars(self.identity) | {"agent": agent} | vars(clock)
        self._rows.extend(common | {"metric": metric, "value": float(value)} for metric, value in values.items())

    def flush(self) -> None:
        """Write the whole table beside the old file, then rename it over the old one."""
        import pandas as pd  # slow, as is pyarrow's first table, which imports it too

        write_results(self.path, pd.DataFrame(self._rows, columns=list(COLUMNS)))


def write_results(path: Path, results: pd.DataFrame) -> None:
    """Write a table that has the columns of ``SCHEMA``; the file is replaced as a whole.

    :raises ValueError: if columns are missing, unknown or of another type
    """
    check_columns(results.columns, str(path))
    try:
        table = pa.Table.from_pandas(results[list(COLUMNS)], schema=SCHEMA, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"{path}: a column does not fit the results schema: {error}") from error
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata(SCHEMA.metadata), temporary)


def read_results(paths: Sequence[Path], skipped: list[str] | None = None) -> pd.DataFrame:
    """Concatenate the tables of run directories, comparison directories or ``results.parquet`` files.

    A comparison's own table counts; otherwise every ``results.parquet`` below a directory is read, but for what
    interrupted runs left (``X.incomplete-1``), which counts only if it is named itself.

    :param skipped: if given, a file found below a directory that can't be read is left out, and said so here
    :raises FileNotFoundError: if a path does not exist or has no results below it
    :raises ValueError: if a file has another schema or is damaged, or the same run comes twice
    """
    named = {file.resolve() for file in (results_file(Path(path)) for path in paths) if file is not None}
    files = list(dict.fromkeys(file.resolve() for path in paths for file in results_files(Path(path))))
    if not files:
        raise FileNotFoundError("No results to read: give at least one run directory.")

    def read(file: Path) -> pa.Table | str:
        try:
            return _read_table(file)
        except ValueError as error:
            if skipped is None or file in named:
                raise
            return f"Left out: {error}"

    with ThreadPoolExecutor(max_workers=4) as threads:  # thousands of small files: mostly waiting
        read_tables = list(threads.map(read, files))
    tables = [table for table in read_tables if not isinstance(table, str)]
    (skipped if skipped is not None else []).extend(note for note in read_tables if isinstance(note, str))
    if not tables:
        raise ValueError(f"None of {len(files)} files could be read; the first: {read_tables[0]}")
    results = pa.concat_tables(tables).to_pandas()
    check_once(results)
    return results


def check_once(results: pd.DataFrame) -> None:
    """Raise ValueError if rows of a run, agent, step and metric come twice, or a cell is empty, which groups lack."""
    keys = ["run", "arm", "task", "engine", "seed", "agent", "env_steps_per_agent", "metric"]
    for column, empty in results[[*keys, "evaluation"]].isna().sum().items():
        if empty:
            raise ValueError(f"{empty} of {len(results)} rows of results have nothing in the column {column}. Fill it.")
    doubled = results[results.duplicated(keys)]
    if len(doubled):
        names = ", ".join(sorted(doubled["run"].unique())[:3])
        raise ValueError(f"The same rows come from two files (runs {names}). Give each run once.")


def set_aside(directory: Path) -> None:
    """Rename a directory that an interrupted or failed cell left, so that nothing of it is lost."""
    if not directory.exists():
        return
    number = 1
    while (target := directory.with_name(f"{directory.name}{INCOMPLETE}{number}")).exists():
        number += 1
    directory.rename(target)


def check_columns(columns: Iterable[str], where: str, lacking: Iterable[str] = ()) -> None:
    """Raise ValueError, naming the difference, unless ``columns`` are those of ``SCHEMA``; ``lacking`` may miss."""
    found = set(columns)
    missing, unknown = sorted(set(COLUMNS) - set(lacking) - found), sorted(found - set(COLUMNS))
    if missing or unknown:
        raise ValueError(
            f"{where} is not a marl-pr results table: missing columns {missing or 'none'}, unknown columns "
            f"{unknown or 'none'}. Expected {', '.join(COLUMNS)}."
        )


def results_file(path: Path) -> Path | None:
    """The results table that ``path`` is or holds directly."""
    return next((file for file in (path, path / RESULTS) if file.is_file()), None)


def results_files(path: Path) -> list[Path]:
    """The tables that ``path`` is, holds, or has below it.

    :raises FileNotFoundError: if there is none
    """
    if (own := results_file(path)) is not None:
        return [own]
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist. Give a run directory, a comparison directory or a {RESULTS}.")
    aside = re.compile(rf"{re.escape(INCOMPLETE)}\d+/").search
    below = sorted(file for file in path.rglob(RESULTS) if not aside(file.relative_to(path).as_posix()))
    if not below:
        raise FileNotFoundError(f"{path} has no {RESULTS} in it or below it: no run has written results there yet.")
    return below


def _read_table(path: Path) -> pa.Table:
    try:
        table = pq.ParquetFile(path).read(use_threads=False)  # many files are read at the same time
    except (pa.ArrowInvalid, OSError) as error:
        if path.suffix != ".parquet":  # a file of the user's, which nothing says to remove
            raise ValueError(f"{path} holds no results. Give a run directory, or its {RESULTS}.") from error
        raise ValueError(
            f"{path} is not a readable Parquet file ({error}): it is damaged or was written only in part. "
            "Remove it, or run that cell again."
        ) from error
    version = (table.schema.metadata or {}).get(b"version", next(reversed(_ADDED)))  # written back by another program
    check_columns(table.schema.names, str(path), _ADDED.get(version, ()))
    if version not in _ADDED:
        raise ValueError(
            f"{path} has results schema version {version!r}; this marl-pr reads {', '.join(map(repr, _ADDED))}. "
            "Read it with the marl-pr release that wrote it (see its run.json)."
        )
    for column in _ADDED[version]:
        if column not in table.schema.names:
            table = table.append_column(column, pa.array([""] * len(table), pa.string()))
    try:
        return table.select(list(COLUMNS)).cast(SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"{path}: a column has another type than the results schema: {error}") from error
