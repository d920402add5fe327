"""JaxMARL's simple_spread and simple_tag as compiled functions of positions and velocities.

Only the step is JaxMARL's: where everybody starts, when an episode ends and what the prey does stays as with mpe2, so
that the same seed gives the same episode. Arrays are float64 as mpe2's are: in float32, contacts (a force of 100 over a
margin of 0.001) would drive the two apart within an episode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marl_pr_common.envs.jax_engine import load, strong

Engine = Literal["mpe2", "jaxmarl"]
"""Who moves the bodies of predator-prey and cooperative navigation."""
OBSTACLES = 2


@dataclass(frozen=True)
class Scene:
    """What there is to simulate.

    kind: "spread" (N agents, N landmarks) or "tag" (N predators, one prey, two obstacles)
    n_agents: N, the size of the team
    continuous: five weights per action instead of one of five
    local_ratio: of spread's rewards
    """

    kind: Literal["spread", "tag"]
    n_agents: int
    continuous: bool
    local_ratio: float = 0.5


@dataclass(frozen=True)
class After:
    """What a step leads to, as arrays; with many rows, every array has a leading axis of rows.

    positions, velocities: (n_bodies, 2) float64, agents first
    observations: (n_agents, obs_dim) float32, the team's
    prey: (8 + 2 n_agents,) float32, the prey's observation; (0,) without a prey
    rewards: (n_agents,) float64, the team's
    """

    positions: NDArray[np.float64]
    velocities: NDArray[np.float64]
    observations: NDArray[np.float32]
    prey: NDArray[np.float32]
    rewards: NDArray[np.float64]


@functools.cache
def particles(scene: Scene, batched: bool = False) -> Particles:
    """The simulator of a scene, compiled once per process, however many environments use it."""
    return Particles(scene, batched)


class Particles:
    """A scene as two functions; with ``batched`` every array has a leading axis of rows.

    :raises ImportError: without jax and JaxMARL
    """

    def __init__(self, scene: Scene, batched: bool = False) -> None:
        jax = load("jax")
        self._x64 = jax.enable_x64
        self._scene = scene
        wrap = jax.vmap if batched else (lambda function: function)
        with self._x64(True):
            self._env = _world(scene)
            self._states = load("jaxmarl.environments.mpe.simple").State
        self._compiled_step = jax.jit(wrap(self._step))
        self._compiled_look = jax.jit(wrap(self._look))

    def step(self, positions: ArrayLike, velocities: ArrayLike, actions: ArrayLike) -> After:
        """Move everybody, 0.1 s.

        :param positions: (n_bodies, 2)
        :param velocities: (n_bodies, 2)
        :param actions: of the team and the prey, (n_movers,) integers, or (n_movers, 5) weights
        """
        given = _pushes(actions) if self._scene.continuous else np.asarray(actions, np.int64)
        return self._call(self._compiled_step, positions, velocities, given)

    def look(self, positions: ArrayLike, velocities: ArrayLike) -> After:
        """What is seen and paid in a state, without a step."""
        return self._call(self._compiled_look, positions, velocities)

    def _call(self, function: Callable[..., Any], positions: ArrayLike, velocities: ArrayLike, *more: Any) -> After:
        with self._x64(True):
            found = function(np.asarray(positions, np.float64), np.asarray(velocities, np.float64), *more)
        return After(*(np.asarray(value) for value in found))

    def _state(self, positions: Any, velocities: Any) -> Any:
        jnp = load("jax.numpy")
        silence = jnp.zeros((self._env.num_agents, self._env.dim_c))
        return self._states(p_pos=positions, p_vel=velocities, c=silence, done=jnp.array(False), step=jnp.array(0))

    def _step(self, positions: Any, velocities: Any, actions: Any) -> Any:
        key = load("jax.random").PRNGKey(0)  # of action noise, which these tasks do not have
        by_agent = {agent: actions[i] for i, agent in enumerate(self._env.agents)}
        _, state, _, _, _ = self._env.step_env(key, self._state(positions, velocities), by_agent)
        return self._look(state.p_pos, state.p_vel)

    def _look(self, positions: Any, velocities: Any) -> Any:
        jnp, n = load("jax.numpy"), self._scene.n_agents
        state = self._state(positions, velocities)
        seen, paid = self._env.get_obs(state), self._env.rewards(state)
        team, others = self._env.agents[:n], self._env.agents[n:]
        observations = jnp.stack([seen[agent] for agent in team]).astype(jnp.float32)
        prey = seen[others[0]].astype(jnp.float32) if others else jnp.zeros(0, jnp.float32)
        rewards = jnp.stack([paid[agent] for agent in team]).astype(jnp.float64)
        return strong((positions, velocities, observations, prey, rewards))


def _pushes(weights: ArrayLike) -> NDArray[np.float64]:
    """The same actions with left and down taken off right and up, (..., 5): mpe2 subtracts in float32, JaxMARL here
    would in float64."""
    given = np.asarray(weights, np.float32)
    pushes = np.zeros(given.shape)
    pushes[..., [2, 4]] = given[..., [2, 4]] - given[..., [1, 3]]
    return pushes


def _world(scene: Scene) -> Any:
    mpe = load("jaxmarl.environments.mpe")
    action_type = "Continuous" if scene.continuous else "Discrete"
    n = scene.n_agents
    if scene.kind == "spread":
        return mpe.SimpleSpreadMPE(
            num_agents=n, num_landmarks=n, local_ratio=scene.local_ratio, action_type=action_type
        )
    return mpe.SimpleTagMPE(num_good_agents=1, num_adversaries=n, num_obs=OBSTACLES, action_type=action_type)
