"""Navigation, Landmarks and Blocker in the form that EPyMARL's gymma wrapper takes: discrete teams that are learnt in
minutes. Their rules stand in docs/tabular.md and :mod:`marl_pr_common.envs`.

An agent sees its features one-hot. Once it has left it sees zeros, is paid 0, and what it does has no effect, as in
SMAC; the episode ends when all have left, or at the limit.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Tuple
from numpy.typing import NDArray

from epymarl_pr.envs.ours import AnyEndIsTheLimit, TupleEnv

Observations = tuple[NDArray[np.float32], ...]


class GridTeam(TupleEnv):
    """A grid world of :mod:`marl_pr_common.envs` as one gymnasium environment with tuples of spaces.

    :param name: what ``marl_pr_common.envs.make`` takes, such as "Navigation-4"
    :param unlike: agents differ in what their actions mean: action a of agent i is action (a + i) modulo the number of
        actions of the rules, so that a peer's value of an action is that of another one
    :param max_cycles: steps of an episode; None takes the rules' limit
    :param render_mode: None, "rgb_array" or "ansi"
    :raises ValueError: for values that are none of these
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 5}  # type: ignore[misc]

    def __init__(
        self, name: str, unlike: bool = False, max_cycles: int | None = None, render_mode: str | None = None
    ) -> None:
        from marl_pr_common.envs.grids.grid import Grid
        from marl_pr_common.envs.registry import grid_spec

        if not isinstance(unlike, bool):
            raise ValueError(f"unlike={unlike!r}: expected True or False.")
        logging.getLogger("numba").setLevel(logging.WARNING)  # EPyMARL logs all that anybody says, compilers too
        spec = grid_spec(name)
        if max_cycles is not None:
            if type(max_cycles) is not int or max_cycles < 1:
                raise ValueError(f"max_cycles={max_cycles!r}: expected a number of steps >= 1.")
            spec = dataclasses.replace(spec, world=spec.world._replace(limit=max_cycles))
        super().__init__(Grid(spec, render_mode))
        self._sizes = [self._team.observation_space(agent).nvec for agent in self._names]
        self._shifts = [i * unlike for i in range(spec.n_agents)]
        self.observation_space = Tuple([Box(0.0, 1.0, (int(sizes.sum()),), np.float32) for sizes in self._sizes])

    def seed(self, seed: int | None = None) -> None:
        """Restart the random stream; resets without a seed go on from there. EPyMARL calls this once per worker."""
        self._team.reset(seed=seed)

    def step(self, action: Sequence[int]) -> tuple[Observations, list[float], bool, bool, dict[str, Any]]:  # type: ignore[override]
        """One action per agent in, one reward per agent out; ``terminated`` once all have left.

        :raises ValueError: for another number of actions than agents, or an action that is none
        """
        n_actions = self._team.spec.n_actions
        for name, one in self._by_name(action).items():
            if not 0 <= one < n_actions:
                raise ValueError(f"{name}: action {one} is not one of 0 .. {n_actions - 1}.")
        meant = [(int(one) + shift) % n_actions for one, shift in zip(action, self._shifts, strict=True)]
        observations, rewards, _, truncated, _ = self._team.step(dict(zip(self._names, meant, strict=True)))
        cut = any(truncated.values())
        over = not self._team.agents and not cut
        info = {"episode_limit": False if over else AnyEndIsTheLimit(1)}
        left = {name: observations[name] for name in observations if name in self._team.agents or truncated[name]}
        return self._in_order(left), [float(rewards.get(name, 0.0)) for name in self._names], over, cut, info

    def _in_order(self, observations: dict[str, NDArray[np.int64]]) -> Observations:
        """One-hot; zeros for agents that are not there."""
        seen = []
        for name, sizes in zip(self._names, self._sizes, strict=True):
            row = np.zeros(int(sizes.sum()), np.float32)
            if name in observations:
                row[np.cumsum(sizes) - sizes + observations[name]] = 1.0
            seen.append(row)
        return tuple(seen)
