"""SMAX as compiled functions of arrays: one battle, or many at once.

JaxMARL's own ``step`` starts the next battle by itself, tells a time limit from a defeat by nothing and reports it a
step late, and gives no information about who won. So its ``step_env`` is used, without a limit, and what happened is
read from the units that are alive.
"""

from __future__ import annotations

import functools
from typing import Any

from marl_pr_common.envs.jax_engine import load, strong

STOP = 4
"""The action of every unit that is always legal, and the only one of a dead unit."""
REWARD_SCALE = 10.0
"""SMAX's largest return is 2: one for all damage, one for the victory. SMAC's is 20."""
NEVER = 2**31 - 1


@functools.cache
def simulator(map_name: str, batched: bool = False) -> Simulator:
    """The simulator of a map, compiled once per process, however many environments use it."""
    return Simulator(map_name, batched)


class Simulator:
    """A battle as two functions; with ``batched`` every array has a leading axis of battles.

    ``reset(key)`` and ``step(battle, actions)`` return ``(battle, view)``. ``key`` is (2,) uint32, ``actions`` is
    (n_agents,) int32, ``battle`` a tree of arrays with all that the future depends on, random stream too. ``view``:

        observations  (n_agents, obs_dim) float32, zeros for a dead unit
        state         (state_dim,) float32
        masks         (n_agents, n_actions) int8: which actions are legal
        reward        () float32, the team's, on SMAC's scale
        alive         (n_agents,) bool
        enemies       () int32, how many are alive
        illegal       (n_agents,) bool: the action was not legal, and the unit stood still

    :param map_name: one of ``smax_maps.LIMITS``
    :param batched: many battles at once
    :raises ImportError: without jax and JaxMARL
    """

    def __init__(self, map_name: str, batched: bool = False) -> None:
        jax, smax = load("jax"), load("jaxmarl.environments.smax")
        self._jnp = load("jax.numpy")
        self._x64 = jax.enable_x64
        with self._x64(False):
            self._env = smax.HeuristicEnemySMAX(scenario=smax.map_name_to_scenario(map_name), max_steps=NEVER)
        self.n_agents: int = self._env.num_allies
        self.n_enemies: int = self._env.num_enemies
        self.n_actions: int = self._env.num_ally_actions
        self.obs_dim: int = self._env.obs_size
        self.state_dim: int = self._env.state_size
        wrap = jax.vmap if batched else (lambda function: function)
        self._compiled_reset = jax.jit(wrap(self._reset))
        self._compiled_step = jax.jit(wrap(self._step))

    def reset(self, key: Any) -> tuple[Any, dict[str, Any]]:
        """Start a battle. SMAX is float32 and does not compile otherwise, whatever the user has set."""
        with self._x64(False):
            found: tuple[Any, dict[str, Any]] = self._compiled_reset(key)
        return found

    def step(self, battle: Any, actions: Any) -> tuple[Any, dict[str, Any]]:
        """Move everybody, eight steps of the simulator."""
        with self._x64(False):
            found: tuple[Any, dict[str, Any]] = self._compiled_step(battle, actions)
        return found

    def _reset(self, key: Any) -> tuple[Any, dict[str, Any]]:
        random, jnp = load("jax.random"), self._jnp
        key, start = random.split(key)
        observations, units = self._env.reset(start)
        nobody = jnp.zeros(self.n_agents, bool)
        return self._result(key, units, observations, jnp.float32(0), nobody)

    def _step(self, battle: Any, actions: Any) -> tuple[Any, dict[str, Any]]:
        random, jnp = load("jax.random"), self._jnp
        legal = jnp.take_along_axis(battle["masks"], actions[:, None], axis=1)[:, 0] > 0
        chosen = jnp.where(legal, actions, STOP)
        key, now = random.split(battle["key"])
        orders = {agent: chosen[i] for i, agent in enumerate(self._env.agents)}
        observations, units, rewards, _, _ = self._env.step_env(now, battle["units"], orders)
        return self._result(key, units, observations, rewards[self._env.agents[0]], ~legal)

    def _result(self, key: Any, units: Any, observations: Any, reward: Any, illegal: Any) -> tuple[Any, dict[str, Any]]:
        jnp, agents = self._jnp, self._env.agents
        masks = self._env.get_avail_actions(units)
        masks = jnp.stack([masks[agent] for agent in agents]).astype(jnp.int8)
        alive = units.state.unit_alive
        view = {
            "observations": jnp.stack([observations[agent] for agent in agents]),
            "state": observations["world_state"],
            "masks": masks,
            "reward": REWARD_SCALE * reward,
            "alive": alive[: self.n_agents],
            "enemies": alive[self.n_agents :].sum(dtype=jnp.int32),
            "illegal": illegal,
        }
        return strong({"key": key, "units": units, "masks": masks}), strong(view)
