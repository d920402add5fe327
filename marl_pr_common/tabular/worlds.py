"""Training on the built-in grid worlds: environment, exploration and update in one compiled loop per seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from marl_pr_common.checkpoint.rng import generator_state
from marl_pr_common.config.arrays import Flags, Floats, Ints
from marl_pr_common.envs.grids.kernels import World, reset_world, state_of, step_world
from marl_pr_common.envs.grids.specs import GridSpec
from marl_pr_common.envs.jit import jit
from marl_pr_common.tabular.kernels import act, update
from marl_pr_common.tabular.learner import TabularPR
from marl_pr_common.tabular.resume import copy_arrays, restore_generators
from marl_pr_common.tabular.structs import Links, Rules, Tables


@jit
def _copy(old: Tables, new: Tables) -> None:
    old.q[:] = new.q
    old.n[:] = new.n
    old.pool[:] = new.pool


@jit
def _observe(world: World, pos: Ints, goal: Ints, active: Flags, scratch: Ints, states: Ints) -> None:
    for i in range(states.shape[0]):
        states[i] = state_of(world, pos, goal, active, i, scratch)


@jit
def train_world(
    world: World,
    pos: Ints,
    goal: Ints,
    active: Flags,
    clock: Ints,
    tables: Tables,
    frozen: Tables,
    links: Links,
    rules: Rules,
    epsilon: float,
    refresh: int,
    steps: int,
    rng: np.random.Generator,
) -> None:
    """Learn for ``steps`` environment steps of one seed. ``clock`` is (steps in this episode, steps in all)."""
    n, d = world.strides.shape
    states, following, actions = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    rewards, uniforms, work = np.zeros(n), np.zeros(n), np.zeros((2, n))
    terminated, before = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    scratch, discounts, masks = np.zeros(d, np.int64), np.full(n, rules.gamma), np.ones((n, 0), np.bool_)
    _observe(world, pos, goal, active, scratch, states)
    for _ in range(steps):
        if refresh > 1 and clock[1] % refresh == 0:
            _copy(frozen, tables)
        for i in range(n):
            uniforms[i] = rng.random()
            before[i] = active[i]
        act(tables, links, rules, states, active, masks, epsilon, uniforms, clock[1], actions)
        step_world(world, pos, goal, active, actions, rewards, terminated)
        _observe(world, pos, goal, active, scratch, following)
        update(
            tables, frozen, links, rules, states, actions, rewards, following, terminated, before, masks, discounts,
            clock[1], work,
        )  # fmt: skip
        clock[0] += 1
        clock[1] += 1
        if clock[0] >= world.limit or not active.any():
            reset_world(world, pos, goal, active, rng)
            clock[0] = 0
            _observe(world, pos, goal, active, scratch, states)
        else:
            states[:] = following


@jit
def evaluate_world(
    world: World, tables: Tables, links: Links, rules: Rules, returns: Floats, step: int, rng: np.random.Generator
) -> None:
    """Greedy episodes without learning; fills ``returns``, (episodes, N), with the undiscounted sum of rewards."""
    n, d = world.strides.shape
    pos, goal, active = np.zeros((n, 2), np.int64), np.zeros((n, 2), np.int64), np.zeros(n, np.bool_)
    states, actions, scratch = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(d, np.int64)
    rewards, uniforms, terminated = np.zeros(n), np.zeros(n), np.zeros(n, np.bool_)
    masks = np.ones((n, 0), np.bool_)
    for episode in range(returns.shape[0]):
        reset_world(world, pos, goal, active, rng)
        returns[episode] = 0.0
        for _ in range(world.limit):
            _observe(world, pos, goal, active, scratch, states)
            for i in range(n):
                uniforms[i] = rng.random()
            act(tables, links, rules, states, active, masks, 0.0, uniforms, step, actions)
            step_world(world, pos, goal, active, actions, rewards, terminated)
            returns[episode] += rewards
            if not active.any():
                break


class WorldTrainer:
    """Trains the seeds of a learner on a built-in grid world.

    :param spec: the grid world, from ``grid_spec``
    :param learner: tables of all seeds
    :param rngs: one generator per seed: it draws starts, exploration and ties
    :param epsilon: exploration, in [0, 1)
    :raises ValueError: if there is not one generator per seed, epsilon is outside [0, 1), or the learner's tables are
        not those of the world
    """

    def __init__(
        self, spec: GridSpec, learner: TabularPR, rngs: Sequence[np.random.Generator], epsilon: float = 0.1
    ) -> None:
        if len(rngs) != learner.n_seeds:
            raise ValueError(f"{len(rngs)} generators for {learner.n_seeds} seeds: expected one per seed.")
        if not 0.0 <= epsilon < 1.0:
            raise ValueError(f"epsilon={epsilon}: expected a probability in [0, 1).")
        if learner.reciprocity.spaces != spec.spaces or learner.n_actions != spec.n_actions:
            raise ValueError(
                f"the learner has {learner.n_actions} actions and the spaces {learner.reciprocity.spaces}, {spec.name} "
                f"has {spec.n_actions} and {spec.spaces}. Make it with config.reciprocity(spec.spaces) and "
                "spec.n_actions."
            )
        self.spec, self.learner, self.rngs, self.epsilon = spec, learner, list(rngs), epsilon
        n = spec.n_agents
        self._pos, self._goal = np.zeros((len(rngs), n, 2), dtype=np.int64), np.zeros((len(rngs), n, 2), dtype=np.int64)
        self._active = np.zeros((len(rngs), n), dtype=np.bool_)
        self._clock = np.zeros((len(rngs), 2), dtype=np.int64)
        for b, rng in enumerate(self.rngs):
            reset_world(spec.world, self._pos[b], self._goal[b], self._active[b], rng)

    def train(self, steps: int) -> None:
        """``steps`` environment steps of every agent, in every seed; episodes go on where the last call stopped."""
        learner, train = self.learner, self.learner.kernel(train_world)
        for b, rng in enumerate(self.rngs):
            state = (self._pos[b], self._goal[b], self._active[b], self._clock[b])
            tables, frozen = learner.seed_tables(b), learner.seed_tables(b, True)
            train(
                self.spec.world, *state, tables, frozen, learner.links, learner.rules,
                self.epsilon, learner.config.refresh, steps, rng,
            )  # fmt: skip
        learner.steps += steps

    def evaluate(self, episodes: int, rngs: Sequence[np.random.Generator]) -> Floats:
        """Greedy returns, (n_seeds, episodes, n_agents), undiscounted; learning is not touched.

        :param rngs: one generator per seed, apart from those that train
        """
        returns = np.zeros((len(self.rngs), episodes, self.spec.n_agents))
        learner, evaluate = self.learner, self.learner.kernel(evaluate_world)
        for b, rng in enumerate(rngs):
            tables = learner.seed_tables(b)
            evaluate(self.spec.world, tables, learner.links, learner.rules, returns[b], learner.steps, rng)
        return returns

    def state_dict(self) -> dict[str, Any]:
        """Learner, worlds and generators, for :func:`marl_pr_common.checkpoint.save`."""
        return {
            "learner": self.learner.state_dict(),
            "worlds": self._worlds(),
            "rngs": [generator_state(rng) for rng in self.rngs],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on, bit for bit, from :meth:`state_dict` of a trainer that was constructed the same way.

        :raises CheckpointError: if shapes or generators differ
        """
        self.learner.load_state_dict(state["learner"])
        copy_arrays(self._worlds(), state["worlds"])
        restore_generators(self.rngs, state["rngs"])

    def _worlds(self) -> dict[str, Any]:
        return {"pos": self._pos, "goal": self._goal, "active": self._active, "clock": self._clock}
