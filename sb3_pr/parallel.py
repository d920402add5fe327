"""PettingZoo ParallelEnvs as SB3 VecEnvs, through SuperSuit: column i is agent i. Imported only when one is used."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import supersuit
from pettingzoo.utils.wrappers import BaseParallelWrapper
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecMonitor


class Columns(BaseParallelWrapper):  # type: ignore[misc]
    """Keeps every agent in the episode until it ends, and tells time limits from ends.

    An agent that finishes early sees zeros and earns 0 until the others finish. (SuperSuit's ``black_death_v3`` does
    not serve here: it ends one step late, and reports time limits as terminations.) ``TimeLimit.truncated``, which
    SuperSuit's vector env leaves out, is put into the infos: without it SB3 would treat a time limit as an end.
    """

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        observations, infos = self.env.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        self._terminated = dict.fromkeys(self.agents, False)
        return self._filled(observations), {agent: infos.get(agent, {}) for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        alive = list(self.env.agents)
        observations, rewards, terminations, _, infos = self.env.step({a: actions[a] for a in alive})
        self._terminated.update({agent: self._terminated[agent] or terminations[agent] for agent in alive})
        over = not self.env.agents
        ended = {agent: over and (self._terminated[agent] or agent not in alive) for agent in self.agents}
        cut = {agent: over and not ended[agent] for agent in self.agents}
        infos = {
            agent: {**infos.get(agent, {}), **({"TimeLimit.truncated": cut[agent]} if over else {})}
            for agent in self.agents
        }
        rewards = {agent: float(rewards.get(agent, 0.0)) for agent in self.agents}
        return self._filled(observations), rewards, ended, cut, infos

    def _filled(self, observations: dict[str, Any]) -> dict[str, Any]:
        return {
            agent: observations[agent] if agent in observations else np.zeros_like(self.observation_space(agent).low)
            for agent in self.agents
        }


class SeededVecEnv(VecEnvWrapper):
    """SuperSuit's SB3 VecEnv with what SB3 expects of one: ``seed()``, and booleans for dones."""

    _pending_seed: int | None = None

    def seed(self, seed: int | None = None) -> list[int | None]:
        self._pending_seed = seed
        return [seed] * self.num_envs

    def reset(self) -> Any:
        seed, self._pending_seed = self._pending_seed, None
        observations, self.reset_infos = self.venv.venv.reset(seed=seed)  # type: ignore[attr-defined]
        return observations

    def step_wait(self) -> Any:
        observations, rewards, dones, infos = self.venv.step_wait()
        return observations, rewards, dones.astype(bool), infos


def parallel_to_vec_env(env: Any) -> VecEnv:
    """A VecEnv with one column per agent; spaces are padded to a common size where they differ."""
    agents = env.possible_agents
    if any(env.observation_space(agent) != env.observation_space(agents[0]) for agent in agents):
        env = supersuit.pad_observations_v0(env)
    if any(env.action_space(agent) != env.action_space(agents[0]) for agent in agents):
        env = supersuit.pad_action_space_v0(env)
    markov = supersuit.pettingzoo_env_to_vec_env_v1(Columns(env))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The `render_mode` attribute is not defined", UserWarning)
        return VecMonitor(SeededVecEnv(supersuit.concat_vec_envs_v1(markov, 1, base_class="stable_baselines3")))
