"""The Digital environment (section V.A): a random Markov chain with two actions and a reward function per agent."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from marl_pr_common.envs.grids.mdp import FiniteMDP, digital_mdp
from marl_pr_common.envs.spaces import ObsSpace

Coupling = Literal["shared", "copies"]


class Digital(ParallelEnv[str, int, int]):  # type: ignore[misc]
    """Digital as a ParallelEnv: |S| = 20 states, N = 20 agents, 2 actions.

    :param n_agents: number of agents, each with a reward function of its own
    :param n_states: number of states
    :param limit: steps until truncation
    :param coupling: "shared": one chain, all agents see its state, and the agents take turns in choosing the action
        that is carried out (``infos[agent]["executed_action"]``); "copies": every agent moves in a chain of its own
    :param model_seed: seed of the transition probabilities and mean rewards, which stay the same over episodes
    :param render_mode: None, "ansi" or "rgb_array"
    :raises ValueError: for a number below 1, another coupling or render mode, or an action other than 0 and 1
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "marl_pr_digital",
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 5,
        "is_parallelizable": True,
    }

    def __init__(
        self,
        n_agents: int = 20,
        n_states: int = 20,
        limit: int = 100,
        coupling: Coupling = "shared",
        model_seed: int = 0,
        render_mode: str | None = None,
    ) -> None:
        if coupling not in ("shared", "copies"):
            raise ValueError(f"coupling={coupling!r}: expected 'shared' or 'copies'.")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode={render_mode!r}: expected None, 'rgb_array' or 'ansi'.")
        if min(n_agents, n_states, limit) < 1:
            raise ValueError(f"n_agents={n_agents}, n_states={n_states}, limit={limit}: expected numbers >= 1.")
        self.mdp: FiniteMDP = digital_mdp(np.random.default_rng(model_seed), n_states=n_states, n_agents=n_agents)
        """The exact model."""
        self.coupling = coupling
        self.limit = limit
        self.render_mode = render_mode
        self.possible_agents = [f"agent_{i}" for i in range(n_agents)]
        self.agents: list[str] = []
        self._space = Discrete(n_states)
        self._actions = {agent: Discrete(self.mdp.n_actions) for agent in self.possible_agents}
        self._observations = {agent: Discrete(n_states) for agent in self.possible_agents}
        self._rng: np.random.Generator | None = None
        self._states = np.zeros(n_agents, dtype=np.int64)
        self._steps = 0

    def observation_space(self, agent: str) -> Discrete:
        """The digit."""
        return self._observations[agent]

    def action_space(self, agent: str) -> Discrete:
        """Two actions."""
        return self._actions[agent]

    def obs_space(self, agent: str) -> ObsSpace:
        """One ordered feature, the digit."""
        return ObsSpace((self.mdp.n_states,), ordinal=(True,))

    def observation_matrix(self, agent: str) -> NDArray[np.int64]:
        """The identity, (1, 1): every agent sees the state."""
        return self.obs_space(agent).matrix

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, int], dict[str, dict[str, Any]]]:
        """Draw the start state(s) uniformly; a seed restarts the environment's own generator, not its model."""
        if seed is not None or self._rng is None:
            self._rng = np.random.default_rng(seed)
        if self.coupling == "shared":
            self._states[:] = self._rng.integers(self.mdp.n_states)
        else:
            self._states[:] = self._rng.integers(self.mdp.n_states, size=len(self._states))
        self._steps = 0
        self.agents = list(self.possible_agents)
        return self._observe(), {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, int], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Pay every agent for its state and the executed action, then move the chain(s)."""
        if self._rng is None:
            raise RuntimeError("step() was called before reset(). Call reset() first.")
        agents = self.agents
        joint = np.array([int(actions[agent]) for agent in agents])
        if joint.size and not 0 <= joint.min() <= joint.max() < self.mdp.n_actions:
            raise ValueError(f"actions {joint.tolist()}: expected values in 0 .. {self.mdp.n_actions - 1}.")
        if self.coupling == "shared":
            joint[:] = joint[self._steps % len(agents)]
        mean = self.mdp.reward[np.arange(len(agents)), self._states, joint]
        reward = mean + self.mdp.noise * (2 * self._rng.random(len(agents)) - 1)
        uniform = self._rng.random(1 if self.coupling == "shared" else len(agents))
        cumulative = np.cumsum(self.mdp.transition[self._states, joint], axis=-1)
        self._states = np.minimum((cumulative < uniform[:, None]).sum(axis=-1), self.mdp.n_states - 1)
        self._steps += 1
        late = self._steps >= self.limit
        observations = self._observe()
        self.agents = [] if late else agents
        infos = {agent: {"executed_action": int(a)} for agent, a in zip(agents, joint, strict=True)}
        rewards = {agent: float(r) for agent, r in zip(agents, reward, strict=True)}
        return observations, rewards, dict.fromkeys(agents, False), dict.fromkeys(agents, late), infos

    def render(self) -> NDArray[np.uint8] | str | None:
        """One row of digits; "^" (or a dark bar whose height is the share of agents) marks the agents' states."""
        counts = np.bincount(self._states, minlength=self.mdp.n_states)
        if self.render_mode == "ansi":
            digits = " ".join(f"{s:2d}" for s in range(self.mdp.n_states))
            marks = " ".join(" ^" if count else "  " for count in counts)
            return f"{digits}\n{marks}\n"
        if self.render_mode == "rgb_array":
            image = np.full((64, 16 * self.mdp.n_states + 1, 3), 250, dtype=np.uint8)
            image[:, ::16] = 205
            for s, count in enumerate(counts):
                height = round(60 * count / len(self._states))
                image[62 - height : 62, 16 * s + 2 : 16 * s + 15] = (0, 114, 178)
            return image
        return None

    def close(self) -> None:
        """Nothing to release."""

    def _observe(self) -> dict[str, int]:
        return {agent: int(s) for agent, s in zip(self.possible_agents, self._states, strict=True)}
