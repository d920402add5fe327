"""Exact finite models: Digital, random MDPs, Navigation-1; and their optimal values by value iteration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marl_pr_common.config.arrays import Floats
from marl_pr_common.envs.grids import kernels
from marl_pr_common.envs.registry import navigation


@dataclass(frozen=True)
class FiniteMDP:
    """One chain of states with a mean reward function per agent.

    :raises ValueError: if shapes do not fit, a row of ``transition`` sums to more than 1, or gamma is not in [0, 1)
    """

    transition: Floats
    """(n_states, n_actions, n_states): P(s' | s, a). What a row lacks to 1 is the probability that the episode ends."""
    reward: Floats
    """(n_agents, n_states, n_actions): mean rewards r_i(s, a)."""
    gamma: float
    noise: float = 0.0
    """Half width of the uniform noise around the mean reward."""

    def __post_init__(self) -> None:
        if self.transition.ndim != 3:
            raise ValueError(f"transition {self.transition.shape}: expected (S, A, S).")
        s, a = self.transition.shape[:2]
        if self.transition.shape != (s, a, s) or self.reward.ndim != 3 or self.reward.shape[1:] != (s, a):
            raise ValueError(
                f"transition {self.transition.shape} and reward {self.reward.shape}: expected (S, A, S) and (N, S, A)."
            )
        if not 0.0 <= self.gamma < 1.0:
            raise ValueError(f"gamma={self.gamma}: expected a discount in [0, 1).")
        if not (np.isfinite(self.transition).all() and np.isfinite(self.reward).all() and 0 <= self.noise < np.inf):
            raise ValueError(f"transition, reward and noise={self.noise}: expected finite numbers, and noise >= 0.")
        if self.transition.min() < 0 or self.transition.sum(axis=-1).max() > 1 + 1e-9:
            raise ValueError("transition: expected probabilities >= 0 whose rows sum to at most 1.")

    @property
    def n_states(self) -> int:
        """|S|."""
        return int(self.reward.shape[1])

    @property
    def n_actions(self) -> int:
        """|A|."""
        return int(self.reward.shape[2])

    @property
    def n_agents(self) -> int:
        """N."""
        return int(self.reward.shape[0])


def optimal_q(mdp: FiniteMDP, tolerance: float = 1e-12, reward: Floats | None = None) -> Floats:
    """Q*, shape (n_states, n_actions), by value iteration.

    :param tolerance: bound on sup |Q - Q*| of the result, up to rounding
    :param reward: (n_states, n_actions); by default the mean over the agents, whose fixed point is the Q* of Theorem 3
        (as in QD-learning, the paper's [32])
    """
    mean = mdp.reward.mean(axis=0) if reward is None else reward
    if not np.isfinite(mean).all():
        raise ValueError("reward: expected finite numbers.")
    q = np.zeros_like(mean)
    while True:
        updated = mean + mdp.gamma * mdp.transition @ q.max(axis=-1)
        change = float(np.abs(updated - q).max())
        q = updated
        # a contraction by gamma is at most gamma / (1 - gamma) of its last change away from its fixed point
        if change * mdp.gamma <= tolerance * (1 - mdp.gamma) or change <= 4 * np.finfo(float).eps * np.abs(q).max():
            return np.asarray(q)


def digital_mdp(
    rng: np.random.Generator, n_states: int = 20, n_actions: int = 2, n_agents: int = 20, gamma: float = 0.8
) -> FiniteMDP:
    """Digital (section V.A): transition entries U[0, 1], normalised; mean rewards U[0, 4]; noise U[-.5, .5]."""
    transition = rng.random((n_states, n_actions, n_states))
    transition /= transition.sum(axis=-1, keepdims=True)
    return FiniteMDP(transition, rng.uniform(0.0, 4.0, (n_agents, n_states, n_actions)), gamma, noise=0.5)


def random_mdp(rng: np.random.Generator) -> FiniteMDP:
    """A small MDP of Digital's kind: 3 to 8 states, 2 or 3 actions, 2 to 5 agents, gamma U[.5, .8]."""
    n_agents = int(rng.integers(2, 6))
    sizes = int(rng.integers(3, 9)), int(rng.integers(2, 4))
    return digital_mdp(rng, *sizes, n_agents, float(rng.uniform(0.5, 0.8)))


def navigation_mdp(gamma: float = 0.99) -> FiniteMDP:
    """The exact model of Navigation-1: 625 states, 5 actions. With more agents an agent's states are not a Markov
    chain."""
    spec = navigation(1)
    space, world = spec.spaces[0], spec.world
    transition = np.zeros((space.n_states, spec.n_actions, space.n_states))
    reward = np.zeros((1, space.n_states, spec.n_actions))
    one, scratch = np.zeros(1), np.zeros(space.d, dtype=np.int64)
    for s, (x, y, gx, gy) in enumerate(space.decode(np.arange(space.n_states)).tolist()):
        for a in range(spec.n_actions):
            pos, goal = np.array([[x, y]]), np.array([[gx, gy]])
            active, left = np.ones(1, dtype=np.bool_), np.zeros(1, dtype=np.bool_)
            kernels.step_world(world, pos, goal, active, np.array([a]), one, left)
            reward[0, s, a] = one[0]
            if not left[0]:
                transition[s, a, kernels.state_of(world, pos, goal, active, 0, scratch)] = 1.0
    return FiniteMDP(transition, reward, gamma)
