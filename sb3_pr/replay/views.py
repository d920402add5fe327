"""Columns of a replay buffer as buffers of one env, and what a user's ``sample`` wrote into them back in the whole.

Arrays are shared memory, other objects are the same objects: what is changed in place needs nothing. What ``sample``
assigned anew (an annealed beta, counters, the rows that it drew) is the same for all agents or joined over them, so
that one sample of the group leaves what one sample of several envs leaves in Stable-Baselines3.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecEnv

_OF_THE_WHOLE = ("sample", "streams")


def view(buffer: ReplayBuffer, kind: type[ReplayBuffer], columns: slice) -> ReplayBuffer:
    """Some agents' columns as a buffer of class ``kind``, in the same memory.

    A ``sample`` that was set on the buffer itself is the whole's; the view has its class's.
    """
    result: ReplayBuffer = object.__new__(kind)
    own = {name: value for name, value in vars(buffer).items() if name not in _OF_THE_WHOLE}
    result.__dict__.update(own)
    n_envs = len(range(buffer.n_envs)[columns])
    if n_envs < buffer.n_envs:
        result.__dict__.update({name: _of_columns(buffer, value, columns) for name, value in own.items()})
        result.n_envs = n_envs
    return result


def copied(buffer: ReplayBuffer, kind: type[ReplayBuffer], columns: slice) -> ReplayBuffer:
    """The same in memory of its own. Rows that are not filled stay untouched, and take none."""
    result = view(buffer, kind, columns)
    rows = buffer.buffer_size if buffer.full else min(buffer.pos + 1, buffer.buffer_size)
    result.__dict__.update({name: _copied(value, rows, buffer) for name, value in vars(result).items()})
    return result


def _copied(value: Any, rows: int, buffer: ReplayBuffer) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item, rows, buffer) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.shape[:1] == (buffer.buffer_size,):
        result = np.zeros(value.shape, value.dtype)
        result[:rows] = value[:rows]
        return result
    return value if isinstance(value, VecEnv) else copy.deepcopy(value)


def keep(buffer: ReplayBuffer, drawn: list[ReplayBuffer], before: list[dict[str, Any]], batch_size: int) -> None:
    """Put what the views' ``sample`` assigned into the whole buffer.

    :param before: each view's attributes before it was drawn from
    """
    for name in dict.fromkeys(key for part in drawn for key in vars(part)):
        values = [vars(part).get(name) for part in drawn]
        if any(value is not then.get(name) for value, then in zip(values, before, strict=True)):
            setattr(buffer, name, _joined(buffer, name, values, batch_size))


def concatenated(draws: list[Any]) -> Any:
    """Samples of several agents as one, agent-major: field by field, whether named tuples or dataclasses."""
    first = draws[0]
    if len(draws) == 1:
        return first
    if dataclasses.is_dataclass(first):
        names = [field.name for field in dataclasses.fields(first)]
        return dataclasses.replace(  # type: ignore[type-var]
            first, **{name: _blocks([getattr(draw, name) for draw in draws]) for name in names}
        )
    fields = [_blocks(list(field)) for field in zip(*draws, strict=True)]
    return type(first)(*fields) if hasattr(first, "_fields") else type(first)(fields)


def require_columns(buffer: ReplayBuffer) -> None:
    """:raises ValueError: for an array over (row, env) pairs in one dimension: which agent's is an entry?"""
    pairs = buffer.buffer_size * buffer.n_envs
    for name, value in vars(buffer).items():
        if isinstance(value, (np.ndarray, th.Tensor)) and buffer.n_envs > 1 and tuple(value.shape[:1]) == (pairs,):
            raise ValueError(
                f"{type(buffer).__name__}.{name} has {pairs} entries in one dimension, buffer_size * n_envs: each "
                "agent draws from its own column, and which entries are whose cannot be told. Give it the shape "
                f"(buffer_size, n_envs) = ({buffer.buffer_size}, {buffer.n_envs}), as SB3's own arrays have."
            )


def _of_columns(buffer: ReplayBuffer, value: Any, columns: slice) -> Any:
    if isinstance(value, dict):
        parts = {key: _of_columns(buffer, item, columns) for key, item in value.items()}
        same = all(parts[key] is item for key, item in value.items())
        return value if same else parts
    axis = _axis_of_agents(buffer, value)
    if axis is None:
        return value
    return value[columns] if axis == 0 else value[:, columns]


def _axis_of_agents(buffer: ReplayBuffer, value: Any) -> int | None:
    if not isinstance(value, (np.ndarray, th.Tensor)):
        return None
    shape = tuple(value.shape)
    if shape[:2] == (buffer.buffer_size, buffer.n_envs):
        return 1
    # HER: where each env's running episode began
    return 0 if shape == (buffer.n_envs,) or shape[:2] == (buffer.n_envs, buffer.buffer_size) else None


def _joined(buffer: ReplayBuffer, name: str, values: list[Any], batch_size: int) -> Any:
    """One attribute of the whole from what every column has."""
    axis, first = _axis_of_agents(buffer, vars(buffer).get(name)), values[0]
    if axis is not None and all(isinstance(value, type(first)) for value in values):
        values = values[first.shape[axis] - 1 :: first.shape[axis]]  # shared_replay: each draw was from all of a team
        if len(values) == 1:
            return values[0]
        return np.concatenate(values, axis) if isinstance(first, np.ndarray) else th.cat(values, axis)
    if all(_is_of_rows(value, batch_size) for value in values):
        if buffer.size() > 1 and all(_is_zero_index(value) for value in values):
            values = [value + agent for agent, value in enumerate(values)]  # the env of each row, 0 in every column
        return _blocks(values)
    return values[-1]


def _is_of_rows(value: Any, batch_size: int) -> bool:
    if isinstance(value, (np.ndarray, th.Tensor)):
        return tuple(value.shape[:1]) == (batch_size,)
    return isinstance(value, list) and len(value) == batch_size


def _is_zero_index(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu" and not value.any()


def _blocks(blocks: list[Any]) -> Any:
    """One field of N samples: rows one after the other, in arrays, lists, or dictionaries of such; else the first."""
    first = blocks[0]
    if isinstance(first, dict):
        return {key: _blocks([block[key] for block in blocks]) for key in first}
    if isinstance(first, th.Tensor) and first.ndim:
        return th.cat(blocks)
    if isinstance(first, np.ndarray) and first.ndim:
        return np.concatenate(blocks)
    return [row for block in blocks for row in block] if isinstance(first, list) else first
