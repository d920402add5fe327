"""What agents would do at what other agents saw: EPyMARL's own controllers, asked in few passes."""

from __future__ import annotations

from typing import Any

import torch as th

from epymarl_pr.learners.mac import FEED_FORWARD, Memory, ask, own_values, remember
from epymarl_pr.learners.shadow import EpisodeBatch, rows
from marl_pr_common.transfer.losses import log_policy

TINY = 1e-38


class Policies:
    """Log-probabilities of the agents of a controller.

    :param mac: EPyMARL's controller
    :param logits: whether it answers with logits, as MADDPG's does, or with probabilities
    """

    def __init__(self, mac: Any, logits: bool):
        self.mac = mac
        self.logits = logits
        self.recurrent = bool(mac.args.use_rnn) or mac.args.agent not in FEED_FORWARD

    def own(self, batch: EpisodeBatch, index: th.Tensor) -> th.Tensor:
        """Each agent on what it saw, with a gradient: (n_agents, len(index), n_actions).

        :param index: rows of batch * time
        """
        if self.recurrent:
            _, values = remember(self.mac, batch, [0])
        else:
            values = own_values(self.mac, batch)
        return self._log(rows(values, index), available(batch, index))

    @th.no_grad()
    def of(self, batch: EpisodeBatch, index: th.Tensor, agent: th.Tensor) -> th.Tensor:
        """Other agents on what agent i saw, without a gradient: (n_agents, k, n_actions).

        :param index: (k,): rows of batch * time
        :param agent: (n_agents, k): who is asked; it remembers what agent i saw before
        """
        memory: Memory | None = None
        if self.recurrent:
            memory, _ = remember(self.mac, batch, range(len(agent)))
        values = ask(self.mac, batch, rows(batch["obs"], index), agent, index, memory)
        return self._log(values.permute(1, 2, 0), available(batch, index))

    def everyone(self, batch: EpisodeBatch, index: th.Tensor) -> th.Tensor:
        """Every agent j on what every agent i saw: (n_agents, len(index), n_agents, n_actions), by i, row and j."""
        n = batch["obs"].shape[2]
        agent = th.arange(n, device=index.device).repeat(len(index)).expand(n, -1)
        found: th.Tensor = self.of(batch, index.repeat_interleave(n), agent).unflatten(1, (len(index), n))
        return found

    def _log(self, answer: th.Tensor, possible: th.Tensor) -> th.Tensor:
        # a controller that answers with probabilities has them of all actions alike
        return log_policy(answer if self.logits else answer.clamp_min(TINY).log(), possible)


def available(batch: EpisodeBatch, index: th.Tensor) -> th.Tensor:
    """(n_agents, len(index), n_actions)."""
    return rows(batch["avail_actions"], index)


def acted(batch: EpisodeBatch) -> th.Tensor:
    """Rows of batch * time in which agents acted and saw what came of it."""
    filled = batch["filled"][..., 0]
    both = th.zeros_like(filled)
    both[:, :-1] = filled[:, :-1] * filled[:, 1:]
    return both.flatten().nonzero()[:, 0]
