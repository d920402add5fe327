"""Stable-Baselines3's own logs as results: ``evaluations.npz``, ``progress.csv`` and monitor files.

    evaluations.npz   of EvalCallback            eval/return
    progress.csv      of the csv logger          train/..., rollout/return, and eval/return if there is no npz
    *monitor.csv      of Monitor                 rollout/episode_return, with exploration

These files do not say which algorithm, task and seed they are of. A monitor file names the task; the rest is read from
folder names: ``td3/Pendulum-v1_3`` (as rl_zoo3 has it), ``td3/Pendulum-v1/seed3``, ``td3-Pendulum-v1-seed3``.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marl_pr_common.readers.rows import Curve, overridden, rows, whole_steps
from marl_pr_common.runs import RunIdentity

WRITER = "Stable-Baselines3"
NPZ, PROGRESS, MONITOR = "evaluations.npz", "progress.csv", "*monitor.csv"
_SEED = re.compile(r"[-_.]?seed[-_=]?(\d+)", re.IGNORECASE)
_ENDING = re.compile(r"[-_](\d+)$")
_TASK = re.compile(r"[A-Za-z0-9_]*[A-Za-z0-9]-v\d+(?=$|[-_.])")
_STEPS = "time/total_timesteps"


def is_run(path: Path) -> bool:
    """Whether ``path`` is such a file, or a folder that holds one."""
    if path.is_file():
        return path.name in (NPZ, PROGRESS) or path.name.endswith("monitor.csv")
    return path.is_dir() and (_npz(path) is not None or (path / PROGRESS).is_file() or any(path.glob(MONITOR)))


def read(path: Path, n_agents: int = 1, **given: Any) -> pd.DataFrame:
    """The results of one run.

    :param path: the folder of a run, or one of its files
    :param n_agents: learners whose environments are the columns of one VecEnv; Stable-Baselines3 counts the steps of
        all columns, so those of each are a part of them
    :param given: columns of ``RunIdentity`` to take instead of what is found: arm, task, seed, engine, evaluation, run
    :raises ValueError: if a file is damaged, or arm, task or seed are neither given nor found
    """
    folder = path if path.is_dir() else path.parent
    npz = _npz(path) if path.is_dir() else (path if path.name == NPZ else None)
    progress = path / PROGRESS if path.is_dir() else path
    monitors = sorted(path.glob(MONITOR)) if path.is_dir() else [path] * path.name.endswith("monitor.csv")
    curves, evaluation, env_id = [], "", None
    if npz is not None:
        curve, evaluation = _evaluations(npz, n_agents)
        curves.append(curve)
    if progress.name == PROGRESS and progress.is_file():
        curves += _progress(progress, n_agents, with_returns=npz is None)
    if monitors:
        curve, env_id = _monitors(monitors, n_agents)
        curves.append(curve)
    found = _identity(folder, env_id, given) | {"engine": _engine(folder), "evaluation": evaluation}
    return rows(overridden(RunIdentity(run="", **(found | _known(given))), given), curves, n_agents, str(path))


def _known(given: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != "run"}


def _npz(folder: Path) -> Path | None:
    return next(
        (file for pattern in (NPZ, f"eval/{NPZ}", f"evaluations/{NPZ}") for file in sorted(folder.glob(pattern))), None
    )


def _evaluations(path: Path, n_agents: int) -> tuple[Curve, str]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            steps, returns = np.asarray(stored["timesteps"]), np.asarray(stored["results"], dtype=np.float64)
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not what EvalCallback writes, or only half of it ({error}).") from error
    if returns.ndim != 2 or returns.shape[:1] != steps.shape:
        swapped = " The axes are swapped." if returns.ndim == 2 and returns.shape[1:] == steps.shape else ""
        raise ValueError(
            f"{path}: results of shape {returns.shape} for timesteps of shape {steps.shape}; expected "
            f"(n_evaluations, n_episodes) and (n_evaluations,).{swapped}"
        )
    episodes = returns.shape[1]
    if episodes == 0:
        raise ValueError(f"{path}: results of 0 episodes, expected at least one. Leave this run out.")
    steps = whole_steps(steps, f"{path}: timesteps")
    evaluation = f"{episodes} episode{'' if episodes == 1 else 's'}, EvalCallback"
    return Curve("eval/return", steps // n_agents, returns.mean(axis=1)), evaluation


def _progress(path: Path, n_agents: int, with_returns: bool) -> list[Curve]:
    table = _csv(path)
    if _STEPS not in table.columns:
        raise ValueError(f"{path} has no column {_STEPS}: it is not a progress.csv of Stable-Baselines3.")
    table = table.dropna(subset=[_STEPS])
    names = {"rollout/ep_rew_mean": "rollout/return"}
    if with_returns:
        names["eval/mean_reward"] = "eval/return"
    names |= {name: name for name in table.columns if name.startswith("train/") and name != "train/n_updates"}
    curves = []
    for column, metric in names.items():
        if column in table.columns and pd.api.types.is_numeric_dtype(table[column]):
            part = table.dropna(subset=[column])
            curves.append(
                Curve(
                    metric,
                    whole_steps(part[_STEPS], f"{path}: {_STEPS}") // n_agents,
                    part[column].to_numpy(dtype=np.float64),
                    wall_time=_column(part, "time/time_elapsed"),
                    updates=_whole(_column(part, "train/n_updates")),
                )
            )
    return curves


def _column(table: pd.DataFrame, name: str) -> Any:
    return table[name].to_numpy(dtype=np.float64) if name in table.columns else None


def _whole(values: Any) -> Any:
    return None if values is None else np.nan_to_num(values, nan=-1).astype(np.int64)


def _monitors(paths: list[Path], n_agents: int) -> tuple[Curve, str | None]:
    """Returns of training episodes, in the order in which they ended, over the steps of all environments."""
    tables, env_ids = [], set()
    for path in paths:
        first = path.open(encoding="utf-8", errors="replace").readline()
        try:
            env_ids.add(json.loads(first.lstrip("#")).get("env_id"))
        except (ValueError, AttributeError) as error:
            raise ValueError(
                f"{path} does not begin with Monitor's line of JSON: it is another's, or damaged."
            ) from error
        table = _csv(path, skiprows=1)
        if not {"r", "l", "t"} <= set(table.columns):
            raise ValueError(f"{path} has the columns {list(table.columns)}; Monitor writes r, l and t.")
        table = table.dropna(subset=["r", "l", "t"])
        whole_steps(table["l"], f"{path}: lengths of episodes (l)")
        tables.append(_numeric(table, ("r", "l", "t"), path))
    episodes = pd.concat(tables).sort_values("t", kind="stable")
    steps = episodes["l"].cumsum().to_numpy(dtype=np.int64) // n_agents
    times = episodes["t"].to_numpy(dtype=np.float64)
    curve = Curve("rollout/episode_return", steps, episodes["r"].to_numpy(dtype=np.float64), wall_time=times)
    known = {env_id for env_id in env_ids if env_id and env_id != "None"}
    return curve, known.pop() if len(known) == 1 else None


def _numeric(table: pd.DataFrame, columns: tuple[str, ...], path: Path) -> pd.DataFrame:
    for column in columns:
        try:
            table[column] = pd.to_numeric(table[column])
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: column {column} holds what is no number ({error}). Mend the line or leave this run out."
            ) from error
    return table


def _csv(path: Path, **options: Any) -> pd.DataFrame:
    try:
        return pd.read_csv(path, **options)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} is not a readable CSV file ({error}).") from error


def _identity(folder: Path, env_id: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """Arm, task and seed from the names of the last three folders, the innermost first."""
    parts = list(reversed(folder.resolve().parts[-3:]))
    seed = next((int(match[1]) for part in parts if (match := _SEED.search(part))), None)
    if seed is None and (match := _ENDING.search(parts[0])):
        seed = int(match[1])
    task = env_id or next((match[0] for part in parts if (match := _TASK.search(part))), None)
    # what is left of the names when task and seed are taken out
    rest = (_ENDING.sub("", _TASK.sub("", _SEED.sub("", part))).strip("-_. ") for part in parts)
    found = {"arm": next((name for name in rest if re.search("[A-Za-z]", name)), None), "task": task, "seed": seed}
    found |= {key: value for key, value in given.items() if key in found}
    if missing := [key for key, value in found.items() if value is None]:
        raise ValueError(
            f"{folder}: {' and '.join(missing)} of this run cannot be told from its files or folder names. Name the "
            "folder like td3/Pendulum-v1/seed0, or give them: marl_pr_common.readers.read(path, "
            f"{', '.join(f'{key}=...' for key in missing)})."
        )
    return found


def _engine(folder: Path) -> str:
    """Stable-Baselines3 with the version that a saved model beside the logs names."""
    for path in sorted(folder.glob("*.zip")):
        try:
            with zipfile.ZipFile(path) as archive:
                version = archive.read("_stable_baselines3_version").decode().strip()
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            continue
        return f"stable-baselines3 {version}"
    return "stable-baselines3, version unknown"
