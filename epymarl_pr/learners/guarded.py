"""EPyMARL's learners, whose failures that a user's choice explains are one message."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from epymarl_pr.launch.errors import refused


def guarded(make: Any, mac: Any, scheme: Any, logger: Any, args: Any) -> Any:
    """One of EPyMARL's learners; what it computes stays as it is."""
    learner = make(mac, scheme, logger, args)
    learner.load_models = functools.partial(_load, learner.load_models)
    if "maddpg" in args.learner:
        learner.train = functools.partial(_train, learner.train, args.name)
    return learner


def _load(load: Any, path: str) -> None:
    try:
        load(path)
    except (RuntimeError, ValueError, KeyError, AttributeError, OSError, EOFError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = f"{type(error).__name__}: {' '.join(lines[:2])}"
        raise refused(
            f"checkpoint_path={Path(path).parent}: the networks in {Path(path).name} can't be loaded ({reason}). Use "
            "the --config, environment and sizes with which they were trained."
        ) from error


def _train(train: Any, name: str, *arguments: Any, **more: Any) -> None:
    try:
        train(*arguments, **more)
    except ZeroDivisionError as error:
        raise refused(
            f"--config={name}: every episode of the batch has one step. EPyMARL's MADDPG leaves the last step of each "
            "out, so that nothing is left to learn from. Use iql, qmix or mappo for games of one step."
        ) from error
