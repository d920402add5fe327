"""Many copies of one environment in one process, as arrays: what the simulators on jax have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moment:
    """What all rows of a vector of environments show at one time.

    observations: (n_rows, n_agents, obs_dim) float32
    states: (n_rows, state_dim) float32
    masks: (n_rows, n_agents, n_actions) int8, 1 for legal actions
    rewards: (n_rows, n_agents), of the step before
    ended: (n_rows,) bool: the episode came to its end with this step
    cut: (n_rows,) bool: the time limit fired with this step, and it was no end
    facts: by name, (n_rows,): what else the environment says, such as ``battle_won``
    """

    observations: NDArray[np.float32]
    states: NDArray[np.float32]
    masks: NDArray[np.int8]
    rewards: NDArray[np.floating[Any]]
    ended: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    facts: dict[str, NDArray[Any]]


class VectorEnv(Protocol):
    """Rows are reset together and step together. A row whose episode is over goes on meaninglessly until the reset.

    Row i is the single environment with the i-th seed, but for the rounding of float32: compiled code for many rows may
    add in another order.
    """

    n_rows: int
    n_agents: int
    n_actions: int
    obs_dim: int
    state_dim: int
    max_cycles: int
    streams: list[Any]
    """The random generators of every row: all that it carries from one episode to the next."""

    def reset(self) -> Moment:
        """Start an episode in every row."""

    def step(self, actions: NDArray[np.integer[Any]]) -> Moment:
        """Move all rows; ``actions`` is (n_rows, n_agents)."""
