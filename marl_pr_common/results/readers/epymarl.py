"""EPyMARL's sacred folders as results: ``config.json``, ``run.json``, ``metrics.json`` or ``info.json``.

``t_env`` counts steps of the environment, in each of which every agent acts: it is the steps per agent, and times the
number of agents the steps in total. With ``common_reward`` EPyMARL knows only the team's return (the sum or the mean
over agents, ``reward_scalarisation``): it becomes rows of the team. Without, every agent has its own rows. Which of
these it is stands in the column ``evaluation``, so runs that differ in it are not compared. Wall time counts
evaluations, which sacred does not tell apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marl_pr_common.results.readers.apart import Source
from marl_pr_common.results.readers.rows import Curve, overridden, rows, whole_steps
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.table import TEAM, RunIdentity

WRITER = "EPyMARL's sacred"
_AGENT = re.compile(r"test_agent_(\d+)_return_mean")
_N_AGENTS = (
    r"-(\d+)p-",  # lbforaging: Foraging-8x8-2p-3f-v3
    r"-(\d+)ag(?:-|$)",  # rware: rware-tiny-4ag-v2
    r"(?:^|:)(?:pp|spread)-(\d+)-",  # this package's: pp-3-v0
    r"^(?:protoss|terran|zerg)_(\d+)_vs_\d+$",  # SMACv2
    r"^smacv2_(\d+)_units$",  # SMAX
)
_UNITS = re.compile(r"(?:\d+[a-z]+)+?(?=_vs_|$)")
"""The team's side of SMAC's maps: 8m, 3s_vs_5z, 2s3z, 1c3s5z."""
_NAMED = {"MMM": 10, "MMM2": 10, "bane_vs_bane": 24, "corridor": 6, "so_many_baneling": 7, "so_many_banelings": 7}
"""SMAC's other maps."""


def is_run(path: Path) -> bool:
    """Whether ``path`` is the folder of one sacred run."""
    return (path / "run.json").is_file() and (path / "config.json").is_file()


def read(path: Path, n_agents: int | None = None, notes: list[str] | None = None, **given: Any) -> pd.DataFrame:
    """The results of one run.

    :param path: its numbered folder, such as ``results/sacred/qmix/KEY/1``
    :param n_agents: agents of the team; by default from the log or the name of the environment. If neither tells, the
        team is counted as one and ``total_env_steps`` are the environment's: this goes into ``notes``
    :param notes: takes what a reader should know
    :param given: columns of ``RunIdentity`` to take instead of what is found
    :raises ValueError: if a file is damaged or the run has no test return
    """
    config, run = read_json(path / "config.json"), read_json(path / "run.json")
    notes = [] if notes is None else notes
    for key in ("evaluate", "save_replay"):
        if config.get(key) and config.get("checkpoint_path"):  # without, EPyMARL trains all the same
            raise ValueError(f"{path} played saved networks ({key}=True): it is no run that learnt.")
    curves = _curves(series := _series(path, run, notes))
    if not any(curve.metric == "eval/return" and len(curve.steps) for curve in curves):
        raise ValueError(f"{path} has no test return yet: EPyMARL writes it every test_interval steps.")
    identity = overridden(_identity(path, config, run), given)
    n_agents = _team_size(path, config, series) if n_agents is None else n_agents
    if n_agents is None:
        notes.append(
            f"Run {identity.run}: neither its log nor the name {identity.task} tells how many agents there are. Its "
            "team is counted as one; give n_agents= to count the steps of all agents."
        )
    if run.get("status") != "COMPLETED":
        notes.append(f"Run {identity.run}: EPyMARL says that it is {run.get('status', 'without status')}.")
    return rows(identity, curves, 1 if n_agents is None else n_agents, str(path))


def settings(path: Path) -> dict[str, Any]:
    """How the run learnt: all of its configuration, and whether it began with another run's networks."""
    config = read_json(path / "config.json")
    begun = bool(config.get("checkpoint_path")) and not config.get("pr_full_checkpoint")
    return {**config, "begun with saved networks": begun}


def without_beginnings(
    found: Sequence[tuple[Source, pd.DataFrame]], notes: list[str] | None
) -> list[tuple[Source, pd.DataFrame]]:
    """Runs and their results without those that were gone on with in another, which then may have another end.

    :param notes: takes what was left out
    """
    kept = list(found)
    for one, table in found:
        for other, whole in kept:
            same = (one.arm, one.task, one.seed) == (other.arm, other.task, other.seed)
            resumed = all(other.settings.get(key) for key in ("checkpoint_path", "pr_full_checkpoint"))
            gone_on = same and one.path != other.path and resumed
            if gone_on and _begins(_points(table), _points(whole)):
                kept = [pair for pair in kept if pair[0].path != one.path]
                if notes is not None:
                    notes.append(f"Left out: {one.path} was gone on with in {other.path}, which holds its curve.")
                break
    return kept


def _begins(one: dict[tuple[int, int], str], whole: dict[tuple[int, int], str]) -> bool:
    """Whether all points are the other's, or those until they part are, and no constant."""
    apart = min((key for key, value in one.items() if whole.get(key) != value), default=None)
    before = {value for key, value in one.items() if apart is not None and key[0] < apart[0]}
    return apart is None or (len(before) > 1 and max(one) <= max(whole))


def _points(table: pd.DataFrame) -> dict[tuple[int, int], str]:
    """(step, agent) -> its return, to the last digit; NaN is NaN."""
    rows = table[table["metric"] == "eval/return"]
    keys = zip(rows["env_steps_per_agent"], rows["agent"], strict=True)
    return dict(zip(keys, map(repr, map(float, rows["value"])), strict=True))


def _series(path: Path, run: dict[str, Any], notes: list[str]) -> dict[str, Curve]:
    """Everything that was logged, by EPyMARL's name."""
    if metrics := _metrics(path, notes):
        start = _time(run.get("start_time"))
        return {name: _from_metrics(name, logged, start, path) for name, logged in metrics.items()}
    if not (path / "info.json").is_file():
        raise ValueError(f"{path} has neither metrics in metrics.json nor info.json: give the folder of a whole run.")
    info = read_json(path / "info.json")
    found = {}
    for name in info:
        if f"{name}_T" in info:
            steps = whole_steps(info[f"{name}_T"], f"{path / 'info.json'}: {name}_T")
            values = _numbers(info[name], path)
            n = min(len(steps), len(values))  # a run that is still written to
            found[name] = Curve(name, steps[:n], values[:n])
    return found


def _metrics(path: Path, notes: list[str]) -> dict[str, Any]:
    """What metrics.json holds; nothing where a kill or a full disk cut it, and info.json has the same curves."""
    file = path / "metrics.json"
    try:
        return read_json(file) if file.is_file() else {}
    except ValueError as error:
        if (path / "info.json").is_file():
            notes.append(f"{file} is damaged: read from info.json beside it, which has no times.")
            return {}
        raise ValueError(f"{file} is damaged, and there is no info.json beside it. Leave this run out.") from error


def _from_metrics(name: str, logged: Any, start: float, path: Path) -> Curve:
    file = path / "metrics.json"
    if not isinstance(logged, dict) or not all(isinstance(logged.get(key), list) for key in ("steps", "values")):
        raise ValueError(f"{file}: {name} has no lists of steps and values. Mend the file or leave this run out.")
    steps, values = whole_steps(logged["steps"], f"{file}: steps of {name}"), _numbers(logged["values"], path)
    times = np.array([_time(stamp) for stamp in logged.get("timestamps") or [None] * len(steps)]) - start
    n = min(len(steps), len(values), len(times))  # a run that is still written to
    return Curve(name, steps[:n], values[:n], wall_time=times[:n])


def _numbers(values: list[Any], path: Path) -> np.typing.NDArray[np.float64]:
    """Plain numbers, or NumPy scalars as sacred's jsonpickle writes them; never unpickled."""
    try:
        plain = [value["value"] if isinstance(value, dict) else value for value in values]
        return np.array([np.nan if value is None else float(value) for value in plain])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: a logged value is neither a number nor a NumPy scalar ({error}).") from error


def _time(stamp: str | None) -> float:
    """Seconds, of an ISO time in UTC; NaN if there is none."""
    try:
        return datetime.fromisoformat(str(stamp)).timestamp()
    except ValueError:
        return float("nan")


def _curves(series: dict[str, Curve]) -> list[Curve]:
    """Under the names of the results schema; only what the schema has a name for."""
    found = []
    for name, curve in series.items():
        if match := _AGENT.fullmatch(name):
            found.append(_renamed(curve, "eval/return", int(match[1])))
        elif name == "test_return_mean":
            found.append(_renamed(curve, "eval/return"))
        elif name.startswith("test_") and name.endswith("_mean"):
            found.append(_renamed(curve, f"eval/{name.removeprefix('test_').removesuffix('_mean')}"))
        elif name.endswith("_mean") and "return" in name:
            found.append(_renamed(curve, f"rollout/{name.removesuffix('_mean')}"))
        elif not name.endswith(("_std", "_mean")) and name not in ("episode", "epsilon"):
            found.append(_renamed(curve, f"train/{name}"))
    return found


def _renamed(curve: Curve, metric: str, agent: int = TEAM) -> Curve:
    return Curve(metric, curve.steps, curve.values, agent, curve.wall_time)


def _identity(path: Path, config: dict[str, Any], run: dict[str, Any]) -> RunIdentity:
    name, label = str(config.get("name", path.resolve().parents[1].name)), config.get("label")
    args = _env_args(path, config)
    key = str(args.get("key") or args.get("map_name") or config.get("env"))
    if not isinstance(config.get("seed"), int):
        raise ValueError(f"{path / 'config.json'} has no seed: it is not of a run of EPyMARL.")
    repositories = (run.get("experiment") or {}).get("repositories") or []
    commits = [found for found in repositories if found.get("commit")]
    engine = f"epymarl {commits[0]['commit'][:7]}" if commits else "epymarl, commit unknown"
    if commits and commits[0].get("dirty"):
        engine += " with changes"
    return RunIdentity(
        run="",
        arm=name if label in (None, "", "default_label") else f"{name}-{label}",
        task=key,
        engine=engine,
        seed=config["seed"],
        evaluation=_evaluation(config),
    )


def _evaluation(config: dict[str, Any]) -> str:
    if config.get("common_reward", True):
        what = f"return of the team ({config.get('reward_scalarisation', 'sum')} over agents)"
    else:
        what = "return of each agent"
    greedy = "greedy" if config.get("test_greedy", True) else "sampled actions"
    return f"{config.get('test_nepisode', '?')} episodes, {greedy}, {what}"


def _env_args(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    args = config.get("env_args") or {}
    if not isinstance(args, dict):
        raise ValueError(
            f"{path / 'config.json'}: env_args={args!r}, expected a mapping. Give the folder of a whole run."
        )
    return args


def _team_size(path: Path, config: dict[str, Any], series: dict[str, Curve]) -> int | None:
    args = _env_args(path, config)
    for found in (config.get("n_agents"), args.get("n_agents")):
        if isinstance(found, int):
            return found
    if agents := [int(match[1]) for name in series if (match := _AGENT.fullmatch(name))]:
        return max(agents) + 1
    key = str(args.get("key") or args.get("map_name") or "")
    units = (args.get("capability_config") or {}).get("n_units")  # of SMACv2
    spread = args.get("N", 3) if re.search(r"simple[-_]spread", key) else None  # PettingZoo's
    for found in (units, spread, _NAMED.get(key)):
        if isinstance(found, int):
            return found
    if match := _UNITS.match(key):
        return sum(map(int, re.findall(r"\d+", match[0])))
    return next((int(match[1]) for pattern in _N_AGENTS if (match := re.search(pattern, key))), None)
