"""What is measured while the peers are asked: how their values stand to the own ones, and which peers are broken."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import torch as th

from marl_pr_common.reciprocity import guards
from marl_pr_common.reciprocity.mixture import peer_statistics

LOGGER = logging.getLogger("marl_pr")
RECORD_EVERY = 10
"""Batches between two that count in the statistics: measuring every one would cost as much as forming the target."""
NO_VALUE = -math.inf
"""What a peer answers where it has no value, for instance of an action that it never had. Such an answer is left out
of the mixture like a non-finite one, and is nobody's fault."""


class PeerStatistics:
    """Counts and means over batches; peers with a non-finite value are named when it is first seen: in any batch, on an
    accelerator in those that are recorded, since looking at one means to wait for it."""

    whose = ""
    """Of several teams, which; for messages: " of team 3"."""

    def __init__(self) -> None:
        self.broken: set[int] = set()
        """Agents whose values were not finite when they were last asked."""
        self._masked = 0
        self._batches = 0
        self._recorded: list[tuple[th.Tensor, ...]] = []

    @th.no_grad()
    def record(
        self, own: th.Tensor, values: th.Tensor, peer_weights: th.Tensor, adjacent_weights: th.Tensor, peers: th.Tensor
    ) -> None:
        """Count one batch; the arguments of :func:`marl_pr_common.reciprocity.mixture.peer_statistics`.

        :param peers: the agent that each value comes from, (n_agents, n_peers, n_adjacent, batch) or what expands to it
        """
        if self._look(values) and (self.broken or not th.isfinite(values.sum())):  # one pass where nothing is wrong
            self._name(~th.isfinite(values) & (values != NO_VALUE), peers)
        if self._batches % RECORD_EVERY == 0:
            peer, gap, disagreement = peer_statistics(own, values, peer_weights, adjacent_weights)
            self._recorded.append(tuple(t.mean(0) for t in (own.mean(-1), peer, gap, disagreement)))
        self._batches += 1

    @th.no_grad()
    def record_voices(self, values: th.Tensor, spoken: th.Tensor, peers: th.Tensor, finite: bool | None = None) -> None:
        """Count a batch in which every row was valued by one critic: nothing is known of their disagreement.

        :param values: (n_critics, n_agents, batch)
        :param spoken: (n_agents, batch) booleans: the rows that a peer valued
        :param peers: the agent that each value comes from, (n_agents, batch)
        :param finite: whether all values are; None if it is not known
        """
        if self._look(values, finite) and (self.broken or not (finite or th.isfinite(values.sum()))):
            self._name(~th.isfinite(values) & (values != NO_VALUE) & spoken, peers)
        if self._batches % RECORD_EVERY == 0:
            own = values.masked_fill(spoken, th.nan).nanmean(-1)
            heard = values.masked_fill(~(spoken & th.isfinite(values)), th.nan).nanmean(-1)
            found = (own, heard, heard - own, th.full_like(own, th.nan))
            self._recorded.append(tuple(t.mean(0) for t in found))
        self._batches += 1

    def record_own(self, own: th.Tensor) -> None:
        """Count a batch in which the peers were not asked: own values (n_critics, n_agents, batch)."""
        if self._batches % RECORD_EVERY == 0:
            nothing = th.full_like(own[0, :, 0], th.nan)
            self._recorded.append((own.amin(0).mean(-1), nothing, nothing, nothing))
        self._batches += 1

    def pop(self) -> dict[str, np.ndarray]:
        """Means over the batches recorded since the last call, every tenth: own_value, peer_value, value_gap and
        critic_disagreement, each (n_agents,); NaN where no peer was asked. Empty if there was none."""
        if not self._recorded:
            return {}
        device = self._recorded[-1][0].device  # those of a checkpoint come from the CPU
        batches = th.stack([th.stack(batch).to(device) for batch in self._recorded]).double().cpu().numpy()
        self._recorded = []
        names = ("own_value", "peer_value", "value_gap", "critic_disagreement")
        return dict(zip(names, batches.mean(0), strict=True))

    @property
    def masked(self) -> int:
        """Non-finite peer values that were seen, and kept out of targets, so far."""
        return self._masked

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return {
            "masked": self._masked,
            "batches": self._batches,
            "recorded": list(self._recorded),
            "broken": sorted(self.broken),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self._masked, self._batches, self._recorded = state["masked"], state["batches"], list(state["recorded"])
        self.broken = set(state.get("broken", ()))  # checkpoints of version 0.1.0 do not say

    def _look(self, values: th.Tensor, finite: bool | None = None) -> bool:
        """Whether broken peers are looked for: in each batch, or, on an accelerator, in those that are recorded."""
        return guards.at_hand(values) or finite is False or self._batches % RECORD_EVERY == 0

    def _name(self, bad: th.Tensor, peers: th.Tensor) -> None:
        self._masked += int(bad.sum())
        found = set(peers.expand(bad.shape[1:])[bad.any(0)].tolist())
        for agent in sorted(found - self.broken):
            LOGGER.warning(
                "non-finite peer value of agent %d%s at update %d: it is masked in the targets of its peers, which go "
                "on. Look for the cause in that agent's critic; a checkpoint from before is unharmed.",
                *(agent, self.whose),
                self._batches + 1,
            )
        self.broken = found


class Measured:
    """What is known of the batches so far, for whoever logs it."""

    _statistics: PeerStatistics

    def record_own(self, own: th.Tensor) -> None:
        """Count a batch in which the peers were not asked: own values (n_critics, n_agents, batch)."""
        self._statistics.record_own(own)

    def pop_statistics(self) -> dict[str, np.ndarray]:
        """Means over the batches recorded since the last call; see :meth:`PeerStatistics.pop`."""
        return self._statistics.pop()

    @property
    def broken_peers(self) -> set[int]:
        """Agents whose values were not finite when they were last asked."""
        return self._statistics.broken

    @property
    def masked_peer_values(self) -> int:
        """Non-finite peer values that were kept out of targets so far."""
        return self._statistics.masked
