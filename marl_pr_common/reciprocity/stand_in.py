"""To stand in for a host's network: the object itself, and rows regrouped by the agent that is to look at them, so that
one pass through stacked networks serves them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray

from marl_pr_common.reciprocity import guards


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

    On an accelerator the rows are read once, unless ``peer`` is a permutation expanded over the batch.

    :param peer: (n_agents, batch): which agent looks at each row
    """
    n, batch = peer.shape
    one_for_all = peer.stride(1) == 0  # a column expanded over the batch
    columns = peer[:, :1] if one_for_all else peer
    if one_for_all and not guards.at_hand(peer):  # those of shifts, as each agent looks at one row of each column
        return _shifted(columns.argsort(0), columns, batch)
    flat = peer.flatten().cpu().numpy()  # a few hundred numbers, and many steps: NumPy's are several times shorter
    count = np.bincount(flat, minlength=n)
    # where every agent looks at one row of each column, this is all there is to do
    if guards.at_hand(peer) and (one_for_all or (count == batch).all()):
        source = columns.argsort(0)
        if bool((columns.gather(0, source) == th.arange(n, device=peer.device)[:, None]).all()):
            return _shifted(source, columns, batch)
    index, back = _grouped(flat, count)
    return Groups(index.to(peer.device), back.view(n, batch).to(peer.device))


def _shifted(source: th.Tensor, columns: th.Tensor, batch: int) -> Groups:
    """Where each agent looks at one row of each column: ``source`` says whose."""
    slot = th.arange(batch, device=columns.device)
    return Groups(source * batch + slot, slot * len(columns) + columns)


def _grouped(flat: NDArray[np.int64], count: NDArray[np.int64]) -> tuple[th.Tensor, th.Tensor]:
    """``Groups.index`` and, flat, ``Groups.back``; ``count`` says how many rows each agent looks at."""
    n = len(count)
    order = flat.astype(np.int32).argsort(kind="stable")
    group = flat[order]
    position = np.arange(len(flat)) - (count.cumsum() - count)[group]
    index = np.zeros((n, int(count.max())), dtype=np.int64)
    index[group, position] = order
    back = np.empty_like(order)
    back[order] = position * n + group
    return th.from_numpy(index), th.from_numpy(back)


def _rows(table: th.Tensor, index: th.Tensor) -> th.Tensor:
    """Rows of (a, b, ...) numbered through, in the shape of ``index``; faster than indexing with a matrix."""
    flat = table.flatten(0, 1)
    return flat.index_select(0, index.flatten()).view(*index.shape, *flat.shape[1:])
