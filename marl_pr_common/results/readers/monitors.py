"""Monitor files of Stable-Baselines3: one for each environment, a line for each episode."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marl_pr_common.results.readers.rows import Curve, numeric, read_csv, whole_steps

PATTERN = "*monitor.csv"


def training(folder: Path) -> list[Path]:
    """Monitor files of training; those of an evaluation's environments hold other episodes."""
    return sorted(path for path in folder.glob(PATTERN) if not re.match(r"(eval|test)", path.name, re.IGNORECASE))


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


def returns(paths: list[Path], n_agents: int) -> Curve:
    """Returns of training episodes, in the order in which they ended, over the steps of all environments."""
    tables = []
    for path in paths:
        table = read_csv(path, skiprows=1)
        if not {"r", "l", "t"} <= set(table.columns):
            raise ValueError(f"{path} has the columns {list(table.columns)}; Monitor writes r, l and t.")
        table = table[table["t"].astype(str) != "t"].dropna(subset=["r", "l", "t"])
        table = numeric(table, ("r", "l", "t"), path)
        whole_steps(table["l"], f"{path}: lengths of episodes (l)")
        # a run that was gone on with counts its seconds from 0 again, and each environment from its own beginning
        table["part"] = (table["t"].diff() < 0).cumsum()
        table["ended"] = table["t"] + _header(path)["t_start"]
        tables.append(table)
    episodes = pd.concat(tables).sort_values(["part", "ended"], kind="stable")
    steps = episodes["l"].cumsum().to_numpy(dtype=np.int64) // n_agents
    times = episodes["t"].to_numpy(dtype=np.float64)
    return Curve("rollout/episode_return", steps, episodes["r"].to_numpy(dtype=np.float64), wall_time=times)
