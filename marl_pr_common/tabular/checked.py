"""A user's ParallelEnv, behind which nothing is left to trust: all that it says is checked by type and value.

Every path that steps an environment of others goes through ``CheckedEnv``; learners see arrays over all possible
agents, and only values that index their tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from marl_pr_common.config.arrays import Ints
from marl_pr_common.envs.answers import Answers, ends_of, info_of, refuse_late_reward, require_reward
from marl_pr_common.envs.spaces import ObsSpace
from marl_pr_common.envs.values import mask_of, reward_of
from marl_pr_common.tabular.foreign import actions_of, agents_of
from marl_pr_common.tabular.moment import Moment
from marl_pr_common.tabular.views import MASK, view_of

IDLE = 1_000
"""Steps in a row without an observation of anybody after which an environment counts as stuck."""


class CheckedEnv:
    """One environment.

    :param env: a PettingZoo ParallelEnv
    :param ordinal: whether features of plain ``Discrete`` and ``MultiDiscrete`` spaces are ordered
    :raises ValueError: if it is no ParallelEnv, or a space is not discrete
    """

    def __init__(self, env: Any, ordinal: bool = False) -> None:
        self.env = env
        self.agents = agents_of(env)
        self._answers = Answers(env, self.agents)
        self._index = {agent: i for i, agent in enumerate(self.agents)}
        self.views = [view_of(env, agent, ordinal) for agent in self.agents]
        self.n_actions, self._first = actions_of(env, self.agents)
        self._spaces = self._given_spaces()
        self._check_spaces()
        self.masked = any(view.masked for view in self.views)
        """Whether an action mask was ever given."""
        self.last: Ints = np.zeros(len(self.agents), dtype=np.int64)
        """The action that each agent took last."""
        self._order: list[Any] = []
        self._idle = 0

    def shared_spaces(self) -> list[ObsSpace]:
        """What each agent sees of one global state.

        :raises ValueError: if agents have other features, so that their states can't be compared
        """
        first = self.views[0]
        for view in self.views:
            if view.space.sizes != first.space.sizes:
                raise ValueError(
                    f"{first.agent} observes {first.described} and {view.agent} {view.described}: peers compare "
                    "states, so they need views of the same features. Give all agents the same space, or the "
                    "environment a method obs_space(agent) that returns ObsSpace(sizes, keep=what it sees)."
                )
        return [view.space for view in self.views]

    def reset(self, seed: int | None = None) -> Moment:
        """Begin an episode.

        :raises ValueError: if it has no agent, or anything is not what PettingZoo's API and the spaces say
        """
        observations, infos = self._answers.reset(**({} if seed is None else {"seed": seed}))
        self._check_spaces()
        self.last[:] = 0
        return self.recall(observations, infos)

    def recall(self, observations: Mapping[Any, Any], infos: Mapping[Any, Any]) -> Moment:
        """The moment before a first step, with these observations."""
        now = Moment.empty(len(self.agents), self.n_actions)
        self._idle = 0
        self._take_present(now)
        for i in np.flatnonzero(now.present):
            self._see(now, int(i), observations, infos, ended=False)
        return now

    def step(self, now: Moment, actions: Ints) -> Moment:
        """Send every present agent's action: its own choice, or while it waits the last one.

        :param now: what the last call returned
        :param actions: (n_agents,) in 0 .. n_actions - 1, read for the agents that act
        :raises ValueError: if anything is not what PettingZoo's API and the spaces say
        """
        acting = now.acting
        np.copyto(self.last, actions, where=acting)
        allowed = now.masks[np.arange(len(self.agents)), self.last]
        self.last[~allowed] = now.masks[~allowed].argmax(axis=1)
        joint = {agent: int(self.last[self._index[agent]]) + self._first[self._index[agent]] for agent in self._order}
        answer = self._answers.step(joint)
        after = Moment.empty(len(self.agents), self.n_actions)
        self._take_present(after)
        part = (now.present | after.present).tolist()
        for i, agent in enumerate(self.agents):
            if part[i]:
                self._take_agent(bool(acting[i]), after, i, answer)
            elif agent in answer[1]:
                refuse_late_reward(agent, reward_of(agent, answer[1][agent]))
        self._idle = 0 if after.seen.any() or not self._order else self._idle + 1
        if self._idle >= IDLE:
            raise ValueError(
                f"{self._answers.name} gave no observation of anybody in {IDLE} steps, and env.agents is "
                f"{self._order}: nobody can act. Give observations, or take the agents out of env.agents."
            )
        return after

    def _take_agent(self, acted: bool, after: Moment, i: int, answer: list[Mapping[Any, Any]]) -> None:
        observations, rewards, terminations, truncations, infos = answer
        agent = self.agents[i]
        reward = reward_of(agent, rewards[agent]) if agent in rewards else None
        over, cut = ends_of(agent, answer)
        ended = over or cut
        after.terminated[i], after.left[i], present = over, ended, bool(after.present[i])
        if ended and present:
            raise ValueError(
                f"agent {agent!r} is terminated or truncated, but still in env.agents. Take agents that end out of it "
                "(PettingZoo's API), or report False as long as an agent goes on."
            )
        if acted:
            require_reward(agent, answer, over)
        after.rewards[i] = reward or 0.0
        self._see(after, i, observations, infos, ended)
        if not present and agent not in terminations and agent not in truncations:
            after.seen[i] = False  # gone without a word: whether that state has a future is not known

    def _see(
        self, after: Moment, i: int, observations: Mapping[Any, Any], infos: Mapping[Any, Any], ended: bool
    ) -> None:
        """Fill in the state and the mask of one agent, if it is seen."""
        agent, view = self.agents[i], self.views[i]
        given = agent in observations and not (ended and observations[agent] is None)
        if not given and not after.present[i]:
            return
        mask = info_of(agent, infos).get(MASK)
        if given:
            observation, own = view.split(observations[agent])
            after.states[i] = view.state(observation)
            after.seen[i] = not after.terminated[i]
            mask = mask if own is None else own
        if mask is None or after.terminated[i]:
            return
        self.masked = True
        found = mask_of(agent, mask, self.n_actions)
        if found.any():
            after.masks[i] = found
        elif given and not ended:
            raise ValueError(
                f"agent {agent!r}: its action_mask allows no action. Allow one, or leave out its observation while it "
                "waits."
            )
        else:
            after.seen[i] = False

    def _take_present(self, now: Moment) -> None:
        """Read ``env.agents``."""
        self._order = self._answers.present()
        for agent in self._order:
            now.present[self._index[agent]] = True

    def _given_spaces(self) -> list[tuple[Any, Any]]:
        return [(self.env.observation_space(agent), self.env.action_space(agent)) for agent in self.agents]

    def _check_spaces(self) -> None:
        """Tables are as large as the spaces were at first."""
        for agent, now, first in zip(self.agents, self._given_spaces(), self._spaces, strict=True):
            for found, known in zip(now, first, strict=True):
                if found is not known and found != known:
                    raise ValueError(
                        f"agent {agent!r}: its space was {known} and is now {found}. A space must stay the same."
                    )
