"""Transitions that are under way: each agent's last choice until its next observation, its end, or neither."""

from __future__ import annotations

from typing import Any

import numpy as np

from marl_pr_common.config.arrays import Flags, Floats, Ints
from marl_pr_common.tabular.moment import Moment


class Pending:
    """One transition per agent, (n_agents,) each.

    An agent that waits k steps for its next observation has one transition over all of them: rewards r_0 + gamma r_1 +
    .., bootstrap gamma^k. One whose next observation never comes (truncated without one, or gone without a word until
    the episode ends) learns nothing from its last choice: what follows is not known, and is no state.
    """

    def __init__(self, n_agents: int) -> None:
        self.states: Ints = np.zeros(n_agents, dtype=np.int64)
        self.actions: Ints = np.zeros(n_agents, dtype=np.int64)
        self.rewards: Floats = np.zeros(n_agents)
        """Discounted to the moment of the choice."""
        self.discounts: Floats = np.ones(n_agents)
        """gamma^k after k steps."""
        self.open: Flags = np.zeros(n_agents, dtype=np.bool_)

    def begin(self, acting: Flags, states: Ints, actions: Ints) -> None:
        """These agents have chosen."""
        np.copyto(self.states, states, where=acting)
        np.copyto(self.actions, actions, where=acting)
        np.copyto(self.rewards, 0.0, where=acting)
        np.copyto(self.discounts, 1.0, where=acting)
        self.open |= acting

    def collect(self, after: Moment, gamma: float) -> Flags:
        """Add a step's rewards; which transitions are whole now, (n_agents,)."""
        self.rewards += self.discounts * after.rewards
        self.discounts *= gamma
        whole = self.open & (after.seen | after.terminated)
        self.open &= ~(whole | after.left)
        return whole

    def drop(self) -> None:
        """The episode is over."""
        self.open[:] = False

    def arrays(self) -> dict[str, Any]:
        """For a checkpoint."""
        return vars(self)
