"""Deciding on Q*: every agent acts, and bootstraps, on what the networks of all agents say of its own observation.

    Q*_i(o_i, .) = sum_j W_ij Q_j(o_i, .)        W_ii = 1 - kappa, W_ij = kappa w_j (eq. 12 with S# = {s})

the runner asks for actions   -> the host's own ``select_actions``, which reads Q* of the live networks
the host asks its target      -> Q* of the target networks; with double Q-learning, of the action that Q* of the live
                                 networks likes best
``forward``, and so what each network is regressed on its own rows with, stays the host's.

With recurrent networks, network j carries a memory of every agent's stream: n_agents times n_agents hidden states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch as th

from epymarl_pr.learners.mac import ReciprocalMac, looked_at, places, streams
from epymarl_pr.learners.shadow import EpisodeBatch
from epymarl_pr.learners.units import Units
from marl_pr_common.reciprocity import Reciprocity
from marl_pr_common.reciprocity.stand_in import Delegate


class Answer(Delegate):
    """A controller whose ``forward`` has been answered: its ``select_actions`` chooses by these values."""

    def __init__(self, mac: Any, values: th.Tensor):
        super().__init__(mac)
        self._values = values

    def forward(self, *_: Any, **__: Any) -> th.Tensor:
        """(batch, n_agents, n_actions)."""
        return self._values


@dataclass(frozen=True)
class Looks:
    """Who looks at whose observations.

    agent: (n_agents,): 0, 1, ...
    streams: (n_shifts, n_agents), see :func:`epymarl_pr.learners.mac.looked_at`
    place: (i, j): where among the shifts network j looks at what agent i saw
    """

    shifts: list[int]
    agent: th.Tensor
    streams: th.Tensor
    place: th.Tensor

    @classmethod
    def of(cls, shifts: list[int], n_agents: int, device: th.device) -> Looks:
        """Of agents that listen to agent ``(i + shift) % n_agents``."""
        agent = th.arange(n_agents, device=device)
        place = places(shifts, n_agents, device)[(agent - agent[:, None]) % n_agents]
        return cls(shifts, agent, looked_at(shifts, n_agents, device), place)


class DecidingMac(ReciprocalMac):
    """Stands in for ``target_mac``, and decides for the live controller. Arguments as of :class:`ReciprocalMac`, and

    :param live: the controller that runner and learner share
    :param acts: whether from now on it acts on Q*, which double Q-learning then follows too
    """

    def __init__(self, mac: Any, reciprocity: Reciprocity, peers: Any, units: Units, live: Any, acts: bool = True):
        super().__init__(mac, reciprocity, peers, units)
        self.live = live
        self.acts = acts
        self._last_looks: tuple[Any, Looks] | None = None
        self._hidden: th.Tensor | None = None  # (n_shifts * batch, n_agents, dim); None before the first step
        self._begin, self._select = live.init_hidden, live.select_actions
        if acts:
            live.init_hidden, live.select_actions = self._begin_episodes, self._act

    def answers(self, batch: EpisodeBatch) -> th.Tensor:
        """Q* of the target networks, (batch, time, n_agents, n_actions).

        With double Q-learning the host reads them at the action that the agent's own live network likes best. It is
        given one value for all actions: that of the action which Q* of the live networks likes best.
        """
        target = self.values(batch)
        if not (self.acts and self.wrapped.args.double_q):
            return target
        live = self.mixture(batch, self.live, self.live, record=False)
        best = live.masked_fill(batch["avail_actions"] == 0, -math.inf).max(dim=3, keepdim=True)[1]
        return target.gather(3, best).expand_as(target)

    @th.no_grad()
    def decide(self, batch: EpisodeBatch, t: int) -> th.Tensor:
        """Q* of the live networks at step ``t`` of episodes that are being played: (batch, n_agents, n_actions).

        To be asked for every step in turn: recurrent networks remember what they saw before.
        """
        self.see(batch)
        looks = self._looks(batch["obs"].device)
        said = self._everyone(batch, t, looks)
        heard = said[looks.place, :, looks.agent].permute(3, 0, 1, 2)  # (n_actions, i, j, batch)
        peer = looks.agent[:, None]
        heard = self.leave_out_never_had(self.units.raw(heard, peer), peer)
        own = self.units.raw(said[0].permute(2, 1, 0), peer)
        mixed = self.reciprocity.value_of_all(own, heard, batch["obs"][:, t].transpose(0, 1), record=False)
        return self.units.standardised(mixed, peer).permute(2, 1, 0)

    def known(self) -> dict[str, Any]:
        """What a saved team needs beside its networks: actions that agents had, units of values, errors of peers."""
        moments = None if self.units.moments is None else self.units.moments()
        units = {} if moments is None else {"mean": moments.mean.cpu(), "var": moments.var.cpu()}
        errors = self.reciprocity.errors
        return {"had": self.had.cpu(), "units": units, "errors": None if errors is None else th.as_tensor(errors)}

    def recall(self, known: dict[str, Any]) -> None:
        """Go on from :meth:`known`."""
        self.had = known["had"]
        self.reciprocity.errors = None if known["errors"] is None else known["errors"].numpy()
        if self.units.moments is not None:
            for name, value in known["units"].items():
                setattr(self.units.moments(), name, value.to(getattr(self.units.moments(), name).device))

    def _looks(self, device: th.device) -> Looks:
        """Who looks at what, made anew where agents listen to others than at the step before."""
        key = (self.reciprocity.peer_weights.tobytes(), device)
        if self._last_looks is None or self._last_looks[0] != key:
            self._last_looks = key, Looks.of(self.shifts, len(self.had), device)
        return self._last_looks[1]

    def _everyone(self, batch: EpisodeBatch, t: int, looks: Looks) -> th.Tensor:
        """What every network says of the streams that it looks at: (n_shifts, batch, j, n_actions)."""
        mac, first = self.live, max(t - 1, 0)
        seen = streams(batch, looks.streams, slice(first, t + 1))
        kept = mac.hidden_states
        if self._hidden is None:
            self._begin(seen.batch_size)
        else:
            mac.hidden_states = self._hidden
        said: th.Tensor = mac.forward(seen, t - first)
        self._hidden, mac.hidden_states = mac.hidden_states, kept
        return said.view(len(looks.shifts), batch.batch_size, *said.shape[1:])

    def _begin_episodes(self, batch_size: int) -> None:
        self._hidden = None
        self._begin(batch_size)

    def _act(self, batch: EpisodeBatch, t_ep: int, *arguments: Any, **named: Any) -> th.Tensor:
        """The live controller's ``select_actions``."""
        if not self.reciprocity.active:
            return self._select(batch, t_ep, *arguments, **named)  # type: ignore[no-any-return]
        choose = type(self.live).select_actions
        return choose(Answer(self.live, self.decide(batch, t_ep)), batch, t_ep, *arguments, **named)  # type: ignore[no-any-return]
