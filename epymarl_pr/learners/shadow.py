"""Shadow batches: EPyMARL batches with other rows, so that the host's own networks answer PR's questions.

Peer j's value of agent i's state is asked by putting what agent i saw where the host expects agent j's view. No
network is taken apart: identity columns, parameter sharing and separate networks are the host's business.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import torch as th

ROWS_PER_PASS = 2048
"""Rows of all agents in one forward pass on a CPU. Activations of more of them fall out of its caches: with 6 agents a
question about 5,000 rows takes 1.2 ms, two in one pass 3.7 ms. A GPU gets all questions at once."""

EpisodeBatch = Any
"""EPyMARL's ``components.episode_buffer.EpisodeBatch``; data of a key is (batch, time, ...)."""


def shadow(batch: EpisodeBatch, n_rows: int, n_steps: int, **data: th.Tensor) -> EpisodeBatch:
    """A batch of ``n_rows`` episodes of ``n_steps`` steps that holds ``data`` and nothing else.

    :param batch: the batch whose scheme, groups and device it shares
    :param data: the host's keys, each (n_rows, n_steps, ...)
    """
    content = SimpleNamespace(transition_data=data, episode_data={})
    return type(batch)(batch.scheme, batch.groups, n_rows, n_steps, data=content, device=batch.device)


def pass_size(states: th.Tensor) -> int:
    """Rows per agent in one pass, for states (n_agents, row, dim); see :data:`ROWS_PER_PASS`."""
    return ROWS_PER_PASS // len(states) if states.device.type == "cpu" else sys.maxsize


def last_actions(batch: EpisodeBatch) -> th.Tensor:
    """The one-hot actions of the step before, zeros at the first: (batch, time, n_agents, n_actions)."""
    actions = batch["actions_onehot"]
    return th.cat([th.zeros_like(actions[:, :1]), actions[:, :-1]], dim=1)


def filled_rows(filled: th.Tensor) -> th.Tensor:
    """The rows of batch * time that hold data, as indices; padding after an episode's end is left out.

    :param filled: (batch, time, 1)
    """
    return filled.flatten().nonzero()[:, 0]


def rows(values: th.Tensor, index: th.Tensor) -> th.Tensor:
    """The rows ``index`` of batch * time of (batch, time, n_agents, ...), agent first: (n_agents, row, ...)."""
    return values.flatten(0, 1)[index].transpose(0, 1)


def replace_rows(values: th.Tensor, index: th.Tensor, new: th.Tensor) -> th.Tensor:
    """``values`` (batch, time, n_agents, n) with the rows ``index`` replaced by ``new`` (n, n_agents, row).

    :return: contiguous, as MADDPG's ``view`` needs it; differentiable in both
    """
    flat = values.flatten(0, 1)
    return flat.index_copy(0, index, new.permute(2, 1, 0).to(values.dtype)).view(values.shape)
