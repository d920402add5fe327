"""Many teams in one process: each learns as it would alone, and all are updated together.

Agents are numbered through, team after team: agent i of team t is column t * n_agents + i. Teams share nothing but the
step: their graphs are blocks on the diagonal, and each draws from generators of its own seed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, is_vecenv_wrapped

from marl_pr_common.reciprocity.guards import NonFiniteError
from sb3_pr import checks, ending, finite
from sb3_pr.algorithms.spec import Spec
from sb3_pr.envs.columns import is_team
from sb3_pr.networks.extraction import lone_agent
from sb3_pr.networks.observations import rows
from sb3_pr.networks.teams import lone_team
from sb3_pr.streams import Streams

COUNTED = ("buffer_size", "learning_starts")
"""Parameters that count the steps of all agents: what is not given is upstream's default, for every team."""
LARGEST = 2**32 - 1
"""Seed that NumPy's global generator takes."""


def seeds_of(n_teams: Any, seeds: Any, seed: Any) -> tuple[int, ...] | None:
    """Every team's seed; None for one team that ``seed`` is for.

    :raises ValueError: for numbers of teams or seeds that there can't be, or that contradict each other
    """
    if n_teams is not None and (isinstance(n_teams, bool) or not isinstance(n_teams, (int, np.integer)) or n_teams < 1):
        raise ValueError(f"n_teams={n_teams!r}: expected an integer >= 1.")
    if seeds is None:
        return None if n_teams in (None, 1) else consecutive(seed, int(n_teams))
    whole = isinstance(seeds, (Sequence, np.ndarray, range)) and not isinstance(seeds, (str, bytes))
    if not whole or not len(seeds) or not all(_is_seed(one) for one in seeds):
        raise ValueError(f"seeds={seeds!r}: expected a list of integers from 0 to {LARGEST}, one for each team.")
    if seed is not None:
        raise ValueError(f"seed={seed!r} with seeds={seeds!r}: give the first of consecutive seeds, or all of them.")
    if n_teams not in (None, len(seeds)):
        raise ValueError(f"n_teams={n_teams} with {len(seeds)} seeds, {list(seeds)}: each team has one. Leave one out.")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds={list(seeds)}: two teams of one seed would be one team twice. Give different ones.")
    return tuple(int(one) for one in seeds)


def consecutive(seed: Any, n_teams: int) -> tuple[int, ...]:
    """``seed``, ``seed + 1``, ...; fresh ones for None."""
    if seed is None:
        return tuple(int(one) for one in np.random.SeedSequence().generate_state(n_teams))
    if not _is_seed(seed) or seed + n_teams - 1 > LARGEST:
        raise ValueError(f"seed={seed!r} with n_teams={n_teams}: expected integers from 0 to {LARGEST}.")
    return tuple(range(int(seed), int(seed) + n_teams))


def _is_seed(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(0 <= value <= LARGEST)


def defaults_for(kwargs: dict[str, Any], upstream: type[Any], n_teams: int) -> None:
    """Have every team begin, and remember, as it would alone, where nothing else was asked for."""
    parameters = inspect.signature(upstream.__init__).parameters
    if n_teams > 1:
        kwargs.update({name: parameters[name].default * n_teams for name in COUNTED if name not in kwargs})


def check(model: Any) -> None:
    """:raises ValueError: for what several teams can't have"""
    if model.n_teams == 1:
        return
    what = f"n_teams={model.n_teams}"
    if model._leader is not None:
        raise ValueError(
            f"leader={model._leader!r} with {what}: each team has a leader of its own, model.team(t).leader."
        )
    if model.use_sde:
        raise ValueError(
            f"use_sde=True with {what}: gSDE draws its noise from the global generator, for all teams in turn. Use "
            "use_sde=False, or train the teams one by one."
        )
    if model.observation_masks is not None and model.n_agents == 1:
        raise ValueError(
            f"observation_masks with n_agents=1 and {what}: a lone agent has no peers who see more. Give it an "
            "environment with the coordinates that it shall see."
        )
    check_env(model.env, model.n_teams)


def check_env(env: VecEnv | None, n_teams: int) -> None:
    """:raises ValueError: for environments in which teams would meet, or can't be seeded apart"""
    if env is None:
        return
    if is_team(env):
        raise ValueError(
            f"n_teams={n_teams} with a PettingZoo environment: its agents share one world, and every team would need "
            "one of its own. Train the teams one by one, or pass an id, a function or a VecEnv of single environments."
        )
    if is_vecenv_wrapped(env, VecNormalize):
        raise ValueError(
            f"n_teams={n_teams} with VecNormalize: its statistics are of all columns, so that the teams would learn "
            "from each other. Normalise each environment by itself (gymnasium.wrappers.NormalizeObservation)."
        )
    base = env.unwrapped
    if type(base).seed is not VecEnv.seed:
        raise ValueError(
            f"n_teams={n_teams} with {type(base).__name__}, which is seeded in a way of its own: column by column, "
            "each by its team's seed, is not possible. Use SB3's make_vec_env, DummyVecEnv or SubprocVecEnv."
        )


def one_team(model: Any, what: str) -> None:
    """:raises ValueError: if there are several teams, of which one would have to be named"""
    if model.n_teams > 1:
        raise ValueError(f"{what} of a model with n_teams={model.n_teams}: whose? Use model.team(t).{what}.")


class StackedTeams(OffPolicyAlgorithm):
    """Mixin of ``MultiAgent``: what several teams draw for themselves, and how one is taken out."""

    spec: ClassVar[Spec]
    n_agents: int
    """Of one team."""
    n_teams: int = 1  # models saved before there were teams have no value of their own
    seeds: Sequence[int] | None = None
    """Each team's; None with one team, whose is ``seed``."""
    streams: Streams | None = None
    ended: Mapping[int, str] = MappingProxyType({})
    """Teams that were not finite any more, and why; the others went on."""

    @property
    def n_columns(self) -> int:
        """Agents of all teams: columns of the VecEnv."""
        return self.n_agents * self.n_teams

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, whose buffer draws with the copy's generators: by itself a buffer is copied without any."""
        self.__dict__.update(state)
        if self.streams is not None and self.replay_buffer is not None:
            self.replay_buffer.streams = self.streams  # type: ignore[attr-defined]

    def _own_streams(self) -> AbstractContextManager[None]:
        """Within it what is made and drawn is drawn with the teams' generators."""
        return nullcontext() if self.streams is None else self.streams.active()

    def _begin_streams(self) -> None:
        if self.n_teams > 1:
            self.seeds = tuple(self.seeds or consecutive(self.seed, self.n_teams))
            self.seed = self.seeds[0] if self.seed is None else self.seed
            self.ended = {int(team): why for team, why in self.ended.items()}  # JSON's keys are text
            self.streams = Streams(self.seeds, self.n_agents, self.device, self.action_space)

    def set_random_seed(self, seed: int | None = None) -> None:
        """SB3's; of several teams it is the first one's seed, and the others' follow."""
        super().set_random_seed(seed)
        if self.streams is None or self.seeds is None or seed is None:
            return
        if seed != self.seeds[0]:
            self.seeds = consecutive(seed, self.n_teams)
        self.streams.seed(self.seeds)
        if self.env is not None:
            self.env.unwrapped._seeds = [team + agent for team in self.seeds for agent in range(self.n_agents)]

    def _look_at(self, action: Any, observations: Any, rewards: Any, dones: Any, infos: Any) -> tuple[Any, Any, Any]:
        """Look at what the environments returned; of several teams only that one ends which it concerns."""
        while True:
            seen = ending.cleaned(self, action, observations, rewards, infos)
            try:
                finite.transition(self, *seen, dones, infos)
                return seen
            except NonFiniteError as error:
                ending.end(self, [error.agent], error)

    def _look_at_first(self) -> None:
        """Look at the observations after a reset, likewise."""
        while True:
            self._last_obs = ending.blanked(self, self._last_obs)
            try:
                return finite.first_observation(self)
            except NonFiniteError as error:
                ending.end(self, [error.agent], error)

    def set_env(self, env: Any, force_reset: bool = True) -> None:
        """SB3's.

        :raises ValueError: for an environment that several teams can't be trained in
        """
        if self.n_teams > 1:
            check_env(env, self.n_teams)
        super().set_env(env, force_reset)

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.streams is None:
            return super()._sample_action(learning_starts, action_noise, n_envs)
        noise: Any = action_noise and functools.partial(self.streams.noise, action_noise)
        space = self.action_space
        try:
            if self.num_timesteps < learning_starts:
                self.action_space = self.streams.warm_up_space(space)
            with self.streams.active():
                return super()._sample_action(learning_starts, noise, n_envs)
        finally:
            self.action_space = space

    def _check_rows(self, observation: Any) -> None:
        """:raises ValueError: for observations that do not come one per agent of all teams"""
        if self.n_teams > 1 and (found := rows(self.policy.obs_to_tensor(observation)[0])) != self.n_columns:
            raise ValueError(
                f"predict() of {found} observation(s), but n_teams={self.n_teams}: {self.n_columns} are one for every "
                "agent of every team, and no team answers for the others. Use model.team(t).predict(...)."
            )

    def agent(self, index: int) -> OffPolicyAlgorithm:
        """Agent ``index`` as a plain upstream model with its weights and optimiser state: to deploy, save, share.

        :raises ValueError: if there is no such agent, or there are several teams: ``team(t).agent(index)``
        """
        one_team(self, f"agent({index!r})")
        checks.leader(index, self.n_agents, name="index")
        return lone_agent(self, index)

    def team(self, index: int, replay: bool = True) -> Any:
        """Team ``index`` of ``n_teams`` as a model of its own, of the same class: it learns on, with its replay data.

        It has no environment yet (``set_env``), and from then on draws from the global generators, as any lone model.

        :param replay: whether it gets a copy of its part of the replay buffer
        :raises ValueError: if there is no such team
        """
        checks.leader(index, self.n_teams, name="index", what="a team")
        return lone_team(self, int(index), replay)
