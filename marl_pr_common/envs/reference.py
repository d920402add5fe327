"""Scripted reference teams: what a fair baseline should beat, and a measure of how good a prey is.

Both read the agents' observations and nothing else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Observations = dict[str, NDArray[np.float32]]
DAMPING = 0.25
"""Share of the velocity lost per step in mpe2's worlds."""
STEP = 0.1
"""Seconds per step in mpe2's worlds."""


def towards(direction: NDArray[np.floating]) -> int:
    """The discrete action that pushes along the larger component of ``direction``, shape (2,)."""
    axis = int(np.argmax(np.abs(direction)))
    return 1 + 2 * axis + int(direction[axis] > 0)


def chase(observations: Observations) -> dict[str, int]:
    """Predators that each run straight at the prey: the prey stands last but its velocity in their observations."""
    return {agent: towards(observation[-4:-2]) for agent, observation in observations.items()}
