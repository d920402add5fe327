"""Evaluation of every agent while training: SB3's ``EvalCallback`` would mix them, or see the leader only."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import (
    VecEnv,
    VecMonitor,
    VecNormalize,
    is_vecenv_wrapped,
    sync_envs_normalization,
)

from sb3_pr.bounds import bound, longest
from sb3_pr.envs.columns import is_team
from sb3_pr.envs.parallel import TeamMonitor
from sb3_pr.eval_envs import as_trained, made, of_its_own
from sb3_pr.evaluation import evaluate_agents
from sb3_pr.logs import name_of


class AgentEvalCallback(EvalCallback):
    """SB3's ``EvalCallback``, which evaluates the leader, and every agent under ``eval/agent_i/``.

    In a PettingZoo environment all agents act together, and the mean over agents stands where the leader's would.
    ``agent_returns`` holds the evaluations so far: a list of (n_agents, n_eval_episodes) arrays. Of a model of several
    teams it evaluates every agent (``eval/team_t/agent_i/``) and nobody leads: (n_teams, n_agents, n_eval_episodes).
    For the other parameters see SB3.

    :param eval_env: one env, or any number other than ``n_agents``; or a PettingZoo ParallelEnv, a VecEnv of one (of
        the model's own a copy is used); or a function that makes one
    :param max_steps: of one episode, see :func:`sb3_pr.evaluate_agents`: an EndlessEpisodeError after that
    """

    def __init__(self, eval_env: Any, *args: Any, max_steps: int | None = None, **kwargs: Any) -> None:
        env = made(eval_env)
        self._team = is_team(env)
        if self._team and not (is_vecenv_wrapped(env, VecMonitor) or env.env_is_wrapped(Monitor)[0]):
            env = _monitored(env)
        super().__init__(env, *args, **kwargs)
        self.agent_returns: list[np.ndarray] = []
        self._found: list[list[float]] = []
        self.max_steps = longest(self.eval_env, max_steps)

    def _init_callback(self) -> None:
        if self._several and (self.best_model_save_path or self.log_path or self.callback_on_new_best or self.callback):
            raise ValueError(
                "AgentEvalCallback of a model of several teams records every team's returns and chooses no best one. "
                "Leave out best_model_save_path, log_path, callback_on_new_best and callback_after_eval."
            )
        if self._team:
            self.eval_env = of_its_own(self.model, self.eval_env)
        else:
            self.eval_env = as_trained(self.model, self.eval_env)
        super()._init_callback()

    def _on_step(self) -> bool:
        if self.eval_freq <= 0 or self.n_calls % self.eval_freq:
            return super()._on_step()
        self._look = bound(self.max_steps)
        if self._team:
            return self._evaluate_team()
        if self.model.get_vec_normalize_env() is not None:
            sync_envs_normalization(self.training_env, self.eval_env)
        assert isinstance(self.model, OffPolicyAlgorithm)
        number, limit = self.n_eval_episodes, self.max_steps
        returns = evaluate_agents(self.model, self.eval_env, number, self.deterministic, vote=False, max_steps=limit)
        if self._several:
            self.agent_returns.append(np.array([list(team) for team in returns]))
            self._record([agent for team in returns for agent in team])
            return True
        self.agent_returns.append(np.stack(returns))
        self._record(returns)
        return super()._on_step()

    @property
    def _several(self) -> bool:
        return getattr(self.model, "n_teams", 1) > 1

    def _evaluate_team(self) -> bool:
        """SB3's evaluation, in which each column plays its own episodes."""
        self._found = [[] for _ in range(self.eval_env.num_envs)]
        of_each, self.n_eval_episodes = self.n_eval_episodes, self.n_eval_episodes * self.eval_env.num_envs
        try:
            return super()._on_step()
        finally:
            self.n_eval_episodes = of_each
            if min(map(len, self._found)) == of_each:
                self.agent_returns.append(np.array(self._found))

    def _log_success_callback(self, locals_: dict[str, Any], globals_: dict[str, Any]) -> None:
        super()._log_success_callback(locals_, globals_)
        self._look(locals_, globals_)
        if self._team and "episode" in locals_["info"]:
            self._found[locals_["i"]].append(float(locals_["info"]["episode"]["r"]))
            if all(self._found):
                self._record(self._found)

    def _record(self, returns: list[Any]) -> None:
        size = getattr(self.model, "n_agents", 1)
        n_teams = getattr(self.model, "n_teams", 1)
        means = {agent: float(np.mean(rewards)) for agent, rewards in enumerate(returns)}
        means = {agent: mean for agent, mean in means.items() if np.isfinite(mean)}  # of a team that ended: NaN
        for agent, mean in means.items():
            self.logger.record(f"eval/{name_of(agent, size, n_teams)}/mean_reward", mean)
        self.logger.record("eval/mean_reward_of_agents", float(np.mean([*means.values()])))


def _monitored(env: VecEnv) -> VecEnv:
    """VecMonitor within VecNormalize: it tells the returns as the environment gives them."""
    if not isinstance(env, VecNormalize):
        return TeamMonitor(env)
    env.venv = _monitored(env.venv)
    return env
