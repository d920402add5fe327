"""The replay buffer as arrays: only the rows that are filled, written straight from its memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer

from marl_pr_common.checkpoint import CheckpointError
from marl_pr_common.checkpoint.attributes import UnknownState, is_configuration
from marl_pr_common.checkpoint.tree import encode

_SKIPPED = (
    *("env", "device", "observation_space", "action_space"),
    *("shared_replay", "streams", "_by_env", "_rows_are_own"),
)
_NO_STATE = "infos"


def replay_state(buffer: ReplayBuffer) -> dict[str, Any]:
    """Class, position, and every array's filled rows; views, nothing is copied.

    :raises UnknownState: naming what the buffer keeps that is not data
    """
    rows = _filled(buffer)
    state: dict[str, Any] = {"class": _class_name(buffer), "rows": rows, "arrays": {}, "values": {}}
    for name, value in vars(buffer).items():
        if name in _SKIPPED or is_configuration(value) or (name == _NO_STATE and _without_infos(buffer)):
            continue
        if _is_rows(value, buffer):
            state["arrays"][name] = _first(value, rows)
            continue
        try:
            encode(value)
        except TypeError as error:
            if getattr(value, "__module__", "").startswith("stable_baselines3"):
                continue  # an enum such as HER's strategy: given to the constructor
            raise UnknownState(f"the replay buffer keeps {name}: {error}") from error
        state["values"][name] = value
    return state


def restore_replay(buffer: ReplayBuffer, state: dict[str, Any]) -> None:
    """Fill a buffer that was constructed the same way.

    :raises CheckpointError: if class, size or types differ
    """
    if state["class"] != _class_name(buffer):
        raise CheckpointError(f"the replay buffer is a {_class_name(buffer)}, the checkpoint's was a {state['class']}.")
    if state["values"]["buffer_size"] != buffer.buffer_size:
        raise CheckpointError(
            f"the replay buffer has {buffer.buffer_size} rows, the checkpoint's had {state['values']['buffer_size']}. "
            "Construct the model with the same buffer_size and n_agents."
        )
    if "present" in state["arrays"] and getattr(buffer, "present", None) is None:  # made when first somebody is absent
        buffer.present = np.ones((buffer.buffer_size, buffer.n_envs), dtype=bool)  # type: ignore[attr-defined]
    for name, saved in state["arrays"].items():
        _fill(getattr(buffer, name, None), saved, name)
    for name, value in state["values"].items():
        setattr(buffer, name, value)


def _filled(buffer: ReplayBuffer) -> int:
    # one more than pos: the memory-optimised layout has the next observation there
    return buffer.buffer_size if buffer.full else min(buffer.pos + 1, buffer.buffer_size)


def _is_rows(value: Any, buffer: ReplayBuffer) -> bool:
    if isinstance(value, dict) and value:
        return all(_is_rows(item, buffer) for item in value.values())
    return isinstance(value, np.ndarray) and value.shape[:2] == (buffer.buffer_size, buffer.n_envs)


def _first(value: Any, rows: int) -> Any:
    return {key: item[:rows] for key, item in value.items()} if isinstance(value, dict) else value[:rows]


def _fill(array: Any, saved: Any, name: str) -> None:
    if isinstance(saved, dict):
        for key, part in saved.items():
            _fill(array[key], part, f"{name}[{key!r}]")
        return
    if array is None or array.dtype != saved.dtype or array.shape[1:] != saved.shape[1:] or len(array) < len(saved):
        found = "nothing" if array is None else f"{array.dtype} of shape {array.shape}"
        raise CheckpointError(
            f"the replay buffer's {name} is {found}, the checkpoint's is {saved.dtype} of shape {saved.shape}. "
            "Construct the model with the same settings and environment."
        )
    array[: len(saved)] = saved


def _without_infos(buffer: ReplayBuffer) -> bool:
    return getattr(buffer, "copy_info_dict", None) is False


def _class_name(buffer: ReplayBuffer) -> str:
    return type(buffer).__name__
