"""Going on with tabular training: restoring arrays in place, and a loop that saves and resumes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pr_common import checkpoint
from marl_pr_common.checkpoint import CheckpointError, catch_signals, set_generator_state
from marl_pr_common.checkpoint.payload import write_part

KIND = "tabular"
LEARNT, KIND_LEARNT = "learnt", "tabular-learnt"
"""Folder of a complete run's tables within its directory, and what it holds."""
AT_MOST = 20_000_000
"""Bytes of tables that are kept."""


@dataclass(frozen=True)
class Evaluation:
    """Greedy episodes after some training."""

    steps: int
    """Environment steps per agent so far."""
    total_steps: int
    """Environment steps of all agents together, not counting agents that had left."""
    returns: NDArray[np.float64]
    """(episodes, n_agents): undiscounted returns."""


def copy_arrays(now: Mapping[str, np.ndarray], saved: Mapping[str, np.ndarray]) -> None:
    """Write ``saved`` into the arrays ``now``, which compiled loops and snapshots hold too.

    :raises CheckpointError: if names, shapes or types differ
    """
    for name, array in now.items():
        then = saved.get(name)
        if then is None or then.shape != array.shape or then.dtype != array.dtype:
            found = "absent" if then is None else f"{then.dtype} of shape {then.shape}"
            raise CheckpointError(
                f"{name} is {array.dtype} of shape {array.shape}, in the checkpoint it is {found}. Construct the "
                "trainer as it was then."
            )
        array[...] = then


def restore_generators(now: Sequence[np.random.Generator], saved: Sequence[dict[str, Any]]) -> None:
    """Put generators where they were.

    :raises CheckpointError: if their number or kind differs
    """
    if len(now) != len(saved):
        raise CheckpointError(f"there are {len(now)} generators, the checkpoint has {len(saved)}: other seeds.")
    for generator, state in zip(now, saved, strict=True):
        set_generator_state(generator, state)


def check_saveable(trainer: Any) -> None:
    """Refuse at once what could not be saved after the first piece of training.

    :raises NotSaveable: if the state of the environment is not known
    :raises TypeError: if that state holds what a checkpoint cannot keep
    """
    with tempfile.TemporaryDirectory() as folder:
        write_part(Path(folder), "envs", {"envs": trainer.state_dict().get("envs", [])})


@contextmanager
def resumable(trainer: Any, root: Path | str | None) -> Iterator[tuple[list[Evaluation], Callable[[], None]]]:
    """Restore ``trainer`` from ``root`` if that holds a checkpoint; yield the evaluations so far and what saves.

    An environment that cannot be saved is refused here, before the first step. The function saves, and ends the process
    if SIGTERM or SIGINT came since; without ``root`` it does nothing.
    """
    evaluations: list[Evaluation] = []
    if root is None:
        yield evaluations, lambda: None
        return
    check_saveable(trainer)
    if checkpoint.checkpoints(root):
        tree = checkpoint.load(root, kind=KIND).tree
        trainer.load_state_dict(tree["trainer"])
        evaluations += [Evaluation(**saved) for saved in tree["evaluations"]]
    with catch_signals() as stop:

        def save() -> None:
            tree = {"trainer": trainer.state_dict(), "evaluations": [vars(one) for one in evaluations]}
            path = checkpoint.save(root, tree, step=trainer.learner.steps, kind=KIND)
            if stop:
                stop.finish(f"{stop.name}. Saved {path}; the same call goes on from it.")

        yield evaluations, save
