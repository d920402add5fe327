"""Teams in mpe2's particle worlds as PettingZoo ParallelEnvs: what predator-prey and cooperative navigation share."""

from __future__ import annotations

import json
import operator
import os
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Space
from gymnasium.utils import EzPickle, seeding
from numpy.typing import ArrayLike, NDArray
from pettingzoo import ParallelEnv

from marl_pr_common.envs.jax_engine import require
from marl_pr_common.envs.particles.arguments import RENDER_MODES
from marl_pr_common.envs.particles.jax_particles import After, Scene, particles
from marl_pr_common.envs.seeds import checked_seed

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # mpe2 imports pygame, which greets on standard output

Observation = NDArray[np.float32]
Results = tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]
ACTIONS = ("stay", "left", "right", "down", "up")
"""The five actions of every agent. Continuous actions weigh them, a vector in [0, 1]^5 of the same order."""


class ParticleTeam(ParallelEnv[str, Observation, ArrayLike], EzPickle):  # type: ignore[misc]
    """The first ``n_agents`` of an mpe2 environment; whoever else moves there belongs to the environment.

    The episode ends at ``max_cycles`` steps only: a truncation, with its reward, never a termination.

    :param raw: mpe2's ``raw_env``, of which the agents' order, the physics, observations and rewards are kept
    :param n_agents: size of the team
    :param arguments: the subclass's own arguments by name, for pickling
    :param scene: what JaxMARL simulates in mpe2's place; None for mpe2
    :raises ImportError: if there is a scene, but no jax or JaxMARL
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "marl_pr_particles",
        "render_modes": list(RENDER_MODES),
        "render_fps": 10,
        "is_parallelizable": True,
    }

    def __init__(self, raw: Any, n_agents: int, arguments: dict[str, Any], scene: Scene | None = None) -> None:
        EzPickle.__init__(self, **arguments)
        self._raw = raw
        self.scene = scene
        self._after: After | None = None
        if scene is not None:
            require()
        self._script_rng: np.random.Generator
        self.render_mode: str | None = raw.render_mode
        raw.render_mode = None  # in "human" mode mpe2 would draw and wait after every single agent's move
        self.continuous_actions: bool = raw.continuous_actions
        self.possible_agents = list(raw.possible_agents[:n_agents])
        self.agents: list[str] = []
        size = sum(self.observation_space(agent).shape[0] for agent in self.possible_agents)
        self.state_space = Box(-np.inf, np.inf, (size,), np.float32)
        self.seed()

    @property
    def max_cycles(self) -> int:
        """Steps until truncation; may be set between episodes, as PettingZoo's own tests do."""
        return int(self._raw.max_cycles)

    @max_cycles.setter
    def max_cycles(self, limit: int) -> None:
        self._raw.max_cycles = limit

    def observation_space(self, agent: str) -> Box:
        """mpe2's: unbounded, shape (obs_dim,), float32."""
        space: Box = self._raw.observation_space(agent)
        return space

    def action_space(self, agent: str) -> Space[Any]:
        """``Discrete(5)``, or the box [0, 1]^5; see ``ACTIONS``."""
        space: Space[Any] = self._raw.action_space(agent)
        return space

    def seed(self, seed: int | None = None) -> None:
        """Restart the random streams without a reset: ``seed(s); reset()`` is ``reset(seed=s)``.

        Start positions are those of mpe2's own environment under the same seed; scripted movers have a stream of
        their own, also made from ``seed``.
        """
        self._raw.np_random, self._script_rng = self.streams(seed)

    @staticmethod
    def streams(seed: int | None) -> tuple[np.random.Generator, np.random.Generator]:
        """The random streams of a seed: of start positions, which is mpe2's own, and of scripted movers."""
        world, entropy = seeding.np_random(checked_seed(seed))
        return world, np.random.default_rng([entropy, 1])

    def start(self, stream: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Draw where an episode starts: positions and velocities, (n_entities, 2) each. Ends a running episode."""
        self._raw.np_random, own = stream, self._raw.np_random
        self._raw.reset()
        self._raw.np_random, self.agents, self._after = own, [], None
        return self._bodies()

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Draw start positions; without a seed the streams go on."""
        if seed is not None:
            self.seed(seed)
        self._raw.reset()
        self._after, self.agents = None, list(self.possible_agents)
        return self._observe(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, ArrayLike]) -> Results:
        """Move everybody at once.

        At the time limit ``truncations`` are True and ``infos[agent]["TimeLimit.truncated"]`` says so too.

        :param actions: by agent: 0 .. 4, or with continuous actions five numbers, clipped to [0, 1]
        :raises ValueError: if an agent's action is missing or is none of these
        :raises RuntimeError: before ``reset()`` and after the end of an episode
        """
        if not self.agents:
            raise RuntimeError("step() was called without a running episode. Call reset() first.")
        team = self.agents
        self._move([self._checked(agent, actions) for agent in team] + self._scripted_actions())
        late = self._raw.steps >= self.max_cycles
        self.agents = [] if late else team
        if self.render_mode == "human":
            self.render()
        rewards = {agent: float(self._raw.rewards[agent]) for agent in team}
        infos: dict[str, dict[str, Any]] = {agent: {"TimeLimit.truncated": True} if late else {} for agent in team}
        return self._observe(), rewards, dict.fromkeys(team, False), dict.fromkeys(team, late), infos

    def state(self) -> Observation:
        """The team's observations one after another, shape (sum of obs_dim,)."""
        return np.concatenate(list(self._observe().values()))

    def render(self) -> NDArray[np.uint8] | None:
        """A frame, (700, 700, 3), in "rgb_array" mode, which needs no display; None in "human" mode."""
        if self.render_mode is None:
            raise ValueError("render() needs a render mode. Make the environment with render_mode='rgb_array'.")
        self._raw.render_mode = self.render_mode
        frame: NDArray[np.uint8] | None = self._raw.render()
        self._raw.render_mode = None
        return frame

    def close(self) -> None:
        """Close a window, if there is one."""
        if self.render_mode == "human":  # mpe2's close() shuts pygame down for every environment of the process
            self._raw.close()

    def get_state(self) -> dict[str, Any]:
        """All that the future depends on, as arrays, numbers and strings; valid between any two steps."""
        positions, velocities = self._bodies()
        return {
            "running": bool(self.agents),
            "steps": int(self._raw.steps),
            "max_cycles": self.max_cycles,
            "positions": positions,
            "velocities": velocities,
            "camera_range": float(self._raw.original_cam_range),
            "world_rng": json.dumps(self._raw.np_random.bit_generator.state),
            "script_rng": json.dumps(self._script_rng.bit_generator.state),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from ``get_state()`` of an environment made with the same arguments.

        :raises ValueError: if the state belongs to a world of another size
        """
        entities = self._raw.world.entities
        positions, velocities = (np.array(state[key], dtype=np.float64) for key in ("positions", "velocities"))
        if positions.shape != (len(entities), 2) or velocities.shape != positions.shape:
            raise ValueError(
                f"The state holds positions {positions.shape} and velocities {velocities.shape}, but this environment "
                f"has {len(entities)} bodies in the plane. Make it with the arguments of the one that was saved."
            )
        self._raw.reset()
        self._place(positions, velocities)
        self._raw.steps = int(state["steps"])
        self.max_cycles = int(state.get("max_cycles", self.max_cycles))  # older states have none
        self._raw.original_cam_range = float(state["camera_range"])
        self._raw.np_random.bit_generator.state = json.loads(str(state["world_rng"]))
        self._script_rng.bit_generator.state = json.loads(str(state["script_rng"]))
        self.agents = list(self.possible_agents) if state["running"] else []

    def __getstate__(self) -> dict[str, Any]:
        return {**EzPickle.__getstate__(self), "state": self.get_state()}

    def __setstate__(self, pickled: dict[str, Any]) -> None:
        EzPickle.__setstate__(self, pickled)
        self.set_state(pickled["state"])

    def _move(self, actions: list[Any]) -> None:
        """One step of the engine, which leaves bodies, rewards and the count of steps in mpe2's environment."""
        if self.scene is None:
            for action in actions:
                self._raw.step(action)
            return
        after = particles(self.scene).step(*self._bodies(), actions)
        self._place(after.positions, after.velocities)
        self._after = after
        self._raw.rewards = dict(zip(self.possible_agents, after.rewards, strict=True))
        self._raw.steps += 1

    def _bodies(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions and velocities of all entities, (n_entities, 2) each."""
        states = [entity.state for entity in self._raw.world.entities]
        return np.array([state.p_pos for state in states]), np.array([state.p_vel for state in states])

    def _place(self, positions: NDArray[np.float64], velocities: NDArray[np.float64]) -> None:
        for entity, position, velocity in zip(self._raw.world.entities, positions, velocities, strict=True):
            entity.state.p_pos, entity.state.p_vel = position.copy(), velocity.copy()
        self._after = None

    def _look(self) -> After:
        """What JaxMARL shows of the bodies as they are."""
        assert self.scene is not None
        if self._after is None:
            self._after = particles(self.scene).look(*self._bodies())
        return self._after

    def _scripted_actions(self) -> list[Any]:
        """Actions of the bodies that move but are not in the team, in mpe2's order."""
        return []

    def _checked(self, agent: str, actions: dict[str, ArrayLike]) -> Any:
        if agent not in actions:
            raise ValueError(f"No action for {agent}: expected one for each of {', '.join(self.agents)}.")
        action = actions[agent]
        if self.continuous_actions:
            vector = np.asarray(action, dtype=np.float32)
            if vector.shape != (len(ACTIONS),) or not np.isfinite(vector).all():
                raise ValueError(f"{agent}: action {action!r}, expected {len(ACTIONS)} finite numbers in [0, 1].")
            return np.clip(vector, 0, 1)
        try:
            number = operator.index(action)  # type: ignore[arg-type]
        except TypeError:
            number = -1
        if not 0 <= number < len(ACTIONS):
            raise ValueError(f"{agent}: action {action!r} is not one of 0 .. {len(ACTIONS) - 1}.")
        return number

    def _observe(self) -> dict[str, Observation]:
        if self.scene is not None:
            seen = [found.copy() for found in self._look().observations]
            return dict(zip(self.possible_agents, seen, strict=True))
        return {agent: self._raw.observe(agent) for agent in self.possible_agents}
