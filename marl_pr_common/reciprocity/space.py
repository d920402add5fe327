"""What an adjacency space is, and what a strategy has to say to give one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch as th

from marl_pr_common.reciprocity.config import ReciprocityConfig
from marl_pr_common.reciprocity.mixture import adjacency_weights
from marl_pr_common.reciprocity.moments import RunningMoments


@dataclass(frozen=True)
class AdjacentStates:
    """The adjacency spaces of a batch.

    states: (n_adjacent, n_agents, batch, dim), s# of every state
    weights: (n_adjacent, n_agents, batch), w_s# of eq. 4, summing to 1 over n_adjacent
    """

    states: th.Tensor
    weights: th.Tensor


@dataclass(frozen=True)
class Seen:
    """What a strategy may look at.

    states: s, (n_agents, batch, dim): what every agent saw in this batch
    moments: running moments of the states
    generator: all draws come from it, on the device of ``states``
    """

    states: th.Tensor
    moments: RunningMoments
    generator: th.Generator

    def mean(self) -> th.Tensor:
        """Running mean of each agent's states, (n_agents, dim)."""
        return self.moments.mean.to(self.states.dtype)

    def std(self) -> th.Tensor:
        """Running standard deviation, (n_agents, dim)."""
        return self.moments.std.to(self.states.dtype)

    def normal(self, shape: th.Size) -> th.Tensor:
        """Standard normal draws."""
        return th.randn(shape, generator=self.generator, device=self.states.device, dtype=self.states.dtype)

    def rows(self, shape: th.Size) -> th.Tensor:
        """Uniformly random rows of the batch."""
        return th.randint(self.states.shape[1], shape, generator=self.generator, device=self.states.device)


class Strategy(ABC):
    """One reading of S#(s). A subclass says which states are near (``propose``) and what stands where a peer sees a
    coordinate that the agent does not (``fill``); it may refuse a batch (``check``)."""

    needs_moments = True
    """Whether ``propose`` reads running moments and coordinates that vary."""

    def __init__(self, config: ReciprocityConfig):
        self.config = config

    @property
    def holds_itself(self) -> bool:
        """Whether s belongs to S#(s); then it comes first."""
        return self.config.include_self

    @property
    def size(self) -> int:
        """abs(S#): the number of adjacent states per state."""
        return self.config.n_adjacent + int(self.config.include_self)

    def check(self, states: th.Tensor) -> None:
        """:raises ValueError: if a batch of this shape has no such adjacency space"""
        return

    @abstractmethod
    def propose(self, seen: Seen, changeable: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """``n_adjacent`` states near every state, s itself not counted.

        :param changeable: (n_agents, dim) booleans, the coordinates that may be changed or compared
        :return: states (n_adjacent, n_agents, batch, dim), and their distances rho_s#, without the last axis
        """

    def fill(self, seen: Seen, adjacent: th.Tensor, peer: th.Tensor, masks: th.Tensor) -> th.Tensor:
        """What peers see at the states ``adjacent``, for coordinates that the agent does not: the peers' running mean.

        :param adjacent: s#, (n_agents, batch, dim)
        :param peer: j, (n_agents, batch): which peer looks at each row
        :param masks: (n_agents, dim) booleans, what each agent sees
        :return: like ``adjacent``; only entries at coordinates that the peer sees and the agent does not are read
        """
        return seen.mean()[peer]

    def space(self, seen: Seen, changeable: th.Tensor) -> AdjacentStates:
        """The adjacency space of every state of a batch; arguments as in :meth:`propose`.

        :raises ValueError: if :meth:`check` refuses the batch
        """
        self.check(seen.states)
        found, distance = self.propose(seen, changeable)
        if self.holds_itself:
            found = th.cat([seen.states[None], found])
            distance = th.cat([distance.new_zeros(1, *distance.shape[1:]), distance])
        return AdjacentStates(found, adjacency_weights(distance, self.config.weights, self.config.temperature))

    def view(self, seen: Seen, adjacent: th.Tensor, peer: th.Tensor, masks: th.Tensor) -> th.Tensor:
        """States of one agent in the view of another that sees other coordinates (Definition 1, Remark 1).

        Coordinates that the peer sees and the agent does not are a hole, filled from what the *peer* sees.
        Coordinates that the peer does not see are left alone. Arguments as in :meth:`fill`.
        """
        hole = masks[peer] & ~masks[:, None]  # (n_agents, batch, dim)
        return th.where(hole, self.fill(seen, adjacent, peer, masks), adjacent)


def choose_one(adjacent: AdjacentStates, generator: th.Generator) -> th.Tensor:
    """One adjacent state per row, drawn with its weight: (n_agents, batch, dim)."""
    if len(adjacent.states) == 1:
        return adjacent.states[0]
    edges = adjacent.weights.cumsum(0)
    draw = th.rand(edges.shape[1:], generator=generator, device=edges.device, dtype=edges.dtype)
    choice = (draw * edges[-1] >= edges[:-1]).sum(0)  # (n_agents, batch)
    # rows of one long table: several times faster than indexing three axes
    place = choice * choice.numel() + th.arange(choice.numel(), device=choice.device).view(choice.shape)
    return adjacent.states.flatten(0, 2).index_select(0, place.flatten()).view(adjacent.states.shape[1:])
