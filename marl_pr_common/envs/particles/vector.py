"""Many predator-prey or cooperative navigation episodes at once, on JaxMARL's simulator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pr_common.envs.particles import prey
from marl_pr_common.envs.particles.jax_particles import After, particles
from marl_pr_common.envs.particles.task import ACTIONS, ParticleTeam
from marl_pr_common.envs.registry import make
from marl_pr_common.envs.vector import Moment


class ParticleVector:
    """A :class:`~marl_pr_common.envs.vector.VectorEnv`; row i is ``make(name, engine="jaxmarl")`` with ``seeds[i]``.

    :param name: "PredatorPrey-N" or "CooperativeNavigation-N"
    :param seeds: one per row
    :param options: other arguments of ``make``, with discrete actions
    :raises ValueError: for options that the environment refuses, or continuous actions
    :raises ImportError: without jax and JaxMARL
    """

    def __init__(self, name: str, seeds: Sequence[int | None], **options: Any) -> None:
        team = make(name, **{**options, "engine": "jaxmarl"})
        assert isinstance(team, ParticleTeam)
        if team.continuous_actions:
            raise ValueError("continuous_actions=True: rows of a vector take discrete actions. Leave it out.")
        self._team = team  # draws start positions, and knows the prey
        self._particles = particles(team.scene, batched=True)
        self.n_rows, self.n_agents, self.n_actions = len(seeds), len(team.possible_agents), len(ACTIONS)
        self.obs_dim = int(team.observation_space(team.possible_agents[0]).shape[0])
        self.state_dim = int(team.state_space.shape[0])
        self.max_cycles = team.max_cycles
        self.streams = [team.streams(seed) for seed in seeds]
        self._prey = getattr(team, "prey", None)
        self._steps = 0
        self._now: After

    def reset(self) -> Moment:
        """Draw start positions in every row."""
        starts = [self._team.start(stream) for stream, _ in self.streams]
        self._steps = 0
        self._now = self._particles.look(np.stack([p for p, _ in starts]), np.stack([v for _, v in starts]))
        return self._moment()

    def step(self, actions: NDArray[np.integer[Any]]) -> Moment:
        """Move all rows, and the prey in each.

        :param actions: (n_rows, n_agents)
        """
        movers = np.asarray(actions, np.int64)
        if self._prey is not None:
            movers = np.concatenate([movers, np.array(self._prey_actions())[:, None]], axis=1)
        self._steps += 1
        self._now = self._particles.step(self._now.positions, self._now.velocities, movers)
        return self._moment()

    def _prey_actions(self) -> list[int]:
        seen, scripts = self._now.prey, [script for _, script in self.streams]
        if self._prey is prey.flee:
            return prey.flee_together(seen, scripts)
        assert self._prey is not None
        return [self._prey(row, script) for row, script in zip(seen, scripts, strict=True)]

    def _moment(self) -> Moment:
        late = self._steps >= self.max_cycles
        observations = self._now.observations
        return Moment(
            observations=observations,
            states=observations.reshape(self.n_rows, -1),
            masks=np.ones((self.n_rows, self.n_agents, self.n_actions), np.int8),
            rewards=self._now.rewards,
            ended=np.zeros(self.n_rows, bool),
            cut=np.full(self.n_rows, late),
            facts={},
        )
