"""All agents' rows of Stable-Baselines3's plain buffers in one gather per field, instead of one for each agent.

The arrays (buffer_size, n_envs, ...) are seen as (buffer_size * n_envs, 1, ...), in the same memory; upstream's own
``_get_samples`` reads the rows from there. The same numbers are drawn from the same generators in the same order, so a
sample equals that of :meth:`AgentMajor.sample` column by column, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import numpy as np
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from sb3_pr.replay import views

OWN = {kind: (kind.sample, kind._get_samples) for kind in (ReplayBuffer, DictReplayBuffer)}
"""Upstream's classes, and how they draw and read."""
FIELDS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
READ_BY = ("_get_samples", "to_torch", "_normalize_obs", "_normalize_reward")


def possible(buffer: ReplayBuffer, kind: type[ReplayBuffer], env: Any = None) -> bool:
    """Whether nothing but upstream's own code and arrays takes part in a sample of ``buffer``."""
    mine = vars(buffer)
    if OWN.get(kind) != (kind.sample, kind._get_samples) or any(name in mine for name in READ_BY):
        return False
    if buffer.n_envs == 1 or buffer.optimize_memory_usage or type(env) not in (type(None), VecNormalize):
        return False
    values = [mine.get(field) for field in FIELDS]
    arrays = [array for value in values for array in (value.values() if isinstance(value, dict) else [value])]
    rows = (buffer.buffer_size, buffer.n_envs)
    return all(_plain(one) and one.shape[:2] == rows and one.flags.c_contiguous for one in arrays)


def _plain(value: Any) -> TypeGuard[np.ndarray]:
    return type(value) in (np.ndarray, np.memmap)  # a class of the user's may read in a way of its own


def sample(
    buffer: ReplayBuffer,
    kind: type[ReplayBuffer],
    whose: Sequence[slice],
    randints: Sequence[Callable[..., Any]],
    batch_size: int,
    env: Any,
) -> Any:
    """``batch_size`` rows per agent, agent-major.

    :param whose: the columns that each agent draws from
    :param randints: NumPy's ``randint`` of the generator that it draws with
    """
    flat = views.view(buffer, kind, slice(None))
    vars(flat).update({name: _flat(value, buffer) for name, value in vars(flat).items()}, n_envs=1)
    ends = buffer.buffer_size if buffer.full else buffer.pos
    rows = []
    for columns, randint in zip(whose, randints, strict=True):
        drawn, width = randint(0, ends, size=batch_size), columns.stop - columns.start
        column = randint(0, width, size=batch_size) if width > 1 else 0
        rows.append(drawn * buffer.n_envs + columns.start + column)
    return flat._get_samples(np.concatenate(rows), env)


class _Rows(np.ndarray):
    """(rows, 1, ...), of which whole rows are taken: vectors two to five times as fast as by two lists of indices.

    That is how upstream reads; the second list is all zeros here.
    """

    def __getitem__(self, key: Any) -> Any:
        rows = np.asarray(self)
        if isinstance(key, tuple) and key[2:] in ((), (slice(None),)) and np.ndim(key[0]) == np.ndim(key[1]) == 1:
            return rows.reshape(len(rows), *rows.shape[2:]).take(key[0], axis=0)
        return rows[key]


def _flat(value: Any, buffer: ReplayBuffer) -> Any:
    if isinstance(value, dict):
        return {key: _flat(item, buffer) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.shape[:2] == (buffer.buffer_size, buffer.n_envs):
        return value.reshape(buffer.buffer_size * buffer.n_envs, 1, *value.shape[2:]).view(_Rows)
    return value
