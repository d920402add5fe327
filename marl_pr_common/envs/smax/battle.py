"""StarCraft micro-management on SMAX, JaxMARL's simulator: SMAC's battles without the game, as ParallelEnvs."""

from __future__ import annotations

import json
import operator
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.utils import EzPickle
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from marl_pr_common.envs.jax_engine import load
from marl_pr_common.envs.seeds import checked_seed
from marl_pr_common.envs.smax.maps import limit_of, map_of
from marl_pr_common.envs.smax.simulator import STOP, Simulator, simulator

Observation = dict[str, NDArray[Any]]
ByAgent = dict[str, dict[str, Any]]


class SMAX(ParallelEnv[str, Observation, int], EzPickle):  # type: ignore[misc]
    """A battle of SMAX against its scripted enemy, which shoots at the nearest unit.

    Actions: 0 .. 3 move up, right, down, left; 4 stops; 5 + k attacks enemy k. An observation is a dictionary:
    ``"observation"``, (obs_dim,) float32, and ``"action_mask"``, (n_actions,) int8, 1 for the legal actions; the mask
    also stands in ``infos[agent]``. An action that is not legal is carried out as "stop", and
    ``infos[agent]["illegal_action"]`` says so.

    The team is rewarded for damage and, half of the largest return of 20, for killing all enemies. Every agent receives
    the team's reward.

    A unit that dies stays an agent until the battle ends, as in SMAC and JaxMARL: it sees zeros, may only stop, and is
    still paid what the team earns; ``infos[agent]["alive"]`` is False. The episode ends for all agents at once: with a
    termination when one side is dead, with a truncation at the time limit. ``infos[agent]["battle_won"]`` is True at
    the end of a battle in which all enemies and not all allies are dead.

    :param map_name: such as "3s_vs_5z"; see ``smax_maps.LIMITS``
    :param max_cycles: steps until truncation; SMAC's limit of the map by default
    :param render_mode: None; SMAX is not drawn here
    :raises ValueError: for a value outside these
    :raises ImportError: without jax and JaxMARL; says what to install
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "marl_pr_smax", "render_modes": [], "is_parallelizable": True}

    def __init__(self, map_name: str, max_cycles: int | None = None, render_mode: None = None) -> None:
        self.map_name = map_of(map_name)
        self.max_cycles = limit_of(self.map_name, max_cycles)
        if render_mode is not None:
            raise ValueError(f"SMAX: render_mode={render_mode!r}, expected None: there are no pictures of it.")
        EzPickle.__init__(self, self.map_name, self.max_cycles)
        self.render_mode = None
        found = self._simulator
        self.possible_agents = [f"ally_{i}" for i in range(found.n_agents)]
        self.agents: list[str] = []
        self.state_space = Box(-np.inf, np.inf, (found.state_dim,), np.float32)
        seen = Box(-np.inf, np.inf, (found.obs_dim,), np.float32)
        mask = Box(0, 1, (found.n_actions,), np.int8)
        self._observation_spaces = {a: Dict({"observation": seen, "action_mask": mask}) for a in self.possible_agents}
        self._action_spaces = {a: Discrete(found.n_actions) for a in self.possible_agents}
        self._steps = 0
        self._battle: Any = None
        self._view: dict[str, NDArray[Any]] = {}
        self.seed()

    @property
    def _simulator(self) -> Simulator:
        return simulator(self.map_name)  # not an attribute: copies of the environment carry nothing compiled

    def observation_space(self, agent: str) -> Dict:
        """``"observation"``, (obs_dim,) float32, and ``"action_mask"``, (n_actions,) int8."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Discrete:
        """``Discrete(5 + number of enemies)``."""
        return self._action_spaces[agent]

    def seed(self, seed: int | None = None) -> None:
        """Restart the random stream without a reset: ``seed(s); reset()`` is ``reset(seed=s)``."""
        self._rng = np.random.default_rng(checked_seed(seed))

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], ByAgent]:
        """Start a battle; without a seed the stream goes on."""
        if seed is not None:
            self.seed(seed)
        self.agents = list(self.possible_agents)
        self._steps = 0
        self._take(self._simulator.reset(self._rng.integers(2**32, size=2, dtype=np.uint32)))
        return self._observe(), self._infos(False, False)

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], ByAgent]:
        """Eight steps of the simulator, half a second of the game.

        :param actions: by agent, 0 .. n_actions - 1
        :raises ValueError: if an agent's action is missing or is none of these
        :raises RuntimeError: before ``reset()`` and after the end of an episode
        """
        if not self.agents:
            raise RuntimeError("step() was called without a running episode. Call reset() first.")
        orders = np.array([self._checked(agent, actions) for agent in self.agents], np.int32)
        self._take(self._simulator.step(self._battle, orders))
        self._steps += 1
        team = self.agents
        decided = not (self._view["alive"].any() and self._view["enemies"])
        late = not decided and self._steps >= self.max_cycles
        if decided or late:
            self.agents = []
        rewards = dict.fromkeys(team, float(self._view["reward"]))
        ended, cut = dict.fromkeys(team, decided), dict.fromkeys(team, late)
        return self._observe(), rewards, ended, cut, self._infos(decided, late)

    def state(self) -> NDArray[np.float32]:
        """All units, whoever sees them, (state_dim,): JaxMARL's ``world_state``.

        :raises RuntimeError: before the first ``reset()``, as :meth:`observations` and :meth:`masks` do
        """
        return self._shown("state")

    @property
    def observations_shape(self) -> tuple[int, int]:
        """(n_agents, obs_dim)."""
        return self._simulator.n_agents, self._simulator.obs_dim

    def observations(self) -> NDArray[np.float32]:
        """What all agents see, without masks, (n_agents, obs_dim)."""
        return self._shown("observations")

    def masks(self) -> NDArray[np.int8]:
        """Legal actions, (n_agents, n_actions)."""
        return self._shown("masks")

    def render(self) -> None:
        """:raises ValueError: always; SMAX is not drawn here"""
        raise ValueError("SMAX has no pictures here.")

    def close(self) -> None:
        """Nothing to close."""

    def get_state(self) -> dict[str, Any]:
        """All that the future depends on, as arrays, numbers and strings; valid after the first reset."""
        leaves = [] if self._battle is None else load("jax").tree.leaves((self._battle, self._view))
        return {
            "running": bool(self.agents),
            "steps": self._steps,
            "max_cycles": self.max_cycles,
            "rng": json.dumps(self._rng.bit_generator.state),
            **{f"leaf_{i}": np.array(leaf) for i, leaf in enumerate(leaves)},
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from ``get_state()`` of an environment of the same map.

        :raises ValueError: if the state belongs to another map
        """
        tree = load("jax").tree
        self.reset(seed=0)
        leaves, structure = tree.flatten((self._battle, self._view))
        saved = [np.asarray(state[f"leaf_{i}"]) for i in range(len(leaves)) if f"leaf_{i}" in state]
        if saved:
            if [leaf.shape for leaf in saved] != [leaf.shape for leaf in leaves]:
                raise ValueError(f"The state is not one of {self.map_name}. Make the environment that was saved.")
            self._battle, self._view = tree.unflatten(structure, saved)
        self._steps = int(state["steps"])
        self.max_cycles = int(state.get("max_cycles", self.max_cycles))  # older states have none
        self._rng.bit_generator.state = json.loads(str(state["rng"]))
        self.agents = list(self.possible_agents) if state["running"] else []

    def __getstate__(self) -> dict[str, Any]:
        return {**EzPickle.__getstate__(self), "state": self.get_state()}

    def __setstate__(self, pickled: dict[str, Any]) -> None:
        EzPickle.__setstate__(self, pickled)
        self.set_state(pickled["state"])

    def _take(self, result: tuple[Any, dict[str, Any]]) -> None:
        self._battle = result[0]
        self._view = {key: np.asarray(value) for key, value in result[1].items()}

    def _shown(self, name: str) -> NDArray[Any]:
        if not self._view:
            raise RuntimeError("There is no battle yet. Call reset() first.")
        return self._view[name]

    def _checked(self, agent: str, actions: dict[str, int]) -> int:
        if agent not in actions:
            raise ValueError(f"No action for {agent}: expected one for each of {', '.join(self.agents)}.")
        n_actions = int(self._action_spaces[agent].n)
        try:
            number = operator.index(actions[agent])
        except TypeError:
            number = -1
        if not 0 <= number < n_actions:
            raise ValueError(
                f"{agent}: action {actions[agent]!r} is not one of 0 .. {n_actions - 1}. "
                f"observation['action_mask'] says which are legal; {STOP} always is."
            )
        return number

    def _observe(self) -> dict[str, Observation]:
        seen, masks = self._view["observations"], self._view["masks"]
        return {a: {"observation": seen[i], "action_mask": masks[i]} for i, a in enumerate(self.possible_agents)}

    def _infos(self, decided: bool, late: bool) -> ByAgent:
        view = self._view
        enemies, alive = int(view["enemies"]), view["alive"]
        team: dict[str, Any] = {
            "battle_won": decided and enemies == 0 and bool(alive.any()),
            "dead_allies": int((~alive).sum()),
            "dead_enemies": self._simulator.n_enemies - enemies,
        }
        if late:
            team["TimeLimit.truncated"] = True
        return {
            agent: {
                **team,
                "action_mask": view["masks"][i],
                "alive": bool(alive[i]),
                "illegal_action": bool(view["illegal"][i]),
            }
            for i, agent in enumerate(self.possible_agents)
        }
