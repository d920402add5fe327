"""Landmarks, Navigation and Blocker as PettingZoo ParallelEnvs; the rules are those of ``kernels.py``."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from marl_pr_common.envs.grids import kernels
from marl_pr_common.envs.registry import GridSpec
from marl_pr_common.envs.render import ansi_grid, draw_grid
from marl_pr_common.envs.spaces import ObsSpace

Observation = NDArray[np.int64]


class Grid(ParallelEnv[str, Observation, int]):  # type: ignore[misc]
    """A discrete grid world of the paper's kind (its own layouts are not published; docs/tabular.md has the rules).

    An observation is the vector of the features that the agent sees, as non-negative integers. Actions: 0 stay, 1 +y,
    2 -y, 3 +x, 4 -x; agents move in order.

    :param spec: rules and observation matrices, see ``registry.py``
    :param render_mode: None, "rgb_array" or "ansi"
    :raises ValueError: for another render mode, or an action outside 0 .. 4
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "marl_pr_grid",
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 5,
        "is_parallelizable": True,
    }

    def __init__(self, spec: GridSpec, render_mode: str | None = None) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode={render_mode!r}: expected None, 'rgb_array' or 'ansi'.")
        self.spec = spec
        self.render_mode = render_mode
        self.possible_agents = [f"agent_{i}" for i in range(spec.n_agents)]
        self.agents: list[str] = []
        self._index = {agent: i for i, agent in enumerate(self.possible_agents)}
        self._actions = {agent: Discrete(spec.n_actions) for agent in self.possible_agents}
        self._observations = {
            agent: MultiDiscrete(np.asarray(space.sizes)[list(space.keep)])
            for agent, space in zip(self.possible_agents, spec.spaces, strict=True)
        }
        self._rng: np.random.Generator | None = None
        self._pos = np.zeros((spec.n_agents, 2), dtype=np.int64)
        self._goal = np.zeros((spec.n_agents, 2), dtype=np.int64)
        self._active = np.zeros(spec.n_agents, dtype=np.bool_)
        self._steps = 0

    def observation_space(self, agent: str) -> MultiDiscrete:
        """The agent's observed features and their sizes."""
        return self._observations[agent]

    def action_space(self, agent: str) -> Discrete:
        """Five actions."""
        return self._actions[agent]

    def obs_space(self, agent: str) -> ObsSpace:
        """The agent's states as integers, and which of the global features it sees."""
        return self.spec.spaces[self._index[agent]]

    def observation_matrix(self, agent: str) -> NDArray[np.int64]:
        """Pi of the agent, shape (d_s, d): observation = Pi @ its ego-centric global features."""
        return self.obs_space(agent).matrix

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Draw a start state; a seed restarts the environment's own generator."""
        if seed is not None or self._rng is None:
            self._rng = np.random.default_rng(seed)
        kernels.reset_world(self.spec.world, self._pos, self._goal, self._active, self._rng)
        self._steps = 0
        self.agents = list(self.possible_agents)
        return self._observe(self.agents), {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Move all agents. An agent that reaches its aim terminates; the step limit truncates the others."""
        moved = self.agents
        joint = np.zeros(self.spec.n_agents, dtype=np.int64)
        for agent in moved:
            action = int(actions[agent])
            if not 0 <= action < self.spec.n_actions:
                raise ValueError(f"{agent}: action {action} is not one of 0 .. {self.spec.n_actions - 1}.")
            joint[self._index[agent]] = action
        rewards = np.zeros(self.spec.n_agents)
        left = np.zeros(self.spec.n_agents, dtype=np.bool_)
        kernels.step_world(self.spec.world, self._pos, self._goal, self._active, joint, rewards, left)
        self._steps += 1
        late = self._steps >= self.spec.world.limit
        terminated = {agent: bool(left[self._index[agent]]) for agent in moved}
        truncated = {agent: late and not terminated[agent] for agent in moved}
        self.agents = [agent for agent in moved if not (terminated[agent] or truncated[agent])]
        reward = {agent: float(rewards[self._index[agent]]) for agent in moved}
        return self._observe(moved), reward, terminated, truncated, {agent: {} for agent in moved}

    def render(self) -> NDArray[np.uint8] | str | None:
        """The grid as an image, (height, width, 3), or as text. Row y = 0 is at the top."""
        if self.render_mode == "ansi":
            return ansi_grid(self.spec, self._pos, self._goal, self._active)
        if self.render_mode == "rgb_array":
            return draw_grid(self.spec, self._pos, self._goal, self._active)
        return None

    def close(self) -> None:
        """Nothing to release."""

    def _observe(self, agents: list[str]) -> dict[str, Observation]:
        observations = {}
        for agent in agents:
            space = self.obs_space(agent)
            features = np.zeros(space.d, dtype=np.int64)
            kernels.features_of(self.spec.world, self._pos, self._goal, self._active, self._index[agent], features)
            observations[agent] = features[list(space.keep)]
        return observations
