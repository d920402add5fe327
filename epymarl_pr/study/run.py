"""One cell: EPyMARL in a child process, everything that it writes below the cell's directory.

1. go on from the newest whole checkpoint if the arm has one, else set aside what is there and begin anew
2. the child says how far it is in ``status.json`` and logs its times (``--run-dir``)
3. sacred's record becomes ``results.parquet``; ``status.json`` says "complete" only now
"""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Any

from epymarl_pr.launch import locate
from epymarl_pr.resume.session import FOLDER
from epymarl_pr.study import processes, results
from epymarl_pr.study.plan import OWN
from marl_pr_common.checkpoint import StopRequest, catch_signals, latest
from marl_pr_common.checkpoint.manifest import read_manifest
from marl_pr_common.runs.directory import RunDirectory
from marl_pr_common.runs.provenance import record_resume
from marl_pr_common.runs.status import Status, read_status, write_status
from marl_pr_common.runs.table import set_aside
from marl_pr_common.study.hosts import CellRun
from marl_pr_common.study.processes import last_words

OUTPUT = "output.txt"
"""What EPyMARL prints, in the cell's directory."""
MODELS = "models"


def run(cell: CellRun, directory: Path) -> None:
    """See :class:`marl_pr_common.study.hosts.Host`.

    :raises ValueError: if EPyMARL ends with an error; the message has its last words
    """
    checkout = locate.find()
    before = RunDirectory(directory, cell.plan.total_env_steps)
    if before.state == "complete":
        return
    mine = before.state not in (None, "failed") and before.is_of(config=cell.plan, seed=cell.seed)
    engine = f"epymarl {(checkout.commit or 'unknown')[:7]}"
    with catch_signals() as stop:
        try:
            if not (mine and results.completed(directory)):
                found = newest_checkpoint(directory) if mine and cell.plan.settings["resumable"] else None
                _prepare(cell, directory, checkout, engine, found)
                _train(cell, directory, checkout, found, stop)
            _finish(cell, directory, engine)
        except Exception as error:
            _tell(cell, directory, "failed", f"{type(error).__name__}: {error}")
            raise


def newest_checkpoint(directory: Path) -> Path | None:
    """The checkpoint from which the cell goes on: the furthest whole one of all attempts."""
    found = [latest(models / FOLDER) for models in (directory / MODELS).glob("*")]
    return max((path for path in found if path is not None), key=_step, default=None)


def command(cell: CellRun, directory: Path, checkout: locate.Checkout, found: Path | None) -> list[str]:
    """The launcher's command line for the cell."""
    settings = cell.plan.settings
    flags = [f"--config={settings['config']}", f"--env-config={settings['env_config']}"]
    flags += [f"--epymarl-dir={checkout.root}", f"--run-dir={directory.resolve()}"]
    given = {key: value for key, value in settings.items() if key not in OWN} | {"seed": cell.seed}
    if found is not None:
        given["checkpoint_path"] = str(found.parent.parent.resolve())
    return processes.module("epymarl_pr", *flags, "with", *(f"{key}={written(value)}" for key, value in given.items()))


def written(value: Any) -> str:
    """A setting as sacred reads it after `with`: a literal of Python, else text."""
    if isinstance(value, str):
        try:
            ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return value
    return repr(value)


def _prepare(cell: CellRun, directory: Path, checkout: locate.Checkout, engine: str, found: Path | None) -> None:
    if found is not None:
        for models in (directory / MODELS).glob("*"):
            if models != found.parent.parent:  # of earlier attempts: as large as a replay buffer each
                shutil.rmtree(models / FOLDER, ignore_errors=True)
        name = f"{found.parent.parent.name}/{FOLDER}/{found.name}"
        record_resume(directory, _step(found), name, read_manifest(found).reason)
        return
    set_aside(directory)
    extra = {"arm": cell.arm, "task": cell.task, "engine": engine, "epymarl_commit": checkout.commit}
    RunDirectory(directory, cell.plan.total_env_steps).begin(cell.plan, cell.seed, **extra)
    _tell(cell, directory, "running")


def _train(cell: CellRun, directory: Path, checkout: locate.Checkout, found: Path | None, stop: StopRequest) -> None:
    with (directory / OUTPUT).open("a", encoding="utf-8") as output:
        code = processes.run(command(cell, directory, checkout, found), directory, output, stop)
    if stop and not results.completed(directory):
        _tell(cell, directory, "stopped")
        after = "goes on" if cell.plan.settings["resumable"] else "begins anew: EPyMARL alone saves no full state"
        stop.finish(f"{stop.name}: {cell.name} ended; the same command {after}.")
    if code != 0:
        raise ValueError(
            f"EPyMARL ended with exit code {code}: {last_words(directory / OUTPUT) or 'it said nothing'} "
            f"(all that it said: {directory / OUTPUT})"
        )


def _finish(cell: CellRun, directory: Path, engine: str) -> None:
    """Results first, then "complete", then what is no longer needed."""
    found = results.completed(directory)
    if found is None:
        raise ValueError(
            f"EPyMARL ended without a complete record in {directory / 'sacred'}; see {directory / OUTPUT}."
        )
    results.write(found, directory, cell, engine)
    _tell(cell, directory, "complete")
    for models in (directory / MODELS).glob("*"):
        shutil.rmtree(models / FOLDER, ignore_errors=True)


def _tell(cell: CellRun, directory: Path, state: Any, error: str | None = None) -> None:
    """Write ``status.json``, with the steps that the child has written there."""
    before = read_status(directory)
    of = cell.plan.total_env_steps
    done = of if state == "complete" else (0 if before is None else before.total_env_steps)
    write_status(directory, Status(state, done, of, error))


def _step(path: Path) -> int:
    return int(path.name.rpartition("-")[2])
