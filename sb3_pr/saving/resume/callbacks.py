"""The state of callbacks: their own ``state_dict``, or every attribute that is not an argument of the constructor."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ProgressBarCallback

from marl_pr_common.checkpoint import CheckpointError
from marl_pr_common.checkpoint.attributes import attributes, restore_attributes
from sb3_pr.finite import GuardCallback
from sb3_pr.saving.resume.vec_env import restore_vec_env, vec_env_state

_LINKS = ("model", "locals", "globals", "parent", "callbacks", "callback", "callback_on_new_best", "training_env")
_CHILDREN = ("callback", "callback_on_new_best")

Callbacks = BaseCallback | list[BaseCallback] | None


def callback_states(callback: Callbacks) -> tuple[list[dict[str, Any]], list[str]]:
    """One state per callback, parents first; and what could not be kept."""
    states, reasons = [], []
    for one in _all(callback):
        state: dict[str, Any] = {"class": type(one).__qualname__}
        if hasattr(one, "state_dict"):
            state["own"] = one.state_dict()
        else:
            state["attributes"], unknown = attributes(one, (*_LINKS, *_arguments(one)))
            if unknown:
                reasons.append(
                    f"the callback {type(one).__qualname__} keeps {', '.join(unknown)}: give it the methods "
                    "state_dict() and load_state_dict(state)"
                )
        if getattr(one, "eval_env", None) is not None and "own" not in state:
            state["eval_env"], reason = vec_env_state(one.eval_env)  # type: ignore[attr-defined]
            reasons += [f"evaluation: {reason}"] if reason else []
        states.append(state)
    return states, reasons


def restore_callbacks(callback: Callbacks, states: list[dict[str, Any]]) -> None:
    """Put callbacks that were constructed the same way where the others were.

    :raises CheckpointError: if they are others
    """
    found = list(_all(callback))
    here, then = [type(one).__qualname__ for one in found], [state["class"] for state in states]
    if here != then:
        raise CheckpointError(f"the callbacks are {here or 'none'}, the checkpoint's were {then or 'none'}.")
    for one, state in zip(found, states, strict=True):
        if "own" in state:
            one.load_state_dict(state["own"])  # type: ignore[attr-defined]
        else:
            restore_attributes(one, state["attributes"])
        if "eval_env" in state:
            restore_vec_env(one.eval_env, state["eval_env"])  # type: ignore[attr-defined]


def _all(callback: Callbacks) -> Iterator[BaseCallback]:
    if isinstance(callback, CallbackList):
        callback = callback.callbacks
    if isinstance(callback, list):
        for one in callback:
            yield from _all(one)
    # learn() adds a progress bar by itself, and guards keep nothing
    elif callback is not None and not isinstance(callback, (ProgressBarCallback, GuardCallback)):
        yield callback
        for name in _CHILDREN:
            yield from _all(getattr(callback, name, None))


def _arguments(callback: BaseCallback) -> set[str]:
    """Names that any class of the callback takes in its constructor: what the user decides, not state."""
    return {name for cls in type(callback).__mro__ for name in inspect.signature(cls).parameters}
