"""Two grid worlds that played no part in choosing any default: Courier-N and Cliff-N. They test the tabular learners.

Written as plain ParallelEnvs, the way a user would, without a compiled kernel.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from marl_pr_common.envs.grids.kernels import DX, DY
from marl_pr_common.envs.spaces import ObsSpace

Observation = NDArray[np.int64]
Cell = tuple[int, int]


class _Walkers(ParallelEnv[str, Observation, int]):  # type: ignore[misc]
    """N agents on a grid, actions as in the other worlds; subclasses say what a move means."""

    metadata: ClassVar[dict[str, Any]] = {
        "name": "marl_pr_held_out",
        "render_modes": ["ansi"],
        "is_parallelizable": True,
    }
    width: int
    height: int
    limit = 60

    def __init__(self, n_agents: int, spaces: list[ObsSpace], render_mode: str | None = None) -> None:
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode={render_mode!r}: expected None or 'ansi'.")
        self.render_mode = render_mode
        self.possible_agents = [f"agent_{i}" for i in range(n_agents)]
        self.agents: list[str] = []
        self.spaces = dict(zip(self.possible_agents, spaces, strict=True))
        self._actions = {agent: Discrete(5) for agent in self.possible_agents}
        self._observations = {
            agent: MultiDiscrete(np.asarray(space.sizes)[list(space.keep)]) for agent, space in self.spaces.items()
        }
        self.rng = np.random.default_rng(0)
        self.cells: dict[str, Cell] = {}
        self._steps = 0
        self._seeded = False

    def observation_space(self, agent: str) -> MultiDiscrete:
        """The agent's observed features."""
        return self._observations[agent]

    def action_space(self, agent: str) -> Discrete:
        """Stay, +y, -y, +x, -x."""
        return self._actions[agent]

    def obs_space(self, agent: str) -> ObsSpace:
        """The agent's states as integers."""
        return self.spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Draw a start state; a seed restarts the environment's own generator."""
        if seed is not None or not self._seeded:
            self.rng, self._seeded = np.random.default_rng(seed), True
        self._steps = 0
        self.agents = list(self.possible_agents)
        self.start()
        return {agent: self._observe(agent) for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Move the agents in order."""
        moved = self.agents
        rewards, terminated = {}, {}
        for agent in moved:
            rewards[agent], terminated[agent] = self.move(agent, int(actions[agent]))
        self._steps += 1
        late = self._steps >= self.limit
        truncated = {agent: late and not terminated[agent] for agent in moved}
        observations = {agent: self._observe(agent) for agent in moved}
        self.agents = [agent for agent in moved if not (terminated[agent] or truncated[agent])]
        return observations, rewards, terminated, truncated, {agent: {} for agent in moved}

    def render(self) -> str | None:
        """The agents' letters on the grid."""
        if self.render_mode != "ansi":
            return None
        rows = [["."] * self.width for _ in range(self.height)]
        for i, agent in enumerate(self.possible_agents):
            if agent in self.agents:
                x, y = self.cells[agent]
                rows[y][x] = chr(ord("A") + i % 26)
        return "\n".join(" ".join(row) for row in rows) + "\n"

    def close(self) -> None:
        """Nothing to release."""

    def target(self, agent: str, action: int) -> Cell:
        """The cell that an action leads to; walls hold."""
        x, y = self.cells[agent]
        return min(max(x + int(DX[action]), 0), self.width - 1), min(max(y + int(DY[action]), 0), self.height - 1)

    def occupied(self, agent: str, cell: Cell) -> bool:
        """Whether another agent that has not left stands there."""
        return any(self.cells[other] == cell for other in self.agents if other != agent)

    def random_cell(self) -> Cell:
        """A uniform cell."""
        return int(self.rng.integers(self.width)), int(self.rng.integers(self.height))

    def _observe(self, agent: str) -> Observation:
        return np.asarray(self.features(agent), dtype=np.int64)[list(self.spaces[agent].keep)]

    @abstractmethod
    def start(self) -> None:
        """Draw the start state."""

    @abstractmethod
    def move(self, agent: str, action: int) -> tuple[float, bool]:
        """Carry out one agent's action: its reward, and whether it leaves."""

    @abstractmethod
    def features(self, agent: str) -> list[int]:
        """The agent's ego-centric global features."""


class Courier(_Walkers):
    """Fetch the own parcel, bring it to the depot in the middle of a 5x5 grid.

    Features (x, y, px, py, carrying), all seen. -.02 a step, -.05 for walking into an agent (blocked), +.5 for picking
    up, +1 for delivering, which ends the agent's episode.
    """

    width, height = 5, 5

    def __init__(self, n_agents: int = 4, render_mode: str | None = None) -> None:
        space = ObsSpace((5, 5, 5, 5, 2), ordinal=(True, True, True, True, False))
        super().__init__(n_agents, [space] * n_agents, render_mode)
        self.parcels: dict[str, Cell] = {}
        self.carrying: dict[str, bool] = {}

    def start(self) -> None:
        """Random cells; no parcel at the depot."""
        for agent in self.possible_agents:
            self.cells[agent], self.parcels[agent] = self.random_cell(), (2, 2)
            while self.parcels[agent] == (2, 2):
                self.parcels[agent] = self.random_cell()
            self.carrying[agent] = False

    def move(self, agent: str, action: int) -> tuple[float, bool]:
        """Walk; picking up and delivering happen on arrival."""
        cell, reward = self.target(agent, action), -0.02
        if cell != self.cells[agent] and self.occupied(agent, cell):
            return reward - 0.05, False
        self.cells[agent] = cell
        if not self.carrying[agent] and cell == self.parcels[agent]:
            self.carrying[agent] = True
            return reward + 0.5, False
        delivered = self.carrying[agent] and cell == (2, 2)
        return reward + float(delivered), delivered

    def features(self, agent: str) -> list[int]:
        """Where the agent and its parcel are, and whether it carries it."""
        return [*self.cells[agent], *self.parcels[agent], int(self.carrying[agent])]


class Cliff(_Walkers):
    """Walk from the left to the right end of a 7x4 grid above a cliff; the floor is slippery.

    With probability .1 a random action is carried out instead. The cells (1, 3) .. (5, 3) are the cliff: -1 and out.
    Features (x, y, mx, my), the last two the nearest mate's offset clipped to one cell; even agents miss my, odd ones
    mx. -.02 a step, -.05 for walking into an agent (blocked), +1 at (6, 3).
    """

    width, height = 7, 4

    def __init__(self, n_agents: int = 4, render_mode: str | None = None) -> None:
        masks = [(True, True, i % 2 == 0, i % 2 == 1) for i in range(n_agents)]
        super().__init__(n_agents, [ObsSpace((7, 4, 3, 3), mask, (True,) * 4) for mask in masks], render_mode)

    def start(self) -> None:
        """All agents in the leftmost column; they may share a cell at the start."""
        for agent in self.possible_agents:
            self.cells[agent] = (0, int(self.rng.integers(self.height)))

    def move(self, agent: str, action: int) -> tuple[float, bool]:
        """Walk, or slip."""
        if self.rng.random() < 0.1:
            action = int(self.rng.integers(5))
        cell, reward = self.target(agent, action), -0.02
        if cell != self.cells[agent] and self.occupied(agent, cell):
            return reward - 0.05, False
        self.cells[agent] = cell
        if cell[1] == 3 and 1 <= cell[0] <= 5:
            return reward - 1.0, True
        return reward + float(cell == (6, 3)), cell == (6, 3)

    def features(self, agent: str) -> list[int]:
        """The own cell and the nearest mate's direction."""
        x, y = self.cells[agent]
        offsets = [(self.cells[mate][0] - x, self.cells[mate][1] - y) for mate in self.agents if mate != agent]
        dx, dy = min(offsets, key=lambda offset: abs(offset[0]) + abs(offset[1]), default=(0, 0))
        return [x, y, min(max(dx, -1), 1) + 1, min(max(dy, -1), 1) + 1]
