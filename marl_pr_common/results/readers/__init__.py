"""Results that this package did not make, in its results schema: Stable-Baselines3's logs and EPyMARL's sacred folders.

from marl_pr_common.results import readers
results = readers.read("logs/td3/Pendulum-v1_1")                   # the kind is detected
results = readers.read("log", arm="td3", task="Hopper-v5", seed=3)  # what its files do not say
Two settings, algorithms or tasks never become one arm by themselves: see :mod:`marl_pr_common.results.readers.apart`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from marl_pr_common.config.mapping import near_path
from marl_pr_common.results.readers import epymarl, sb3
from marl_pr_common.results.readers.apart import Source, require_apart
from marl_pr_common.results.readers.folders import family
from marl_pr_common.results.readers.given import GUESS, Given, of
from marl_pr_common.results.readers.rows import IDENTITY
from marl_pr_common.results.readers.sb3 import UntoldError
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.provenance import RUN
from marl_pr_common.runs.table import INCOMPLETE, RESULTS, check_once, read_results, results_file, results_files

NO_TASK = "one task"
"""Name of the task where no run of named folders tells it."""
__all__ = ["UntoldError", "read", "read_all"]


def read(path: Path | str, **given: Any) -> pd.DataFrame:
    """One foreign run as a table in the schema of ``runs``.

    :param path: an EPyMARL run's sacred folder, or the folder or one file of Stable-Baselines3's logs
    :param given: columns of ``RunIdentity`` (arm, task, seed, engine, evaluation, run) to take instead of what the
        files say, and ``n_agents``
    :raises FileNotFoundError: if there is no such path
    :raises TypeError: if a name in ``given`` is unknown
    :raises UntoldError: if it does not say what it is a run of
    :raises ValueError: if it is of neither kind or is damaged
    """
    path = Path(path)
    _check(given)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Give the folder of a run.")
    for kind in (epymarl, sb3):
        if kind.is_run(path):
            try:
                return kind.read(path, **given)
            except UntoldError:
                raise
            except _DAMAGED as error:
                raise ValueError(_said(path, kind.WRITER, error)) from error
    raise ValueError(
        f"{path} holds neither {RESULTS}, nor EPyMARL's run.json and config.json, nor Stable-Baselines3's "
        f"{sb3.NPZ}, {sb3.PROGRESS} or {sb3.MONITOR}."
    )


_DAMAGED = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, OSError)
"""What files of another shape than their writer's lead to."""


def _check(given: dict[str, Any]) -> None:
    if unknown := sorted(set(given) - {*IDENTITY, "n_agents", "notes"}):
        raise TypeError(f"{', '.join(unknown)}: expected names among {', '.join([*IDENTITY, 'n_agents', 'notes'])}.")
    n_agents = given.get("n_agents")
    if n_agents is not None and (not isinstance(n_agents, int) or n_agents < 1):
        raise ValueError(f"n_agents={n_agents!r}: expected an integer >= 1.")


def _said(path: Path, writer: str, error: Exception) -> str:
    """The error in words that begin with the path."""
    folder = path if path.is_dir() else path.parent
    if isinstance(error, ValueError) and str(error).startswith((str(path), str(folder))):
        return str(error)
    what = f"no {error}" if isinstance(error, KeyError) else str(error)
    return f"{path}: damaged ({what}). Expected files as {writer} writes them; mend this run or leave it out."


def read_all(paths: Sequence[Path], notes: list[str] | None = None, given: Given | None = None) -> pd.DataFrame:
    """Runs of this package and foreign ones below ``paths`` in one table.

    A folder with a ``results.parquet`` of its own counts as that. Elsewhere every run below is read.

    :param notes: if given, files found below a folder that can't be read are left out, and said so here
    :param given: folder -> what to take instead of what is found in and below it, as in :func:`read`
    :raises FileNotFoundError: if a path does not exist or holds no run
    :raises UntoldError: if a run does not say what it is of; it is never left out
    :raises ValueError: if a file named itself cannot be read, a run comes twice, or an arm's runs are of several things
    """
    given = given or {}
    own, foreign = list[Path](), list[tuple[Path, bool]]()
    for path in map(Path, paths):
        _require_whole(path)
        if _foreign(path):
            foreign.append((path, True))
            continue
        below = list(_below(path)) if results_file(path) is None else []
        foreign += [(found, False) for found in below]
        if path.is_file() or any(path.rglob(RESULTS)):
            own.append(path)
        elif not below:
            raise FileNotFoundError(
                f"{path} has no results in it or below it: neither {RESULTS} nor Stable-Baselines3's evaluations.npz, "
                "progress.csv or *monitor.csv, nor runs of EPyMARL's sacred."
            )
    tables, sources = _read_own(own, notes, given)
    guesses, found, failed = Guesses(notes), list[tuple[Source, pd.DataFrame]](), dict[str, list[str]]()
    for path, named in dict.fromkeys(foreign):
        said = of(path, given)
        try:
            table = guesses.read(path, **said, **({"notes": notes} if epymarl.is_run(path) else {}))
        except UntoldError:
            raise
        except ValueError as error:
            if named or notes is None:
                raise
            notes.append(f"Left out: {error}")
            if "arm" in said:
                failed.setdefault(said["arm"], []).append(str(error))
        else:
            found.append((_source(path, table, said), table))
    found = epymarl.without_beginnings(found, notes)
    sources, tables = sources + [source for source, _ in found], tables + [table for _, table in found]
    if not tables:
        raise ValueError(f"No run could be read. {' '.join(notes or [])}")
    results = pd.concat(tables, ignore_index=True)
    for arm in failed.keys() - set(results["arm"]):
        raise ValueError(
            f"No run of {arm!r} could be read. {' '.join(failed[arm][:3])} Mend them, or leave {arm!r} out."
        )
    guesses.require_one_task(results)
    require_apart(list({source.path.resolve(): source for source in sources}.values()))
    check_once(results)
    return results


def _require_whole(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist.{near_path(path)} Give a run directory, a comparison directory, a {RESULTS}, or a "
            "folder with logs of Stable-Baselines3 or EPyMARL."
        )
    if path.is_file() and path.suffix == ".csv" and (path.parent / RUN).is_file():
        raise ValueError(f"{path} is one file of a run of marl-pr: give the run's directory, {path.parent}.")


class Guesses:
    """Reads runs of folders that the user named as arms: there a task or a seed that nothing tells is made up.

    :param notes: each is said here
    """

    def __init__(self, notes: list[str] | None) -> None:
        self.notes = [] if notes is None else notes
        self.seeds: dict[str, int] = {}
        self.of_no_task: UntoldError | None = None

    def read(self, path: Path, **said: Any) -> pd.DataFrame:
        """:func:`read`; see there."""
        if not said.pop(GUESS, False):
            return read(path, **said)
        try:
            return read(path, **said)
        except UntoldError as error:
            if not set(error.missing) <= {"task", "seed"}:
                raise
            if "task" in error.missing:
                self.of_no_task = error
            seed = self.seeds[said["arm"]] = self.seeds.get(said["arm"], -1) + 1
            made_up = {name: value for name, value in (("task", NO_TASK), ("seed", seed)) if name in error.missing}
            told = " and ".join(f"{name} {value}" for name, value in made_up.items())
            self.notes.append(f"{path} does not say which it is: taken as {told}.")
            return read(path, **said, **made_up)

    def require_one_task(self, results: pd.DataFrame) -> None:
        """:raises UntoldError: if some runs tell their task and others do not: they may be of one, or not"""
        if self.of_no_task is not None and results["task"].nunique() > 1:
            raise self.of_no_task


def _source(path: Path, table: pd.DataFrame, said: Mapping[str, Any]) -> Source:
    """A foreign run, for :func:`require_apart`."""
    first = table.iloc[0]
    kind, learnt = (epymarl.WRITER, epymarl.settings(path)) if epymarl.is_run(path) else sb3.settings(path)
    names = (first["run"], first["arm"], first["task"], int(first["seed"]))
    return Source(path, *names, learnt, family(path), "arm" in said, "task" in said, kind)


def _read_own(paths: list[Path], notes: list[str] | None, given: Given) -> tuple[list[pd.DataFrame], list[Source]]:
    """Tables of this package, and its runs that have a ``run.json``."""
    if not paths:
        return [], []
    if not given:
        results = read_results(paths, notes)
        return [results], [source for path in paths for source in _own_sources(path, results, said={})]
    tables: list[pd.DataFrame] = []
    sources: list[Source] = []
    for file in dict.fromkeys(file.resolve() for path in paths for file in results_files(path)):
        said = of(file, given)
        table = read_results([file], notes).assign(**{name: said[name] for name in IDENTITY if name in said})
        if said.get(GUESS):  # runs of two folders may have one name
            table = table.assign(run=f"{said['arm']}-" + table["run"].astype(str))
        tables.append(table)
        sources += _own_sources(file.parent, table, said)
    return tables, sources


def _own_sources(path: Path, results: pd.DataFrame, said: Mapping[str, Any]) -> Iterator[Source]:
    folder = path if path.is_dir() else path.parent
    runs = results.drop_duplicates(["run", "arm", "task"]).set_index("run")[["arm", "task", "seed"]]
    for file in sorted(folder.rglob(RUN)):
        if INCOMPLETE in str(file.relative_to(folder)):
            continue
        try:
            described = read_json(file)
        except ValueError:
            continue  # the report says so
        name, config = described.get("run"), described.get("config")
        if name not in runs.index or not isinstance(config, dict):
            continue
        for _, row in runs.loc[[name]].iterrows():
            if row["task"] == config.get("env", row["task"]):
                kind = f"{(described.get('versions') or {}).get('marl-pr')} {described.get('git')}"
                names = (str(name), row["arm"], row["task"], int(row["seed"]))
                yield Source(file.parent, *names, config, "", "arm" in said, "task" in said, kind)


def _foreign(path: Path) -> bool:
    if path.suffix == ".parquet" or (path / RESULTS).is_file():
        return False
    # our own runs write progress.csv too, and those that have no results yet have nothing to read
    return epymarl.is_run(path) or (sb3.is_run(path) and not (path / RUN).is_file() and not sb3.several(path))


def _below(path: Path) -> Iterator[Path]:
    """Folders of foreign runs below ``path``, but for parts of another run and what interrupted runs left."""
    if not path.is_dir():
        return
    yield from sb3.several(path)
    for child in sorted(child for child in path.iterdir() if child.is_dir() and INCOMPLETE not in child.name):
        if (child / RESULTS).is_file() or child.name in ("_sources", "checkpoints"):
            continue
        if _foreign(child):
            yield child
        else:
            yield from _below(child)
