"""Who runs from the predators: a random, a frozen and a scripted prey. Each is a function (observation, rng) -> action.

The observation is simple_tag's: own velocity and position, the two obstacles and every predator relative to the prey.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Prey = Callable[[NDArray[np.float32], np.random.Generator], int]

OBSTACLES = 2
PUSH = np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)], dtype=np.float64)
"""Unit force of each of the five actions, (5, 2)."""
ACCELERATION, TOP_SPEED, DAMPING, STEP = 4.0, 1.3, 0.25, 0.1
"""The prey's in simple_tag: force of a push, greatest speed, share of the velocity lost per step, seconds per step."""
PREDATOR_SPEED = 1.0
CONTACT = 0.125
"""Distance of the centres at which a predator touches the prey."""
ARENA = 1.0
"""The prey turns round where a coordinate exceeds this; mpe2 itself has no wall."""

HOLD = 4
"""Steps for which a planned push is held."""
PLANS = np.array(list(itertools.product(range(len(PUSH)), repeat=2)))
"""All plans of two pushes, (25, 2)."""
FEAR, WALL, CRASH, CLEARANCE = 0.05, 100.0, 10.0, 0.27
"""Length over which fear of a predator fades, costs per unit beyond the arena and inside an obstacle, its radius."""


def stand_still(observation: NDArray[np.float32], rng: np.random.Generator) -> int:
    """The frozen prey. It may still be pushed."""
    return 0


def wander(observation: NDArray[np.float32], rng: np.random.Generator) -> int:
    """The random prey: a uniform action every step."""
    return int(rng.integers(len(PUSH)))


def flee(observation: NDArray[np.float32], rng: np.random.Generator) -> int:
    """The scripted prey: try all plans of two pushes against predators that run straight at it, take the safest.

    Ties are broken by ``rng``.
    """
    return flee_together(np.asarray(observation)[None], [rng])[0]


def flee_together(observations: NDArray[np.float32], rngs: Sequence[np.random.Generator]) -> list[int]:
    """:func:`flee` for many prey in worlds of their own, each with its own random stream.

    :param observations: (n_prey, obs_dim)
    """
    costs = _plan_costs(np.asarray(observations, dtype=np.float64))
    best = [np.flatnonzero(cost <= cost.min() + 1e-9) for cost in costs]
    return [int(PLANS[rng.choice(equal), 0]) for rng, equal in zip(rngs, best, strict=True)]


def _plan_costs(observations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fear, walls and obstacles added up along every plan, (n_prey, 25), in coordinates relative to the prey."""
    n_prey = len(observations)
    own = observations[:, None, 2:4]
    bodies = observations[:, 4:].reshape(n_prey, 1, -1, 2)
    obstacles = bodies[:, :, :OBSTACLES]
    predators = np.tile(bodies[:, :, OBSTACLES:], (1, len(PLANS), 1, 1))
    velocity = np.tile(observations[:, None, :2], (1, len(PLANS), 1))
    position = np.zeros_like(velocity)
    cost = np.zeros((n_prey, len(PLANS)))
    for push in PLANS.repeat(HOLD, axis=1).T:
        position += velocity * STEP
        velocity = _capped(velocity * (1 - DAMPING) + PUSH[push] * ACCELERATION * STEP)
        gap = position[:, :, None] - predators
        distance = np.maximum(np.linalg.norm(gap, axis=-1), 1e-9)
        stride = np.minimum(PREDATOR_SPEED * STEP, distance)
        predators += gap * (stride / distance)[..., None]
        cost += np.exp((CONTACT - (distance - stride)) / FEAR).sum(axis=-1)
        cost += WALL * np.maximum(np.abs(own + position) - ARENA, 0).sum(axis=-1)
        to_obstacles = np.linalg.norm(position[:, :, None] - obstacles, axis=-1)
        cost += CRASH * np.maximum(CLEARANCE - to_obstacles, 0).sum(axis=-1)
    return cost


def _capped(velocity: NDArray[np.float64]) -> NDArray[np.float64]:
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    return np.asarray(velocity * np.minimum(1.0, TOP_SPEED / np.maximum(speed, 1e-9)))
