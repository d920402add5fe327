"""Many battles of SMAX at once, in one compiled call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pr_common.envs.smax.maps import limit_of, map_of
from marl_pr_common.envs.smax.simulator import simulator
from marl_pr_common.envs.vector import Moment


class SMAXVector:
    """A :class:`~marl_pr_common.envs.vector.VectorEnv`; row i is ``SMAX(map_name)`` with ``seed(seeds[i])``.

    :param map_name: such as "3s_vs_5z"
    :param seeds: one per row
    :param max_cycles: steps until truncation; SMAC's limit of the map by default
    :raises ValueError: for an unknown map or a bad limit
    :raises ImportError: without jax and JaxMARL
    """

    def __init__(self, map_name: str, seeds: Sequence[int | None], max_cycles: int | None = None) -> None:
        found = map_of(map_name)
        self.max_cycles = limit_of(found, max_cycles)
        self._simulator = simulator(found, batched=True)
        self.n_rows = len(seeds)
        self.n_agents, self.n_actions = self._simulator.n_agents, self._simulator.n_actions
        self.obs_dim, self.state_dim = self._simulator.obs_dim, self._simulator.state_dim
        self.streams = [np.random.default_rng(seed) for seed in seeds]
        self._battles: Any = None
        self._steps = 0

    def reset(self) -> Moment:
        """Start a battle in every row."""
        keys = np.stack([stream.integers(2**32, size=2, dtype=np.uint32) for stream in self.streams])
        self._steps = 0
        return self._moment(*self._simulator.reset(keys))

    def step(self, actions: NDArray[np.integer[Any]]) -> Moment:
        """Move all rows; an illegal action is "stop".

        :param actions: (n_rows, n_agents)
        """
        self._steps += 1
        return self._moment(*self._simulator.step(self._battles, np.asarray(actions, np.int32)))

    def _moment(self, battles: Any, view: dict[str, Any]) -> Moment:
        self._battles = battles
        seen = {key: np.asarray(value) for key, value in view.items()}
        survivors = seen["alive"].sum(axis=1)
        ended = (survivors == 0) | (seen["enemies"] == 0)
        return Moment(
            observations=seen["observations"],
            states=seen["state"],
            masks=seen["masks"],
            rewards=np.repeat(seen["reward"][:, None], self.n_agents, axis=1),
            ended=ended,
            cut=~ended & (self._steps >= self.max_cycles),
            facts={
                "battle_won": ended & (survivors > 0),
                "dead_allies": self.n_agents - survivors,
                "dead_enemies": self._simulator.n_enemies - seen["enemies"],
            },
        )
