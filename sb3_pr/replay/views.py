"""Columns of a replay buffer as buffers of one env, and what a user's ``sample`` wrote into them back in the whole.

Arrays are shared memory, other objects are the same objects: what is changed in place needs nothing. What ``sample``
assigned anew (an annealed beta, counters, the rows that it drew) is the same for all agents or joined over them, so
that one sample of the group leaves what one sample of several envs leaves in Stable-Baselines3; of numbers that differ
it keeps the mean, of other objects the last agent's. What an agent would draw of another's is refused: a statistic of
each agent's own belongs in an array (n_envs,), a container of each env's in a list of n_envs.
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections import deque
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecEnv

_OF_THE_WHOLE = ("sample", "streams", "_by_env")
_PLAIN = (bool, int, float, complex, str, bytes, tuple, type(None), np.generic)
"""What an env's entry of a list can't be: assigned in one agent's view, it would be lost."""


def view(buffer: ReplayBuffer, kind: type[ReplayBuffer], columns: slice) -> ReplayBuffer:
    """Some agents' columns as a buffer of class ``kind``, in the same memory.

    A ``sample`` that was set on the buffer itself is the whole's; the view has its class's.
    """
    result: ReplayBuffer = object.__new__(kind)
    own = {name: value for name, value in vars(buffer).items() if name not in _OF_THE_WHOLE}
    result.__dict__.update(own)
    n_envs = len(range(buffer.n_envs)[columns])
    if n_envs < buffer.n_envs:
        result.__dict__.update({name: _of_columns(buffer, name, value, columns) for name, value in own.items()})
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
    joined = {}
    for name in dict.fromkeys(key for part in drawn for key in vars(part)):
        values = [vars(part).get(name) for part in drawn]
        if any(value is not then.get(name) for value, then in zip(values, before, strict=True)):
            joined[name] = _joined(buffer, name, values, batch_size)
    vars(buffer).update(joined)


def require_own(buffer: ReplayBuffer, parts: list[ReplayBuffer], draws: list[Any]) -> None:
    """By their actions: exploration makes them unlike each other, and nothing scales them.

    :param parts: each agent's view, what it may draw from
    :raises ValueError: if rows that an agent drew are another's
    """
    stored: Any = buffer.actions
    if not isinstance(stored, np.ndarray):  # a user's, of another kind
        return
    rows, action_dim = buffer.size(), stored.shape[-1]
    for agent, (part, draw) in enumerate(zip(parts, draws, strict=True)):
        actions = getattr(draw, "actions", None)
        if not isinstance(actions, th.Tensor) or actions.ndim != 2 or actions.shape[1] != action_dim:
            continue
        own, everyone = (one.actions[:rows].reshape(-1, action_dim) for one in (part, buffer))
        for action in actions[:: max(1, len(actions) // 16)].cpu().numpy():
            if not (own == action).all(1).any() and (everyone == action).all(1).any():
                raise ValueError(
                    f"{type(part).__name__}.sample drew a transition of another agent for agent {agent}: each agent "
                    f"draws from its own env's, with n_envs=1. Keep each env's in arrays (buffer_size, n_envs, ...), "
                    "or in a list of n_envs containers, made in the constructor."
                )


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
    """
    :raises ValueError: for an array over (row, env) pairs in one dimension: which agent's is an entry?
    """
    if buffer.n_envs == 1:
        return
    kind, pairs, by_env = type(buffer).__name__, buffer.buffer_size * buffer.n_envs, []
    for name, value in vars(buffer).items():
        if isinstance(value, (np.ndarray, th.Tensor)) and tuple(value.shape[:1]) == (pairs,):
            raise ValueError(
                f"{kind}.{name} has {pairs} entries in one dimension, buffer_size * n_envs: each "
                "agent draws from its own column, and which entries are whose cannot be told. Give it the shape "
                f"(buffer_size, n_envs) = ({buffer.buffer_size}, {buffer.n_envs}), as SB3's own arrays have."
            )
        if _is_by_env(value, buffer.n_envs):
            if any(isinstance(one, _PLAIN) for one in _entries(value)):
                warnings.warn(
                    f"{kind}.{name}={value!r} has {buffer.n_envs} entries, as there are envs, and is taken for one "
                    "list for all. Make it np.array([...]) if there is one for each env, a tuple if they are for all.",
                    stacklevel=2,
                )
                continue
            by_env.append(name)
    if by_env:
        vars(buffer)["_by_env"] = tuple(dict.fromkeys((*vars(buffer).get("_by_env", ()), *by_env)))


def _is_by_env(value: Any, n_envs: int) -> bool:
    return (isinstance(value, (list, deque)) and len(value) == n_envs) or (
        isinstance(value, dict) and n_envs > 1 and set(value) == set(range(n_envs))
    )


def _entries(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value)


def _of_columns(buffer: ReplayBuffer, name: str, value: Any, columns: slice) -> Any:
    if name in vars(buffer).get("_by_env", ()) and _is_by_env(value, buffer.n_envs):
        some = _entries(value if not isinstance(value, dict) else dict(sorted(value.items())))[columns]
        return dict(enumerate(some)) if isinstance(value, dict) else some
    if isinstance(value, dict):
        parts = {key: _of_columns(buffer, "", item, columns) for key, item in value.items()}
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
    if name in vars(buffer).get("_by_env", ()) and all(isinstance(value, list) and len(value) == 1 for value in values):
        return [value[0] for value in values]
    if all(type(value) is type(first) and hasattr(first, "_fields") for value in values):
        return concatenated(values)  # the batch itself
    if all(type(value) is type(first) and isinstance(value, (tuple, dict)) for value in values):
        return _joined_inside(buffer, values, batch_size)
    if all(isinstance(value, (float, np.floating)) for value in values) and len({*values}) > 1:
        return type(first)(np.mean(values))  # of a mean over rows, that over the rows of all
    return values[-1]


def _joined_inside(buffer: ReplayBuffer, values: list[Any], batch_size: int) -> Any:
    """Tuples or dictionaries of what each agent drew, entry by entry; of unlike ones the last."""
    first = values[0]
    if isinstance(first, dict):
        if not all(value.keys() == first.keys() for value in values):
            return values[-1]
        return {key: _joined(buffer, "", [value[key] for value in values], batch_size) for key in first}
    if not all(len(value) == len(first) for value in values):
        return values[-1]
    return tuple(_joined(buffer, "", list(entries), batch_size) for entries in zip(*values, strict=True))


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
