"""How the double sum of eq. 12 is evaluated: which peer is asked about which adjacent state, and in how many passes.

full        every peer about every adjacent state
one_state   every peer about one adjacent state, drawn with its weight
sampled     one peer, drawn with its weight, about one adjacent state
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch as th

from marl_pr_common.reciprocity import peers
from marl_pr_common.reciprocity.adjacency import AdjacentStates, choose_one
from marl_pr_common.reciprocity.config import ReciprocityConfig
from marl_pr_common.reciprocity.mixture import reciprocal_value, sampled_reciprocal_value
from marl_pr_common.reciprocity.statistics import PeerStatistics

Evaluate = Callable[[th.Tensor, th.Tensor], th.Tensor]
"""(states (n_agents, batch, dim), peer (n_agents, batch)) -> values (n_critics, n_agents, batch): agent i's row b,
valued by the critics of agent ``peer[i, b]``, with agent i's own actions. An answer that is not finite is left out;
:data:`~marl_pr_common.reciprocity.statistics.NO_VALUE` says that there is none."""

JointEvaluate = Callable[[th.Tensor], th.Tensor]
"""(states (n_adjacent, batch, dim)) -> values (n_critics, n_agents, n_adjacent, batch): every agent's value of every
state, with the batch's own actions."""


class Estimators(ABC):
    """The part of :class:`~marl_pr_common.reciprocity.Reciprocity` that asks and mixes; that class keeps the state."""

    config: ReciprocityConfig
    n_agents: int
    peer_weights: np.ndarray
    _statistics: PeerStatistics

    @abstractmethod
    def generator(self, device: th.device) -> th.Generator:
        """PR's own generator."""

    @abstractmethod
    def _view(self, state: th.Tensor, states: th.Tensor, peer: th.Tensor) -> th.Tensor:
        """The state as the peer sees it."""

    @property
    def shifts(self) -> list[int]:
        """Distances k such that some agent i listens to agent (i + k) mod n_agents: at least one in active graphs."""
        agent = np.arange(self.n_agents)
        return [k for k in agent.tolist() if self.peer_weights[agent, (agent + k) % self.n_agents].any()]

    def _full(
        self,
        own: th.Tensor,
        adjacent: AdjacentStates,
        states: th.Tensor,
        evaluate: Evaluate,
        record: bool,
        pass_size: int,
    ) -> th.Tensor:
        """Every peer on every adjacent state, or on one of them: values (n_critics, i, j, n_states, batch)."""
        n, batch = states.shape[:2]
        agent = th.arange(n, device=states.device)
        weights = self._state_weights(adjacent, own)
        peers = [((agent + shift) % n)[:, None].expand(n, batch) for shift in self.shifts]
        asked = [(peer, a) for peer in peers for a in range(weights.shape[1])]
        answers: list[th.Tensor] = []
        at_once = max(1, pass_size // max(1, batch))
        for start in range(0, len(asked), at_once):
            part = asked[start : start + at_once]
            views = [self._view(self._chosen(adjacent, a), states, peer) for peer, a in part]
            if len(part) == 1:
                answers.append(evaluate(views[0], part[0][0]))
                continue
            found = evaluate(th.cat(views, 1), th.cat([peer for peer, _ in part], 1))
            answers.extend(th.split(found, batch, dim=-1))
        values = answers[0].new_zeros(len(answers[0]), n, n, weights.shape[1], batch)
        for found, (peer, a) in zip(answers, asked, strict=True):
            values[:, agent, peer[:, 0], a] = found
        return self._mix(own, values, weights, record)

    def _draws(self, adjacent: AdjacentStates) -> bool:
        """Whether one adjacent state stands for all of them."""
        return self.config.estimator != "full" and len(adjacent.states) > 1

    def _chosen(self, adjacent: AdjacentStates, a: int) -> th.Tensor:
        """The a-th adjacent states, or freshly drawn ones: (n_agents, batch, dim)."""
        if self._draws(adjacent):
            return choose_one(adjacent, self.generator(adjacent.states.device))
        return adjacent.states[a]

    def _state_weights(self, adjacent: AdjacentStates, own: th.Tensor) -> th.Tensor:
        """w_s# of the states that are asked about: (n_agents, n_states, batch)."""
        weights = adjacent.weights.transpose(0, 1).to(own.dtype)
        if not self._draws(adjacent):
            return weights
        # with literal sums the drawn state stands for all of S#
        scale = len(adjacent.states) if self.config.normalize == "sum" else 1
        return weights.new_full((len(weights), 1, weights.shape[-1]), scale)

    def _mix(self, own: th.Tensor, values: th.Tensor, adjacent_weights: th.Tensor, record: bool) -> th.Tensor:
        own, values = self._minimum(own), self._minimum(values)
        peer_weights = th.as_tensor(self.peer_weights, dtype=own.dtype, device=own.device)
        if record:
            asked = th.arange(self.n_agents, device=values.device)[:, None, None].expand(values.shape[1:])
            self._statistics.record(own, values, peer_weights, adjacent_weights, asked)
        return reciprocal_value(own, values, peer_weights, adjacent_weights, self.config)

    def _sampled(
        self, own: th.Tensor, adjacent: AdjacentStates, states: th.Tensor, evaluate: Evaluate, record: bool
    ) -> th.Tensor:
        """One random peer and one random adjacent state per row: unbiased for the double sum, one value each."""
        generator = self.generator(states.device)
        peer = peers.draw_peers(self.peer_weights, states.shape[1], generator, states.device)
        values = evaluate(self._view(choose_one(adjacent, generator), states, peer), peer)
        own, values = self._minimum(own), self._minimum(values)
        scale = th.as_tensor(self.peer_weights.sum(1, keepdims=True), dtype=own.dtype, device=own.device)
        if record:
            listens = (scale > 0).to(own.dtype)
            alone = own.new_ones(self.n_agents, 1, values.shape[-1])
            self._statistics.record(own, values[:, :, None, None], listens, alone, peer[:, None, None])
        if self.config.normalize == "sum":
            scale = scale * len(adjacent.states)
        return sampled_reciprocal_value(own, values, scale, self.config)

    def _minimum(self, values: th.Tensor) -> th.Tensor:
        """Clipped double Q inside each agent, where it is asked for."""
        return values.amin(0, keepdim=True) if self.config.min_over == "peer" else values

    def _joint(
        self,
        own: th.Tensor,
        adjacent: AdjacentStates,
        evaluate: JointEvaluate,
        at_states: th.Tensor | None,
        record: bool,
    ) -> th.Tensor:
        """Every agent on the adjacent states of one state that they share, (n_adjacent, 1, batch, dim)."""
        weights = self._state_weights(adjacent, own)
        chosen = adjacent.states[:, 0]
        if self._draws(adjacent):
            chosen, at_states = self._chosen(adjacent, 0), None
        holds_itself = self.config.adjacency == "same" or self.config.include_self  # and then s comes first
        if at_states is not None and holds_itself:
            asked = [] if len(chosen) == 1 else [evaluate(chosen[1:])]
            found = th.cat([at_states[:, :, None], *asked], dim=2)
        else:
            found = evaluate(chosen)
        n = self.n_agents
        values = found[:, None].expand(-1, n, -1, -1, -1)
        return self._mix(own, values, weights.expand(n, -1, -1), record)
