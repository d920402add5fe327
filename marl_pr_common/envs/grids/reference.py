"""Scripted reference teams: what a fair baseline should beat, and a measure of how good a prey is.

They read the agents' observations and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Agent = TypeVar("Agent")
BRAKE = 0.25
"""Seconds of its own velocity that a covering agent looks ahead, found by hand: without, it overshoots."""
CLOSE = 0.03
"""Distance below which a covering agent lets itself be stopped."""


def chase(observations: Mapping[Agent, NDArray[np.float32]]) -> dict[Agent, int]:
    """Predators of ``PredatorPrey`` that each run straight at the prey.

    In their observations the prey stands last but for its velocity.
    """
    return {agent: _towards(observation[-4:-2]) for agent, observation in observations.items()}


def cover(observations: Mapping[Agent, NDArray[np.float32]]) -> dict[Agent, int]:
    """Agents of ``CooperativeNavigation`` that share out the landmarks for the least total distance and go there."""
    n_agents = len(observations)
    velocity = np.array([observation[:2] for observation in observations.values()])
    offsets = np.array([observation[4 : 4 + 2 * n_agents].reshape(-1, 2) for observation in observations.values()])
    _, chosen = linear_sum_assignment(np.linalg.norm(offsets, axis=2))
    ahead = offsets[np.arange(n_agents), chosen] - BRAKE * velocity
    return {agent: _towards(gap, CLOSE) for agent, gap in zip(observations, ahead, strict=True)}


def own(observations: Mapping[Agent, NDArray[np.float32]]) -> dict[Agent, int]:
    """Agents of the variant "maptf" of ``CooperativeNavigation``: agent i goes to landmark i."""
    return {
        agent: _towards(observation[4 + 2 * i : 6 + 2 * i] - BRAKE * observation[:2], CLOSE)
        for i, (agent, observation) in enumerate(observations.items())
    }


def _towards(direction: NDArray[np.floating], close: float = 0.0) -> int:
    """The action that pushes along the larger component of ``direction``, shape (2,); 0 if both are small."""
    axis = int(np.argmax(np.abs(direction)))
    if abs(direction[axis]) <= close:
        return 0
    return 1 + 2 * axis + int(direction[axis] > 0)
