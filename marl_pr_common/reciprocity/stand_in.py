"""To stand in for a host's network: the object itself, and rows regrouped by the agent that is to look at them, so that
one pass through stacked networks serves them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch as th


class Delegate:
    """Everything that a subclass does not define reaches the wrapped object itself, unprefixed.

    A plain object, not a ``torch.nn.Module``: it registers nothing, so that parameters, state dicts, target updates
    and saved files stay the host's. (EPyMARL's critics of separate agents return a *list* from ``state_dict()``.)

    :param wrapped: the host's object
    """

    def __init__(self, wrapped: Any):
        self.wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "wrapped":
            raise AttributeError(name)
        return getattr(self.wrapped, name)


@dataclass(frozen=True)
class Groups:
    """Where each row goes, and how to get its answer back.

    index: (n_agents, slots): row ``k`` of agent ``i`` is number ``i * batch + k``; entry (j, s) is the row that agent
        j looks at in slot s. Agents with fewer rows repeat row 0
    back: (n_agents, batch): for every row, the place ``s * n_agents + j`` at which it was looked at
    """

    index: th.Tensor
    back: th.Tensor

    def take(self, rows: th.Tensor) -> th.Tensor:
        """(n_agents, batch, ...) rows as (slots, n_agents, ...), by the agent that looks at them."""
        return _rows(rows, self.index.T)

    def put(self, answers: th.Tensor) -> th.Tensor:
        """(slots, n_agents, ...) answers as (n_agents, batch, ...), by the agent that asked. Differentiable."""
        return _rows(answers, self.back)


def by_peer(peer: th.Tensor) -> Groups:
    """Group rows by peer.

    :param peer: (n_agents, batch): which agent looks at each row
    """
    n, batch = peer.shape
    one_for_all = peer.stride(1) == 0  # a column expanded over the batch
    columns = peer[:, :1] if one_for_all else peer
    slot = th.arange(batch, device=peer.device)
    source = columns.argsort(0)
    # where every agent looks at one row of each column, this is all there is to do
    if bool((columns.gather(0, source) == th.arange(n, device=peer.device)[:, None]).all()):
        return Groups(source * batch + slot, slot * n + columns)
    flat = peer.flatten()
    order = flat.argsort(stable=True)
    group = flat[order]
    count = th.bincount(flat, minlength=n)
    position = th.arange(len(flat), device=flat.device) - (count.cumsum(0) - count)[group]
    index = th.zeros(n, int(count.max()), dtype=th.long, device=flat.device)
    index[group, position] = order
    back = th.empty_like(order)
    back[order] = position * n + group
    return Groups(index, back.view(n, batch))


def _rows(table: th.Tensor, index: th.Tensor) -> th.Tensor:
    """Rows of (a, b, ...) numbered through, in the shape of ``index``; faster than indexing with a matrix."""
    flat = table.flatten(0, 1)
    return flat.index_select(0, index.flatten()).view(*index.shape, *flat.shape[1:])
