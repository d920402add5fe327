"""SMAX in EPyMARL: ``--env-config=smax with env_args.map_name=3s_vs_5z``, for the episode and the parallel runner.

jax is imported where an environment is made: in the workers of a parallel run, never in the process that forks them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epymarl_pr.launch.errors import UsageError
from marl_pr_common.envs.jax_engine import require
from marl_pr_common.envs.smax.maps import limit_of, map_of

NAME = "smax"
Results = tuple[list[NDArray[np.float32]], Any, bool, bool, dict[str, Any]]


def config(host: Mapping[str, Any]) -> dict[str, Any]:
    """What ``src/config/envs/smax.yaml`` would hold, if EPyMARL had one.

    :param host: the checkout's ``smaclite.yaml``, of which the intervals of tests and logs are kept
    """
    # time_limit null: SMAC's own limit of the map
    return {**host, "env": NAME, "env_args": {"map_name": None, "time_limit": None}}


def check(config: Mapping[str, Any]) -> None:
    """Whether the environment can be made, without making it: that takes seconds, and jax.

    :param config: the whole configuration of the run
    :raises UsageError: naming what is missing or wrong
    """
    env_args = config.get("env_args") or {}
    if config.get("render"):
        raise UsageError(f"render=True with env={NAME}: SMAX is not drawn. Leave it out.")
    try:
        require()
    except ImportError as error:
        raise UsageError(f"env={NAME}: {error}") from error
    if env_args.get("map_name") is None:
        raise UsageError("env_args.map_name is missing: ... with env_args.map_name=3s_vs_5z")
    try:
        limit_of(map_of(env_args["map_name"]), env_args.get("time_limit"))
    except ValueError as error:
        text = str(error).replace("SMAX: max_cycles", "env_args.time_limit")
        raise UsageError(text) from error


def make(**arguments: Any) -> SMAXEnv:
    """What EPyMARL's ``envs.REGISTRY["smax"]`` is."""
    return SMAXEnv(**arguments)


def quiet() -> None:
    """EPyMARL shows the messages of every package down to DEBUG; jax has hundreds."""
    logging.getLogger("jax").setLevel(logging.WARNING)


class SMAXEnv:
    """A battle with the methods of EPyMARL's ``MultiAgentEnv``, as its ``SMACWrapper`` has them.

    ``info`` of the last step holds ``battle_won``, ``dead_allies`` and ``dead_enemies``, which EPyMARL logs as means
    over episodes, and ``episode_limit=True`` where the time limit ended the battle: that end is not terminal.

    :param map_name: such as "3s_vs_5z"
    :param seed: of the start positions and of the simulator
    :param time_limit: steps per episode; None for SMAC's own
    :param common_reward: one reward for the team; else a list with the same one for every agent
    :param reward_scalarisation: changes nothing: the reward is the team's already, on SMAC's scale
    """

    def __init__(
        self,
        map_name: str,
        seed: int | None = None,
        time_limit: int | None = None,
        common_reward: bool = True,
        reward_scalarisation: str = "sum",
    ) -> None:
        from marl_pr_common.envs.smax.battle import SMAX

        quiet()
        self._env = SMAX(map_name, time_limit)
        self._names = self._env.possible_agents
        self._common = common_reward
        self._stats = {"battles_won": 0, "battles_game": 0, "timeouts": 0}
        self.n_agents = len(self._names)
        self.episode_limit = self._env.max_cycles
        self._env.seed(seed)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a battle; observations per agent, and an empty dictionary."""
        self._env.reset(seed=seed, options=options)
        return self.get_obs(), {}

    def step(self, actions: Sequence[int]) -> Results:
        """One action per agent in; observations, reward, terminated, truncated and info out."""
        orders = {name: int(action) for name, action in zip(self._names, actions, strict=True)}
        _, rewards, ended, cut, infos = self._env.step(orders)
        first = self._names[0]
        info = {key: infos[first][key] for key in ("battle_won", "dead_allies", "dead_enemies")}
        if cut[first]:
            info["episode_limit"] = True
        if ended[first] or cut[first]:
            self._stats["battles_won"] += info["battle_won"]
            self._stats["battles_game"] += 1
            self._stats["timeouts"] += cut[first]
        reward = rewards[first] if self._common else [rewards[name] for name in self._names]
        return self.get_obs(), reward, ended[first], cut[first], info

    def get_obs(self) -> list[NDArray[np.float32]]:
        """Observations in the agents' order, (obs_dim,) each."""
        return list(self._env.observations())

    def get_obs_agent(self, agent_id: int) -> NDArray[np.float32]:
        """Observation of one agent, (obs_dim,)."""
        return self.get_obs()[agent_id]

    def get_obs_size(self) -> int:
        """Length of an observation."""
        return int(self._env.observations_shape[1])

    def get_state(self) -> NDArray[np.float32]:
        """All units, (state_dim,)."""
        return self._env.state()

    def get_state_size(self) -> int:
        """Length of the state."""
        return int(self._env.state_space.shape[0])

    def get_avail_actions(self) -> list[list[int]]:
        """Legal actions, 1 or 0, per agent."""
        found: list[list[int]] = self._env.masks().tolist()
        return found

    def get_avail_agent_actions(self, agent_id: int) -> list[int]:
        """Legal actions of one agent."""
        return self.get_avail_actions()[agent_id]

    def get_total_actions(self) -> int:
        """Number of actions."""
        return int(self._env.action_space(self._names[0]).n)

    def get_env_info(self) -> dict[str, int]:
        """Sizes that EPyMARL builds its networks and buffers from."""
        return {
            "state_shape": self.get_state_size(),
            "obs_shape": self.get_obs_size(),
            "n_actions": self.get_total_actions(),
            "n_agents": self.n_agents,
            "episode_limit": self.episode_limit,
        }

    def get_stats(self) -> dict[str, Any]:
        """Battles fought, won and timed out since the environment was made, and the share that was won."""
        return {**self._stats, "win_rate": self._stats["battles_won"] / max(self._stats["battles_game"], 1)}

    def seed(self, seed: int | None = None) -> None:
        """Restart the random stream."""
        self._env.seed(seed)

    def render(self) -> None:
        """:raises ValueError: always; SMAX is not drawn here"""
        self._env.render()

    def save_replay(self) -> None:
        """SMAX keeps no replays."""

    def close(self) -> None:
        """Nothing to close."""
        self._env.close()
