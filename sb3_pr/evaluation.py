"""Returns of every agent: each alone on its own copy of a task, or all together where they share one world."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, unwrap_vec_normalize

from sb3_pr.bounds import EndlessEpisodeError, bound, longest
from sb3_pr.envs.columns import is_factory, is_team
from sb3_pr.envs.parallel import ABSENT
from sb3_pr.eval_envs import as_trained, made, of_its_own
from sb3_pr.networks.extraction import lone_policy
from sb3_pr.voting import Voter, can_vote


class AgentReturns(list[np.ndarray]):
    """Undiscounted returns of every agent, a list of one array (n_eval_episodes,) each; and of the team as deployed.

    leader: of the agent that answers for the team; None where all agents act together in one world
    vote: of the team that decides by vote, see :meth:`sb3_pr.TD3PR.predict`; None there, and if it was not asked for
    """

    def __init__(self, members: Iterable[np.ndarray], leader: np.ndarray | None = None, vote: np.ndarray | None = None):
        super().__init__(members)
        self.leader = leader
        self.vote = vote

    @property
    def members(self) -> list[np.ndarray]:
        """Every agent's."""
        return list(self)

    @property
    def best_member(self) -> np.ndarray:
        """Those of the agent with the best mean."""
        return max(self, key=np.mean)


def evaluate_agents(
    model: OffPolicyAlgorithm,
    env: Any,
    n_eval_episodes: int = 10,
    deterministic: bool = True,
    seed: int | None = None,
    vote: bool = True,
    max_steps: int | None = None,
) -> AgentReturns:
    """Undiscounted returns of every agent, on the same episodes if ``seed`` is given.

    In a PettingZoo environment all act together, each in its own role; elsewhere each agent is alone in ``env``, and
    after them the team, which decides by vote. Of a model that is trained in a VecNormalize observations are normalised
    with its statistics, unless ``env`` has a VecNormalize of its own.

    :param model: a group, or any upstream model, which counts as one agent
    :param env: a gymnasium id, env or VecEnv of the kind that one agent acts in; or a PettingZoo ParallelEnv, a VecEnv
        of one (the model's own included: it is copied, so that training goes on undisturbed); or a function that makes
        one
    :param seed: resets ``env`` before each agent's episodes
    :param vote: whether the vote is played, too: as many episodes as for one more agent
    :param max_steps: of one episode, after which it counts as endless; by default :data:`LONGEST` or the task's own
        time limit, whichever is longer, and :data:`LONGEST_OF_TEAM` in a PettingZoo environment
    :return: one array (n_eval_episodes,) per agent, and ``members``, ``best_member``, ``leader``, ``vote``; of a model
        of several teams a list of these, team by team, NaN for one that has ended
    :raises ValueError: if there is no episode to play, or the environment has another number of agents, or is the
        model's own and cannot be copied
    :raises EndlessEpisodeError: if an episode doesn't end
    """
    if n_eval_episodes < 1:
        raise ValueError(f"n_eval_episodes={n_eval_episodes}: expected at least 1.")
    if getattr(model, "n_teams", 1) > 1:
        return _evaluate_teams(model, env, n_eval_episodes, deterministic, seed, vote, max_steps)  # type: ignore
    given, env = env, made(env)
    try:
        if is_team(env):
            own = of_its_own(model, env)
            return AgentReturns(evaluate_team(model, own, n_eval_episodes, seed, deterministic, max_steps))
        return _evaluate_each(model, env, n_eval_episodes, deterministic, seed, vote, max_steps)
    finally:
        if isinstance(given, str) or is_factory(given):
            env.close()


def _evaluate_teams(model: Any, env: Any, n_eval_episodes: int, *options: Any) -> list[AgentReturns]:
    nothing = np.full(n_eval_episodes, np.nan)
    return [
        AgentReturns([nothing] * model.n_agents, nothing, nothing)
        if team in model.ended
        else evaluate_agents(model.team(team, replay=False), env, n_eval_episodes, *options)
        for team in range(model.n_teams)
    ]


def _evaluate_each(
    model: OffPolicyAlgorithm, env: Any, n_episodes: int, deterministic: bool, seed: Any, vote: bool, max_steps: Any
) -> AgentReturns:
    venv = as_trained(model, env if isinstance(env, VecEnv) else DummyVecEnv([lambda: Monitor(env)]))
    limit = longest(venv, max_steps)

    def play(policy: Any) -> np.ndarray:
        if seed is not None:
            venv.seed(seed)
        options = {"deterministic": deterministic, "return_episode_rewards": True, "warn": False}
        rewards, _ = evaluate_policy(policy, venv, n_episodes, callback=bound(limit), **options)
        return np.asarray(rewards, dtype=np.float64)

    members = [play(policy) for policy in agent_policies(model)]
    if len(members) == 1:
        return AgentReturns(members, members[0], members[0])
    elected = play(Voter(model)) if vote and can_vote(model) else None
    return AgentReturns(members, members[model.leader], elected)  # type: ignore[attr-defined]


def agent_policies(model: OffPolicyAlgorithm) -> list[BasePolicy]:
    """A policy for each agent; the model's own if it is one agent."""
    n_agents = getattr(model, "n_agents", 1)
    return [model.policy] if n_agents == 1 else [lone_policy(model, agent) for agent in range(n_agents)]


def evaluate_team(
    model: Any,
    venv: VecEnv,
    n_episodes: int,
    seed: int | None = None,
    deterministic: bool = True,
    max_steps: int | None = None,
) -> list[NDArray[np.float64]]:
    """Undiscounted returns of every agent in episodes in which all act together.

    :param model: a group with one agent per column
    :param seed: of the first episode; the others go on from there
    :return: one array (n_episodes,) per agent
    :raises EndlessEpisodeError: if nobody's episode ends within ``max_steps``, by default :data:`LONGEST_OF_TEAM`
    """
    if seed is not None:
        venv.seed(seed)
    quiet, limit = 0, longest(venv, max_steps)
    scaled = unwrap_vec_normalize(venv)
    observations: Any = venv.reset()
    returns: list[list[float]] = [[] for _ in range(venv.num_envs)]
    running, counted = np.zeros(venv.num_envs), np.zeros(venv.num_envs, dtype=bool)
    while min(map(len, returns)) < n_episodes:
        actions, _ = model.predict(observations, deterministic=deterministic)
        observations, rewards, ended, infos = venv.step(actions)
        dones = ended.astype(bool)  # SuperSuit's are 0 and 1
        running += rewards if scaled is None else scaled.get_original_reward()
        for agent in np.flatnonzero(dones):
            if not (counted[agent] and infos[agent].get(ABSENT)):  # who ended before the others waits, and ends again
                returns[agent].append(float(running[agent]))
        quiet = 0 if dones.any() else quiet + 1
        if quiet >= limit:
            raise EndlessEpisodeError.after(limit, "no agent's episode had ended")
        counted = ~np.all(dones) & (counted | dones)
        running[dones] = 0.0
    return [np.array(found[:n_episodes]) for found in returns]
