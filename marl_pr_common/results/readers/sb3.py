"""Stable-Baselines3's own logs as results: ``evaluations.npz``, ``progress.csv`` and monitor files.

    evaluations.npz   of EvalCallback            eval/return
    progress.csv      of the csv logger          train/..., rollout/return, and eval/return if there is no npz
    *monitor.csv      of Monitor                 rollout/episode_return, with exploration

These files do not say which algorithm, task and seed they are of. A monitor file and rl_zoo3's ``args.yml`` name the
task; the rest is read from the names of folders (:mod:`marl_pr_common.results.readers.folders`). The number of agents
stands in ``progress.csv`` of a ``TD3PR`` or in the model saved beside it; upstream's algorithms are one agent, whatever
number of environments they have.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marl_pr_common.results.readers import beside, monitors
from marl_pr_common.results.readers.folders import EXTENDED, named
from marl_pr_common.results.readers.rows import Curve, numeric, overridden, read_csv, rows, whole_steps
from marl_pr_common.runs.table import TEAM, RunIdentity

WRITER = "Stable-Baselines3"
NPZ, PROGRESS, MONITOR = "evaluations.npz", "progress.csv", monitors.PATTERN
_STEPS, _PER_AGENT = "time/total_timesteps", "time/timesteps_per_agent"
_EXTENDED = "|".join(EXTENDED)
_GROUP = re.compile(
    rf"({_EXTENDED})_?(pr|independent|shared_replay|own_critics|random_peer|noise)(?![a-z])"
    rf"|(?<![a-z0-9])pr(_?({_EXTENDED})|(?![a-z0-9]))|reciproc"
)
"""Arms of this package, which are several agents, as people write them."""
_OF_AGENT = re.compile(r"(train|rollout|eval)/agent_(\d+)/(.+)")
_RENAMED = {"rollout/ep_rew_mean": "rollout/return", "eval/mean_reward": "eval/return"}


class UntoldError(ValueError):
    """Files and folder names do not say what a run is.

    :param missing: names of what is to be told
    """

    def __init__(self, folder: Path, missing: list[str]) -> None:
        self.missing = missing
        super().__init__(ask(folder, missing))


def is_run(path: Path) -> bool:
    """Whether ``path`` is such a file, or a folder that holds one."""
    if path.is_file():
        return path.name in (NPZ, PROGRESS) or path.name.endswith("monitor.csv")
    return path.is_dir() and (_npz(path) is not None or (path / PROGRESS).is_file() or any(path.glob(MONITOR)))


def several(path: Path) -> list[Path]:
    """Files of a folder that are a run each: its monitor files, where there is nothing else and their names say so."""
    alone = path.is_dir() and _npz(path) is None and not (path / PROGRESS).is_file()
    return monitors.runs(path) if alone else []


def read(path: Path, n_agents: int | None = None, **given: Any) -> pd.DataFrame:
    """The results of one run.

    :param path: the folder of a run, or one of its files
    :param n_agents: learners whose environments are the columns of one VecEnv, to take instead of what is found;
        Stable-Baselines3 counts the steps of all columns, so those of each are a part of them
    :param given: columns of ``RunIdentity`` to take instead of what is found: arm, task, seed, engine, evaluation, run
    :raises UntoldError: if arm, task, seed or the number of agents are neither given nor found
    :raises ValueError: if a file is damaged
    """
    folder = path if path.is_dir() else path.parent
    npz = _npz(path) if path.is_dir() else (path if path.name == NPZ else None)
    progress = path / PROGRESS if path.is_dir() else path
    files = monitors.training(path) if path.is_dir() else [path] * path.name.endswith("monitor.csv")
    env_id = monitors.env_id(files)
    if path.is_dir() and "seed" not in given:
        monitors.require_one_run(path)
    found = _identity(monitors.place(path, files), env_id, given) | {"engine": beside.engine(folder), "evaluation": ""}
    n_agents = _agents(folder, str(found["arm"])) if n_agents is None else n_agents
    curves = []
    if npz is not None:
        curve, found["evaluation"] = _evaluations(npz, n_agents)
        curves.append(curve)
    if progress.name == PROGRESS and progress.is_file():
        curves += _progress(progress, n_agents, with_returns=npz is None)
    if files:
        curves += monitors.curves(files, n_agents)
    return rows(overridden(RunIdentity(run="", **(found | _known(given))), given), curves, n_agents, str(path))


def settings(path: Path) -> tuple[str, dict[str, Any]]:
    """How the run learnt, and which file says so: rl_zoo3's or a saved model; empty if neither is there."""
    folder = path if path.is_dir() else path.parent
    if found := beside.hyperparameters(folder):
        return "config.yml", found
    found = beside.model(folder)
    return "model", beside.UNSAID | found if found else found


def _agents(folder: Path, arm: str) -> int:
    """The number of agents that the files tell.

    :raises UntoldError: if they do not tell it of an arm of this package
    """
    told = set()
    if (logged := _agents_logged(folder / PROGRESS)) is not None:
        told.add(logged)
    if saved := beside.model(folder):
        told.add(int(saved.get("n_agents", 1)))
    if len(told) > 1:
        raise ValueError(
            f"{folder}: {PROGRESS} and the saved model tell different numbers of agents ({sorted(told)}): they are of "
            "two runs. Give each its own folder."
        )
    words = re.sub(r"[^a-z0-9]+(?!noise)", "_", arm.lower())  # td3-noise0.1 is upstream's, td3_noise an arm of ours
    if not told and _GROUP.search(words):
        raise UntoldError(folder, ["n_agents"])
    return told.pop() if told else 1


def _agents_logged(progress: Path) -> int | None:
    if not progress.is_file():
        return None
    table = read_csv(progress)
    if not {_STEPS, _PER_AGENT} <= set(table.columns):
        return 1  # upstream's
    total, each = (pd.to_numeric(table[name], errors="coerce") for name in (_STEPS, _PER_AGENT))
    begun = (each > 0) & total.notna()
    ratios = sorted((total[begun] / each[begun]).round().astype(int).unique().tolist())
    if len(ratios) > 1:
        raise ValueError(f"{progress} is of {ratios} agents: runs were logged into one file. Give each its own.")
    return int(ratios[0]) if ratios else None


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
        what = "other things than numbers, or no NPZ file" if "pickle" in str(error) else error  # NumPy says: trust it
        raise ValueError(f"{path} is not what EvalCallback writes, or only half of it ({what}).") from error
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
    table = read_csv(path)
    if _STEPS not in table.columns:
        raise ValueError(f"{path} has no column {_STEPS}: it is not a progress.csv of Stable-Baselines3.")
    table = table[table[_STEPS].astype(str) != _STEPS]  # the header again, where a run was gone on with
    table = table.dropna(subset=[_STEPS])
    curves = []
    for column in table.columns:
        metric, agent = _metric(str(column))
        if metric is None or (metric == "eval/return" and agent == TEAM and not with_returns):
            continue
        part = table.dropna(subset=[column])
        values = pd.to_numeric(part[column], errors="coerce")
        if (values.isna() & (part[column].astype(str).str.lower() != "nan")).all():
            continue  # text
        part = numeric(part.copy(), (column,), path)
        curves.append(
            Curve(
                metric,
                whole_steps(part[_STEPS], f"{path}: {_STEPS}") // n_agents,
                part[column].to_numpy(dtype=np.float64),
                agent,
                wall_time=_column(part, "time/time_elapsed"),
                updates=_whole(_column(part, "train/n_updates")),
            )
        )
    return curves


def _metric(column: str) -> tuple[str | None, int]:
    """Metric and agent of a column; no metric where the schema has no name for it."""
    agent = TEAM
    if match := _OF_AGENT.fullmatch(column):
        agent, column = int(match[2]), f"{match[1]}/{match[3]}"
    if column in _RENAMED:
        return _RENAMED[column], agent
    return (column if column.startswith("train/") and column != "train/n_updates" else None), agent


def _column(table: pd.DataFrame, name: str) -> Any:
    return pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) if name in table.columns else None


def _whole(values: Any) -> Any:
    return None if values is None else np.nan_to_num(values, nan=-1).astype(np.int64)


def _identity(folder: Path, env_id: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """Arm, task and seed, from rl_zoo3's arguments where they are there, else from names."""
    zoo = beside.arguments(folder)
    names = named(folder, env_id or zoo.get("env"))
    seed = zoo.get("seed")
    found = {
        "arm": zoo.get("algo") or names.arm,
        "task": names.task,
        # -1 asks rl_zoo3 for a random one
        "seed": seed if isinstance(seed, int) and seed >= 0 else names.seed,
    }
    found |= {key: value for key, value in given.items() if key in found}
    if missing := [key for key, value in found.items() if value is None]:
        raise UntoldError(folder, missing)
    return found


def ask(folder: Path, missing: list[str]) -> str:
    """The message that asks for what cannot be told."""
    wanted = ", ".join(f"{key}=..." for key in missing)
    task = monitors.env_id(monitors.training(folder)) if "task" in missing else None
    other = f" (its monitor files are of {task}, which its folder's name is not)" if task else ""
    return (
        f"{folder}: {' and '.join(missing)} of this run cannot be told from its files or folder names{other}. Say it "
        f"with --given '{folder}:{wanted.replace(', ', ',')}', in Python "
        f"marl_pr_common.results.readers.read(path, {wanted}); or name the folder like td3/Pendulum-v1/seed0."
    )
