"""How well the peers' values predict an agent's own targets: what trust goes by."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th

from marl_pr_common.reciprocity import ask
from marl_pr_common.reciprocity.listening import Listening
from marl_pr_common.reciprocity.moments import RunningMoments


class Judging(Listening):
    """Mixin of :class:`marl_pr_common.reciprocity.state.Reciprocity`."""

    masks: np.ndarray | None
    _moments: RunningMoments | None
    _view: Any
    _minimum: Any

    def squared_errors(self, own: th.Tensor, states: th.Tensor, target: th.Tensor, evaluate: ask.Evaluate) -> th.Tensor:
        """How far every peer's values of the agents' own transitions are from the agents' own targets.

        :param own: Z_i(s, a), (n_critics, n_agents, batch), as the target critic values the actions that were taken
        :param states: s, (n_agents, batch, dim)
        :param target: y, (n_agents, batch)
        :param evaluate: the same of any peer
        :return: for :meth:`observe_errors`, (n_agents, n_agents): the mean over the batch, and over critics unless the
            minimum is taken in each agent; inf where a value is not finite, NaN where y is not, or nobody was asked
        """
        return ask.answered(self._judging(own, states, target), evaluate)

    def _judging(self, own: th.Tensor, states: th.Tensor, target: th.Tensor) -> ask.Asking[th.Tensor]:
        agent = th.arange(self.n_agents, device=own.device)
        found = own.new_full((self.n_agents, self.n_agents), th.nan)
        if self.masks is not None and not self.active:  # consensus alone: no target has shown the states
            self._moments = RunningMoments.updated(self._moments, states)
        for shift in self.shifts_to_judge:
            peer = ((agent + shift) % self.n_agents)[:, None].expand_as(target)
            values = own if shift == 0 else (yield self._view(states, states, peer), peer)
            found[agent, peer[:, 0]] = (self._minimum(values) - target).square().mean((0, 2)).nan_to_num(th.inf, th.inf)
        found[~th.isfinite(target.mean(1))] = th.nan  # of no rows, too
        return found
