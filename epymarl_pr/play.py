"""What a run of EPyMARL has learnt: films and returns of its team, by EPyMARL's own evaluation in a child process.

The run's record (sacred's config.json) says with which settings it was trained; those that differ from the defaults of
its --config and --env-config are given again.
"""

from __future__ import annotations

import datetime as dt
import glob
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from epymarl_pr.launch import locate
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.study import processes, results
from epymarl_pr.study.plan import configuration
from epymarl_pr.study.run import MODELS, written
from marl_pr_common.config.mapping import flatten
from marl_pr_common.runs.files import read_json

OF_THE_RUN = ("name", "learner", "env", "evaluate", "save_replay", "render", "load_step", "t_max", "save_model")
"""Settings of the record that are not given again: they follow from the flags, or say what else that run did."""
_UNSAVED = (
    "has left no networks. EPyMARL saves them with save_model=True, at the first episode and then every "
    "save_model_interval steps; train with both, and --run-dir=DIR to have all in one place."
)


def film(
    run: Path, out: Path, episodes: int = 1, seed: int | None = None, agent: int | None = None, team: bool = False
) -> str:
    """Write a film of the run's team; see :class:`marl_pr_common.cli.players.Player`.

    :raises ValueError: for an agent, since the team acts in one world, or a task that gives no picture
    """
    if agent is not None:
        raise ValueError(f"agent={agent}: the agents of an EPyMARL run act together in one world. Leave it out.")
    arguments, said = _arguments(run, seed)
    _child("epymarl_pr.render", f"--out={out.absolute()}", f"--episodes={episodes}", *arguments)
    return f"{out}: {said}, {episodes} episode{'' if episodes == 1 else 's'}"


def evaluate(run: Path, episodes: int, seed: int | None = None) -> tuple[str, list[tuple[str, float, float]]]:
    """Returns of the run's team; see :class:`marl_pr_common.cli.players.Player`."""
    arguments, said = _arguments(run, seed)
    with tempfile.TemporaryDirectory(prefix="epymarl_pr_") as folder:
        how = ["evaluate=True", "runner=episode", "batch_size_run=1", f"test_nepisode={episodes}"]
        how += ["save_model=False", "use_tensorboard=False", "use_wandb=False"]
        _child("epymarl_pr", f"--run-dir={folder}", *arguments, *how)
        (record,) = results.records(Path(folder))
        logged = read_json(record / "info.json")
    names = [name.removesuffix("_return_mean") for name in logged if name.endswith("return_mean")]
    rows = [(_words(name), _last(logged, name, "mean"), _last(logged, name, "std")) for name in sorted(names, key=len)]
    return f"{said}, {episodes} episode{'' if episodes == 1 else 's'}", rows


def _words(name: str) -> str:
    """What a statistic of EPyMARL's is: test_return_mean is the team's, with common_reward=True."""
    plain = name.removeprefix("test").strip("_").replace("_", " ")
    return {"": "team", "total": "sum over agents"}.get(plain, plain)


def _last(logged: Mapping[str, Any], name: str, what: str) -> float:
    value = logged[f"{name}_return_{what}"][-1]
    return float(value["value"] if isinstance(value, Mapping) else value)  # sacred keeps NumPy's scalars as mappings


def record_of(run: Path) -> Path:
    """Sacred's folder of the run: the directory itself, or the newest one of a --run-dir.

    :raises ValueError: for a folder of several runs
    :raises FileNotFoundError: if there is none
    """
    if (run / "config.json").is_file() and (run / "run.json").is_file():
        return run
    found = results.records(run)
    if not found:
        raise FileNotFoundError(f"{run} holds no record of an EPyMARL run (sacred/ALGORITHM/KEY/NUMBER).")
    if len(found) > 1 and not (run / "status.json").is_file():
        raise ValueError(f"{run} holds {len(found)} runs. Give one of them, such as {found[-1]}.")
    return found[-1]


def models_of(record: Path, config: Mapping[str, Any]) -> Path:
    """The folder of the run's networks: of its name, seed and task, and of those the first that is not older than it.

    :raises FileNotFoundError: if there is none
    """
    key = config["env_args"].get("map_name") or config["env_args"].get("key")
    name = glob.escape(f"{config['name']}_seed{config['seed']}_{key}_")
    home = next((above.parent for above in record.absolute().parents if above.name == "sacred"), record)
    folders = (home, Path(str(config.get("local_results_path", ""))))
    found = {path.resolve() for folder in folders for path in (folder / MODELS).glob(f"{name}*") if _steps(path)}
    if (home / "status.json").is_file():  # a --run-dir, of one run, which may have begun several times
        return _required(record, max(found, key=lambda path: max(_steps(path)), default=None))
    began = read_json(record / "run.json").get("start_time")
    start = dt.datetime.fromisoformat(f"{began}+00:00").astimezone().replace(tzinfo=None) if began else dt.datetime.min
    after = {path for path in found if _time(path) >= start.replace(microsecond=0)}
    return _required(record, min(after, key=_time, default=None))


def _required(record: Path, found: Path | None) -> Path:
    if found is None:
        raise FileNotFoundError(f"{record} {_UNSAVED}")
    return found


def _steps(folder: Path) -> list[int]:
    return [int(item.name) for item in folder.iterdir() if item.name.isdigit()] if folder.is_dir() else []


def _time(folder: Path) -> dt.datetime:
    """When a run began, which EPyMARL writes at the end of the folder's name."""
    try:
        return dt.datetime.fromisoformat(folder.name[-26:])
    except ValueError:
        return dt.datetime.fromtimestamp(folder.stat().st_ctime)


def _arguments(run: Path, seed: int | None) -> tuple[list[str], str]:
    """The launcher's arguments for what the run has learnt, and what that is in words.

    :raises ValueError: for settings that the checkout refuses
    """
    record = record_of(run)
    config = read_json(record / "config.json")
    models = models_of(record, config)
    name, env_name = _names(run, config)
    try:
        checkout = locate.find()
        base = flatten(configuration(checkout, name, env_name, {}))
    except UsageError as error:
        raise ValueError(str(error)) from error
    own = {key: value for key, value in flatten(config).items() if key in base or key.startswith("env_args.")}
    changed = {key: value for key, value in own.items() if key not in OF_THE_RUN and base.get(key) != value}
    changed |= {"checkpoint_path": str(models), "seed": config["seed"] if seed is None else seed}
    step, of = max(_steps(models)), int(config["t_max"])
    said = f"{config['name']} on {changed.get('env_args.key', changed.get('env_args.map_name', env_name))}"
    settings = [f"{key}={written(value)}" for key, value in changed.items()]
    flags = [f"--config={name}", f"--env-config={env_name}", f"--epymarl-dir={checkout.root}"]
    return [*flags, "with", *settings], f"{said}, networks of step {step:,} of {of:,}"


def _names(run: Path, config: Mapping[str, Any]) -> tuple[str, str]:
    """What the run's --config and --env-config were: a study's cell knows, else EPyMARL's files are named so."""
    described = read_json(run / "run.json") if (run / "run.json").is_file() else {}
    settings = described.get("config", {}).get("settings", {}) if "experiment" not in described else {}
    return str(settings.get("config", config["name"])), str(settings.get("env_config", config["env"]))


def _child(module: str, *arguments: str) -> None:
    """:raises ValueError: with its last words, if it ends with an error"""
    done = subprocess.run(
        processes.module(module, *arguments), env=processes.variables(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
        raise ValueError(f"{module} ended with exit code {done.returncode}: {words[-1]}")
