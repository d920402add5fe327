"""Z* of eq. 12 where every value is at hand and nobody has to be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch as th

from marl_pr_common.reciprocity import ask
from marl_pr_common.reciprocity.config import ReciprocityConfig
from marl_pr_common.reciprocity.mixture import reciprocal_value, with_itself
from marl_pr_common.reciprocity.peers import Matrix
from marl_pr_common.reciprocity.statistics import PeerStatistics
from marl_pr_common.reciprocity.weights import NORMALISATIONS


class AtHand:
    """What a group's reciprocity makes of values that are all there."""

    config: ReciprocityConfig
    n_agents: int
    rule: str
    peer_weights: Matrix
    errors: Matrix | None
    _statistics: PeerStatistics
    _last_shares: tuple[tuple[Any, ...], th.Tensor] | None = None

    if TYPE_CHECKING:  # of the class that this is a part of

        def _mix(self, own: th.Tensor, states: th.Tensor, answers: ask.Answers, record: bool) -> th.Tensor: ...

        def peers_and_itself(self) -> tuple[Matrix, Matrix | None]: ...

        def _minimum(self, values: th.Tensor) -> th.Tensor: ...

    def value_of_all(self, own: th.Tensor, said: th.Tensor, states: th.Tensor, record: bool = True) -> th.Tensor:
        """Z* of eq. 12 with S# = {s} where everybody's value of s is at hand, and nobody has to be asked.

        :param own: Z_i(s, a), (n_critics, n_agents, batch)
        :param said: Z_j(s, a) of what agent i saw, (n_critics, i, j, batch), and ``own`` where i is j; elsewhere read
            where i listens to j
        :return: as from :meth:`value`
        """
        if not record and self.rule == "uniform" and self.config.min_over != "peer":
            mixed = (self._shares(own.dtype, own.device)[:, :, None] * said).sum(2)
            if th.isfinite(mixed.sum()):  # else somebody said what means nothing, and is left out
                return mixed
        itself = th.arange(self.n_agents, device=own.device)[:, None, None]
        answers = ask.Answers(said[:, :, :, None], own.new_ones(self.n_agents, 1, own.shape[-1]), itself)
        return self._mix(own, states, answers, record)

    def _shares(self, dtype: th.dtype, device: th.device) -> th.Tensor:
        """What j's value of s counts in i's Z*, (i, j), as eq. 12 with S# = {s} has it."""
        options = [getattr(self.config, name) for name in ("kappa", "normalize", "trust", "trust_power")]
        given = [part.tobytes() for part in (self.peer_weights, self.errors) if part is not None]
        key = (*options, dtype, device, *given)
        if self._last_shares is None or self._last_shares[0] != key:
            graph, itself = self.peers_and_itself()
            one = th.eye(self.n_agents, dtype=dtype, device=device)[:, :, None]  # (k, i, 1): agent k alone says 1
            said = one[:, None, :, None].expand(-1, self.n_agents, -1, -1, -1)
            weights = th.as_tensor(graph, dtype=dtype, device=device)
            if itself is not None:
                said, weights = with_itself(one, said, weights, th.as_tensor(itself, dtype=dtype, device=device))
            shares = reciprocal_value(one, said, weights, one.new_ones(self.n_agents, 1, 1), self.config)
            self._last_shares = key, shares[:, :, 0].T
        return self._last_shares[1]

    def ensemble_value(self, own: th.Tensor, others: th.Tensor, record: bool = True) -> th.Tensor:
        """Z* with further critics of the agent's own in the place of its peers', all on s itself: a control.

        :param own: Z_i(s, a), (n_critics, n_agents, batch)
        :param others: (n_others, n_critics, n_agents, batch)
        :param record: whether the batch counts in :meth:`pop_statistics`
        :return: as from :meth:`value`
        """
        own, values = self._minimum(own), self._minimum(others.movedim(0, 2))[:, :, :, None]
        graph = NORMALISATIONS[self.config.normalize].rows(np.ones((self.n_agents, len(others))))
        weights, alone = own.new_tensor(graph), own.new_ones(self.n_agents, 1, own.shape[-1])
        itself = th.arange(self.n_agents, device=own.device)[:, None, None, None]
        if record:
            self._statistics.record(own, values, weights, alone, itself)
        return reciprocal_value(own, values, weights, alone, self.config)
