"""Whether there is what ``checkpoint_path`` names. EPyMARL would end in silence, or train on from nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from epymarl_pr.launch import options
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.learners import table

FILES = {host: record.files for host, record in table.LEARNERS.items()}
"""What EPyMARL's learners read from a folder of saved networks; ``mixer.th`` too where there is a mixer."""
KEY = "checkpoint_path"
WHERE = (
    "a folder with saved models in folders named by their step, such as 10050. Train with save_model=True; they are in "
    "results/models/ of the folder where the run was started (the folder's name has a space in it: mind the quotes)"
)


def check(config: Mapping[str, Any]) -> None:
    """Whether the networks are there that the run goes on from, or evaluates.

    :param config: the whole configuration of the run
    :raises UsageError: naming the folder and what it lacks
    """
    path = config.get("checkpoint_path", "")
    if not isinstance(path, str):
        raise UsageError(f"checkpoint_path={path}: expected {WHERE}. Leave it out to begin with new networks.")
    for key in ("evaluate", "save_replay"):
        if config.get(key) and not path:
            raise UsageError(
                f"checkpoint_path is missing: {key}=True needs trained networks (EPyMARL would train instead). "
                "... with checkpoint_path=FOLDER, the one that holds saved models."
            )
    if not path:
        if config.get("load_step"):
            raise UsageError(
                f"load_step={config['load_step']} without checkpoint_path: nothing would be loaded. ... with "
                "checkpoint_path=FOLDER, the one that holds saved models; or leave load_step out."
            )
        return
    steps = saved_steps(path)
    wanted = config.get("load_step", 0)
    if type(wanted) is not int or wanted < 0:
        raise UsageError(f"load_step={wanted}: expected the step of a saved model, or 0 for the last.")
    step = min(steps, key=lambda saved: abs(saved - wanted)) if wanted else max(steps)  # as EPyMARL's run.py
    if wanted and step != wanted:
        sys.stderr.write(
            f"epymarl_pr: warning: load_step={wanted}: nothing was saved then; EPyMARL takes the nearest, {step}.\n"
        )
    trains_on = config.get("pr_full_checkpoint") and not (config.get("evaluate") or config.get("save_replay"))
    if not trains_on:  # else the folder `full` counts, and a killed save may have left the last step empty
        _files(Path(path) / str(step), config)


def saved_steps(path: str) -> list[int]:
    """The steps of the models in a folder.

    :raises UsageError: if there are none
    """
    folder = Path(path)
    items = list(folder.iterdir()) if folder.is_dir() else []
    found = sorted(int(item.name) for item in items if item.name.isdigit() and item.is_dir())
    if found:
        return found
    if folder.name.isdigit() and items:
        raise UsageError(f"{KEY}={path}: that is one step. Use {KEY}={folder.parent} load_step={folder.name}")
    raise UsageError(f"checkpoint_path={path}: expected {WHERE}.")


def _files(folder: Path, config: Mapping[str, Any]) -> None:
    learner = options.host_learner(config.get("learner"))
    needed = [*FILES.get(learner, ("agent.th",))]
    if learner == "q_learner" and config.get("mixer"):
        needed.append("mixer.th")
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"checkpoint_path={folder.parent}: {folder.name} holds no {', '.join(missing)}, which --config="
            f"{config.get('name')} loads. Use the --config with which they were trained, or another load_step."
        )
