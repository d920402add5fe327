"""PettingZoo ParallelEnvs as SB3 VecEnvs: column i is agent i, all in one world.

reset, step: the agents that the environment lists act, each in its own Box; what it returns goes to their columns
an agent's end is its column's ``done``: a time limit if it was truncated, terminal if it was terminated
then its column waits, marked in the infos, until all have ended and the team is reset
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from marl_pr_common.envs.answers import Answers, ends_of, info_of, require_reward
from sb3_pr.envs import padding

ABSENT = "marl_pr.absent"
"""Key of an info: the agent took no part in this step."""
NO_TRANSITION = "marl_pr.no_transition"
"""Key of an info: the agent was absent, or not shown one end of the step: there is nothing to learn from."""


class TeamVecEnv(VecEnv):
    """The agents of a ParallelEnv as columns. The environment is used as it is, not copied, as SB3 uses a VecEnv.

    An agent that is not there sees zeros and earns 0. ``get_attr``, ``env_method`` and ``render`` reach the one
    environment: called once, the answer stands for every column that was asked.

    :param env: the ParallelEnv
    :raises ValueError: if it has no fixed agents, or spaces that have no common one; says which
    """

    def __init__(self, env: Any) -> None:
        self.env = env
        self.names = _names(env)
        self.agent_names = [str(name) for name in self.names]
        self._answers = Answers(env, self.names)
        observations = {agent: _space(env, "observation", agent) for agent in self.names}
        actions = {agent: _space(env, "action", agent) for agent in self.names}
        action_space = padding.common_actions(actions)
        super().__init__(len(self.names), padding.common_observations(observations), action_space)
        self._fits = [padding.Fit(name, space, self.observation_space) for name, space in observations.items()]
        self._own: list[Any] = [padding.OwnActions(space, action_space) for space in actions.values()]  # type: ignore
        self.own_action_spaces = [own.space(action_space) for own in self._own]
        """Each agent's own bounds, in the common shape."""
        self.own_action_sizes = [int(np.prod(space.shape or ())) for space in actions.values()]
        self._seed: int | None = None
        self._warned = self._late = False

    def reset(self) -> VecEnvObs:
        options = {"options": self._options[0]} if self._options[0] else {}
        seed, self._seed = self._seed, None
        self._reset_options()
        return self._reset(seed=seed, **options)

    def _reset(self, **arguments: Any) -> VecEnvObs:
        observations, infos = self._answers.reset(**arguments)
        self._over = [False] * self.num_envs
        self._cut = [False] * self.num_envs
        self._last = [padding.zeros(self.observation_space)] * self.num_envs
        self._known = [agent in observations for agent in self.names]
        self.reset_infos = [dict(info_of(agent, infos)) for agent in self.names]
        result: VecEnvObs = padding.stacked([self._seen(column, observations) for column in range(self.num_envs)])
        return result

    def own_actions(self, actions: np.ndarray) -> dict[str, np.ndarray]:
        """Rows of actions, (n_agents, *action_space.shape), as every agent's action in its own Box."""
        rows = zip(self.names, self._own, np.asarray(actions), strict=True)
        return {agent: own(row) for agent, own, row in rows}

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = self.own_actions(actions)

    def step_wait(self) -> VecEnvStepReturn:
        acting = self._answers.present()
        found = self._answers.step({agent: self._actions[agent] for agent in acting})
        present = self._answers.present()
        infos = [dict(info_of(agent, found[4])) for agent in self.names]
        rewards, dones = np.zeros(self.num_envs, dtype=np.float32), np.zeros(self.num_envs, dtype=bool)
        rows = []
        for column, agent in enumerate(self.names):
            row = self._seen(column, found[0])
            if agent in acting and not self._over[column]:
                self._take(column, found, present, row, infos[column])
                rewards[column], dones[column] = _number(found[1].get(agent, 0.0), agent), self._over[column]
            else:
                if agent not in acting and agent not in present:
                    self._warn_of_late(agent, found[1].get(agent))
                self._known[column] = agent in found[0]
                infos[column] |= {ABSENT: True, NO_TRANSITION: True}
            infos[column]["TimeLimit.truncated"] = bool(dones[column]) and self._cut[column]
            rows.append(padding.zeros(self.observation_space) if self._over[column] else row)
        if all(self._over) or not present:
            self._end(dones, infos)
            return self._reset(), rewards, dones, infos
        return padding.stacked(rows), rewards, dones, infos

    def _take(self, column: int, found: list[Any], present: list[Any], row: Any, info: dict[str, Any]) -> None:
        """One agent's part of a step in which it acted: whether it ended and how, and whether both ends are known."""
        agent = self.names[column]
        terminated, truncated = ends_of(agent, found)
        require_reward(agent, found, terminated)
        if agent not in present and not (terminated or truncated):
            truncated = True
            self._warn_of_leaving(agent)
        self._over[column], self._cut[column] = terminated or truncated, truncated and not terminated
        if self._over[column]:
            self._last[column] = info["terminal_observation"] = padding.copied(row)  # not the array of the next one
        known, self._known[column] = self._known[column], agent in found[0]
        if not known or not (self._known[column] or terminated):
            info[NO_TRANSITION] = True

    def _end(self, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        """Before the team's reset: the columns that wait end with it, as what their agents ended as."""
        for column, info in enumerate(infos):
            if not dones[column]:
                dones[column] = True
                info |= {"TimeLimit.truncated": self._cut[column], "terminal_observation": self._last[column]}

    def _seen(self, column: int, observations: Mapping[str, Any]) -> Any:
        agent, there = self.names[column], self.names[column] in observations
        return self._fits[column](observations[agent]) if there else padding.zeros(self.observation_space)

    def _warn_of_leaving(self, agent: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"agent {agent!r} left env.agents without termination or truncation: taken as a time limit. "
                "pettingzoo.test.parallel_api_test checks what an environment returns. (Said once.)",
                stacklevel=2,
            )

    def _warn_of_late(self, agent: str, reward: Any) -> None:
        """A team's reward may be given to all that ever were there: nobody is left to learn from it."""
        if not self._late and isinstance(reward, (int, float, np.number)) and reward and reward == reward:
            self._late = True
            warnings.warn(
                f"agent {agent!r}: the reward {reward} came after it had left, and is not counted. Pay it in the step "
                "in which it acts for the last time, or keep it in env.agents. (Said once.)",
                stacklevel=2,
            )

    def seed(self, seed: int | None = None) -> list[int | None]:
        """One world, one seed, of the next ``reset``."""
        self._seed = seed
        return [seed] * self.num_envs

    def close(self) -> None:
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [self._find(attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set where the environment has it: in the wrapper that has such an attribute, else in the environment."""
        layers = layers_of(self.env)
        owner = next((layer for layer in layers if attr_name in vars(layer)), layers[-1])
        setattr(owner, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        columns = list(self._get_indices(indices))
        return [self._find(method_name)(*method_args, **method_kwargs)] * len(columns) if columns else []

    def env_is_wrapped(self, wrapper_class: Any, indices: VecEnvIndices = None) -> list[bool]:
        wrapped = any(isinstance(layer, wrapper_class) for layer in layers_of(self.env))
        return [wrapped] * len(list(self._get_indices(indices)))

    def _find(self, name: str) -> Any:
        for layer in layers_of(self.env):
            if hasattr(layer, name):
                return getattr(layer, name)
        if name == "render_mode":  # PettingZoo's environments may leave it out
            return None
        raise AttributeError(f"{type(self.env).__name__} has no attribute {name!r}")

    def get_images(self) -> list[Any]:
        return [self.env.render()]


class TeamMonitor(VecMonitor):
    """SB3's ``VecMonitor``, for which an agent that waits for the team's reset plays no episode."""

    def __reduce__(self) -> Any:
        """To copy and pickle it: without what SB3's wrappers keep of their class, and the file that it writes to."""
        kept = {key: value for key, value in vars(self).items() if key not in ("class_attributes", "results_writer")}
        return type(self), (self.venv,), kept

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = super().step_wait()
        for column, info in enumerate(infos):
            if info.get(ABSENT):
                self.episode_lengths[column] = 0
                self.episode_count -= info.pop("episode", None) is not None
        return observations, rewards, dones, infos


def parallel_to_vec_env(env: Any) -> VecEnv:
    """A VecEnv with one column per agent; spaces are padded to a common size where they differ."""
    return TeamMonitor(TeamVecEnv(env))


def _names(env: Any) -> list[str]:
    try:
        names = list(env.possible_agents)
    except AttributeError:
        names = []
    if not names or len(set(names)) != len(names):
        raise ValueError(
            f"{type(env).__name__}.possible_agents is {names or 'missing or empty'}: every agent is a column of the "
            "VecEnv from the beginning. List all agents that may ever act there, once each."
        )
    return names


def _space(env: Any, what: str, agent: str) -> spaces.Space[Any]:
    method = getattr(env, f"{what}_space")
    if not callable(method):
        raise ValueError(
            f"{what}_space of {type(env).__name__} is {method!r}: expected a method that gives an agent's space, such "
            f"as lambda agent: self.{what}_spaces[agent]."
        )
    space = method(agent)
    if not isinstance(space, spaces.Space):
        raise ValueError(f"{what}_space({agent!r}) of {type(env).__name__} is {space!r}: expected a gymnasium space.")
    return space


def _number(reward: Any, agent: str) -> float:
    array = np.asarray(np.nan if reward is None else reward)
    if reward is None or array.size != 1 or array.dtype.kind not in "fiub":
        raise ValueError(f"the reward of agent {agent!r} is {reward!r}: expected one number.")
    return float(array.item())


def layers_of(env: Any) -> list[Any]:
    """The environment's wrappers from the outside in, and itself."""
    layers, inmost = [env], getattr(env, "unwrapped", env)
    while layers[-1] is not inmost:
        inner = vars(layers[-1]).get("env", vars(layers[-1]).get("aec_env"))
        if inner is None:
            break
        layers.append(inner)
    return layers
