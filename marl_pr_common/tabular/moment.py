"""All possible agents of an environment at one moment, as arrays.

seen      the agent has an observation that its next value can be read from
present   it is in ``env.agents``: it is sent an action. Without an observation it waits, and repeats its last one
neither   it left. With a termination its last value is its reward; otherwise nothing is known about its future
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from marl_pr_common.config.arrays import Flags, Floats, Ints


@dataclass
class Moment:
    """All possible agents after a reset or a step; every array (n_agents,) but ``masks``."""

    present: Flags
    seen: Flags
    states: Ints
    """State indices; 0 for agents that are not seen."""
    masks: Flags
    """(n_agents, n_actions): allowed actions."""
    rewards: Floats
    terminated: Flags
    left: Flags
    """Terminated or truncated in this step."""

    @classmethod
    def empty(cls, n_agents: int, n_actions: int) -> Moment:
        """Nobody is there."""
        flags = [np.zeros(n_agents, dtype=np.bool_) for _ in range(4)]
        masks = np.ones((n_agents, n_actions), dtype=np.bool_)
        return cls(flags[0], flags[1], np.zeros(n_agents, np.int64), masks, np.zeros(n_agents), flags[2], flags[3])

    @property
    def acting(self) -> Flags:
        """The agents that choose an action now."""
        return self.present & self.seen

    def arrays(self) -> dict[str, Any]:
        """For a checkpoint."""
        return vars(self)
