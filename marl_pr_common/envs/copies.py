"""Copies of a gymnasium task as the agents of one PettingZoo ParallelEnv: agents that never meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from pettingzoo import ParallelEnv


class Copies(ParallelEnv[str, Any, Any]):  # type: ignore[misc]
    """Agent i acts in the i-th copy. An agent whose episode has ended leaves ``agents``, and waits for the others.

    :param make_env: returns a new gymnasium env
    :param n_agents: how many
    :param restart: whether who has ended begins anew with the next step, in which it does not act, instead of waiting:
        then an agent learns as much as if it were alone, and no episode of the team ends but when all end at once
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "marl_pr_copies", "render_modes": [], "is_parallelizable": True}

    def __init__(self, make_env: Callable[[], Any], n_agents: int, restart: bool = False) -> None:
        self.copies = [make_env() for _ in range(n_agents)]
        self.restart = restart
        self.render_mode = None
        self.possible_agents = [f"agent_{i}" for i in range(n_agents)]
        self.agents: list[str] = []
        self._index = {agent: i for i, agent in enumerate(self.possible_agents)}

    def observation_space(self, agent: str) -> Any:
        """That of the agent's copy."""
        return self.copies[self._index[agent]].observation_space

    def action_space(self, agent: str) -> Any:
        """That of the agent's copy."""
        return self.copies[self._index[agent]].action_space

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode in every copy; each has a seed of its own, made from ``seed``."""
        n = len(self.copies)
        seeds = [None] * n if seed is None else [int(own) for own in np.random.SeedSequence(seed).generate_state(n)]
        self.agents = list(self.possible_agents)
        found = [env.reset(seed=own, options=options) for env, own in zip(self.copies, seeds, strict=True)]
        parts = ({agent: part[k] for agent, part in zip(self.agents, found, strict=True)} for k in (0, 1))
        return next(parts), next(parts)

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        """Everybody's step: observations, rewards, terminations, truncations and infos by agent."""
        answer: tuple[dict[str, Any], ...] = ({}, {}, {}, {}, {})
        going_on = []
        for agent, env in zip(self.possible_agents, self.copies, strict=True):
            if agent in self.agents:
                found = tuple(env.step(actions[agent]))
                if len(found) != len(answer):
                    raise ValueError(
                        f"step() of {type(env.unwrapped).__name__} returned {len(found)} values: gymnasium's API has "
                        "observation, reward, terminated, truncated, info."
                    )
                for part, value in zip(answer, found, strict=True):
                    part[agent] = value
            elif self.restart:
                answer[0][agent], answer[4][agent] = env.reset()
            if agent in answer[0] and not (answer[2].get(agent) or answer[3].get(agent)):
                going_on.append(agent)
        self.agents = going_on
        return answer

    def close(self) -> None:
        """Close all copies."""
        for env in self.copies:
            env.close()
