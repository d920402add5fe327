"""Monitor files of Stable-Baselines3: one for each environment, a line for each episode."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marl_pr_common.results.budget import ENVIRONMENTS, EPISODES
from marl_pr_common.results.readers.folders import SEED
from marl_pr_common.results.readers.rows import Curve, numeric, read_csv, whole_steps

PATTERN = "*monitor.csv"
_OF_ONE_RUN = re.compile(r"(?:\d+\.)?monitor\.csv")
"""Names that Stable-Baselines3 gives by itself: of a VecEnv's environments, or of a single one."""
_EVALUATION = re.compile(r"(?<![a-z])(eval|test|valid)", re.IGNORECASE)


def training(folder: Path) -> list[Path]:
    """Monitor files of training; those of an evaluation's environments hold other episodes."""
    return sorted(path for path in folder.glob(PATTERN) if not _EVALUATION.search(path.name))


def runs(folder: Path) -> list[Path]:
    """Monitor files that are of a run each, ``seed3.monitor.csv``; none where they are one run's environments."""
    files = training(folder)
    seeds = {match[1] for path in files if (match := SEED.search(path.name))}
    return files if len(files) > 1 and len(seeds) == len(files) else []


def place(path: Path, files: list[Path]) -> Path:
    """Where a run's names are read: its folder's, and its one monitor file's, if that has a seed in it."""
    named = files[0].name if len(files) == 1 else ""
    folder = path if path.is_dir() else path.parent
    return folder / named.removesuffix(".monitor.csv") if SEED.search(named) else folder


def require_one_run(folder: Path) -> None:
    """:raises ValueError: if the names of monitor files tell neither that they are one run's, nor runs"""
    others = [path.name for path in training(folder) if not _OF_ONE_RUN.fullmatch(path.name)]
    seeds = {match[1] for name in others if (match := SEED.search(name))}
    if others and len(training(folder)) > 1 and not (len(seeds) == 1 and all(map(SEED.search, others))):
        names = ", ".join(others[:4]) + ", ..." * (len(others) > 4)
        raise ValueError(
            f"{folder} has the monitor files {names}: they may be the environments of one run, or runs. Name those of "
            "one run 0.monitor.csv, 1.monitor.csv, ..., those of a run each seed0.monitor.csv, ..., give every run a "
            f"folder, or say that they are one: --given '{folder}:seed=0'."
        )


def _header(path: Path) -> dict[str, Any]:
    first = path.open(encoding="utf-8", errors="replace").readline()
    try:
        header = json.loads(first.lstrip("#"))
        return {"t_start": float(header.get("t_start") or 0.0), "env_id": header.get("env_id")}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not begin with Monitor's line of JSON: it is another's, or damaged.") from error


def env_id(paths: list[Path]) -> str | None:
    """The task that all monitor files name."""
    known = {name for name in (_header(path)["env_id"] for path in paths) if name and name != "None"}
    return known.pop() if len(known) == 1 else None


def curves(paths: list[Path], n_agents: int) -> list[Curve]:
    """Returns of training episodes, in the order in which they ended, over the steps of all environments; and how many
    these are, if several."""
    tables = []
    for path in paths:
        table = read_csv(path, skiprows=1)
        if not {"r", "l", "t"} <= set(table.columns):
            raise ValueError(f"{path} has the columns {list(table.columns)}; Monitor writes r, l and t.")
        table = table[table["t"].astype(str) != "t"].dropna(subset=["r", "l", "t"])
        table = numeric(table, ("r", "l", "t"), path)
        whole_steps(table["l"], f"{path}: lengths of episodes (l)")
        table["ended"] = table["t"] + _header(path)["t_start"]
        tables.append(table)
    for table, part in zip(tables, _parts(tables), strict=True):
        table["part"] = part
    episodes = pd.concat(tables).sort_values(["part", "ended"], kind="stable")
    steps = episodes["l"].cumsum().to_numpy(dtype=np.int64) // n_agents
    times = episodes["t"].to_numpy(dtype=np.float64)
    found = [Curve(EPISODES, steps, episodes["r"].to_numpy(dtype=np.float64), wall_time=times)]
    return found + [Curve(ENVIRONMENTS, steps[-1:], np.array([float(len(paths))]))] * (
        len(paths) > 1 and len(steps) > 0
    )


def _parts(tables: list[pd.DataFrame]) -> list[NDArray[np.int64]]:
    """How often the run had been gone on with when each episode ended, for each file.

    It then counts its seconds from 0 again. Where an environment's first episode is longer than its file's last second
    this can't be seen in that file; but all environments have made as many steps then, as far as episodes ended.
    """
    back = [np.flatnonzero(np.diff(table["t"].to_numpy(np.float64)) < 0) + 1 for table in tables]
    done = [np.concatenate([[0.0], table["l"].to_numpy(np.float64).cumsum()]) for table in tables]
    most = max(map(len, back))
    whole = [steps[cuts] for steps, cuts in zip(done, back, strict=True) if len(cuts) == most]
    at = np.max(whole, axis=0)  # an environment's last episode is lost, so that the furthest is nearest to the truth
    parts = []
    for steps, cuts in zip(done, back, strict=True):
        if len(cuts) < most:
            near = np.abs(steps[None] - at[:, None]).argmin(axis=1)  # (cuts of the run,)
            for cut in cuts:  # those that can be seen are where they are
                near[np.abs(near - cut).argmin()] = cut
            cuts = np.sort(near)
        parts.append(np.searchsorted(cuts, np.arange(len(steps) - 1), side="right"))
    return parts
