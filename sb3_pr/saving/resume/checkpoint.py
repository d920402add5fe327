"""Saving a run between two rollouts, and going on from what was saved."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from marl_pr_common import checkpoint
from marl_pr_common.checkpoint import Checkpoint, CheckpointError
from marl_pr_common.reciprocity.guards import NonFiniteError
from marl_pr_common.runs.provenance import versions
from sb3_pr.guards import broken_parts
from sb3_pr.saving.resume.callbacks import Callbacks, callback_states, restore_callbacks
from sb3_pr.saving.resume.logs import logger_state, restore_logger
from sb3_pr.saving.resume.model import STRUCTURE, model_state, restore_model, settings

REPLAY = "replay"
EXACT_VERSIONS = ("numpy", "torch", "stable-baselines3", "gymnasium", "mujoco")
"""Distributions whose versions decide the last bits."""


def save_checkpoint(model: Any, root: Path | str, callback: Callbacks = None, keep: int = 2) -> Path:
    """Write a checkpoint of ``model``; call it before or after ``learn``, or between two rollouts.

    :param root: directory of the run's checkpoints, see :func:`marl_pr_common.checkpoint.save`
    :param callback: the callbacks given to ``learn``; their state is kept too
    :param keep: newest checkpoints that stay
    :raises NonFiniteError: if networks or optimisers hold NaN or infinity: the last good checkpoint stays
    :raises OSError: if it cannot be written; earlier checkpoints are unchanged
    """
    broken = broken_parts(model)
    if broken:
        raise NonFiniteError(
            f"no checkpoint was saved at step {model.num_timesteps}: {broken[0]} is not finite. The last good one in "
            f"{root} stays."
        )
    tree, reasons = model_state(model)
    replay = tree.pop(REPLAY)
    tree["callbacks"], more = callback_states(callback)
    tree["logger"] = logger_state(model.logger) if getattr(model, "_logger", None) is not None else None
    reasons += more
    return checkpoint.save(
        root,
        {"model": tree, REPLAY: replay} if replay is not None else {"model": tree},
        step=model.num_timesteps,
        exact=not reasons,
        reason="; ".join(reasons),
        kind=type(model).__name__,
        meta={"settings": settings(model)},
        keep=keep,
        separate=[REPLAY] if replay is not None else [],
    )


def load_checkpoint(
    path: Path | str, model: Any, callback: BaseCallback | list[BaseCallback] | None = None
) -> Checkpoint:
    """Put ``model``, constructed as the saved one was, where that one stood. Nothing in the file is ever executed.

    Go on with ``model.learn(total - model.num_timesteps, reset_num_timesteps=False, callback=callback)``.

    :param path: a checkpoint, or the directory of several: the newest complete one is taken
    :param callback: callbacks constructed as those given to ``learn`` then; None leaves theirs out
    :return: what was read; ``manifest.exact`` says whether the run continues bit for bit
    :raises CheckpointError: if the file is damaged, or of another model: the message says in what they differ

    Warns if the checkpoint is approximate (new episodes begin), or if settings differ from those of then.
    """
    if model.env is None:
        raise CheckpointError("the model has no environment. Construct it with the one that it is to be trained in.")
    read = checkpoint.load(path, kind=type(model).__name__)
    _compare(read, model)
    tree = read.tree["model"]
    restore_model(model, {**tree, REPLAY: read.tree.get(REPLAY)})
    if callback is not None:
        restore_callbacks(callback, tree["callbacks"])
    if tree["logger"] is not None:
        if getattr(model, "_logger", None) is not None:
            restore_logger(model.logger, tree["logger"], read.manifest.step)
        elif hasattr(model, "watch"):
            model.__dict__.setdefault("_resumed", {})["logger"] = tree["logger"]  # learn() makes the logger
    if not read.manifest.exact:
        warnings.warn(f"{read.path} continues approximately: {read.manifest.reason}.", RuntimeWarning, stacklevel=2)
    return read


def _compare(read: Checkpoint, model: Any) -> None:
    here, then = settings(model), read.manifest.meta.get("settings", {})
    differences = {
        key: f"{key} was {then[key]!r} and is now {here.get(key)!r}" for key in then if then[key] != here.get(key)
    }
    if wrong := [text for key, text in differences.items() if key in STRUCTURE]:
        raise CheckpointError(f"{read.path} is of another model: {'; '.join(wrong)}. Construct the model as it was.")
    if differences:
        text = "; ".join(differences.values())
        warnings.warn(f"{read.path} is resumed with other settings: {text}.", RuntimeWarning, stacklevel=3)
    now = versions()
    other = {name: f"{name} {read.manifest.versions.get(name)} -> {now[name]}" for name in EXACT_VERSIONS}
    if text := "; ".join(other[name] for name in other if now[name] != read.manifest.versions.get(name)):
        warnings.warn(
            f"{read.path} was saved with other versions ({text}): the run goes on, perhaps not bit for bit.",
            RuntimeWarning,
            stacklevel=3,
        )
