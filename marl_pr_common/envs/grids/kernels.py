"""The rules of the three grid worlds as compiled functions over small integer arrays; ``grid.py`` wraps them for
PettingZoo.

A world's state is three arrays that the kernels change in place:
  pos     (n_agents, 2)   x and y of every agent
  goal    (n_agents, 2)   Landmarks: cells of the landmarks, x = -1 once taken; Navigation: every agent's own goal;
                          Blocker: goal[0, 0] is g, the gap left open by the blockers
  active  (n_agents,)     agents that have not left
Actions: 0 stay, 1 +y, 2 -y, 3 +x, 4 -x. Agents move one after the other, in order.
"""

# ruff: noqa: SIM110  numba compiles loops, not generators

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from marl_pr_common.config.arrays import Flags, Floats, Ints
from marl_pr_common.envs.jit import jit

LANDMARKS, NAVIGATION, BLOCKER = 0, 1, 2
DX = np.array([0, 0, 0, 1, -1])
DY = np.array([0, 1, -1, 0, 0])
STEP_COST, BUMP_COST, GOAL_REWARD = -0.02, -0.05, 1.0


class World(NamedTuple):
    """What a kernel must know of an environment. Lengths in cells, ``limit`` in steps."""

    kind: int
    width: int
    height: int
    limit: int
    strides: Ints
    """(n_agents, d): state index of agent i = strides[i] @ features."""


@jit
def _draw_cell(rng: np.random.Generator, width: int, height: int) -> tuple[int, int]:
    cell = int(rng.random() * (width * height))
    return cell % width, cell // width


@jit
def _taken(cells: Ints, count: int, x: int, y: int) -> bool:
    for k in range(count):
        if cells[k, 0] == x and cells[k, 1] == y:
            return True
    return False


@jit
def reset_world(world: World, pos: Ints, goal: Ints, active: Flags, rng: np.random.Generator) -> None:
    """Draw a start state. Landmarks: all cells distinct. Navigation: distinct starts, a goal other than the own start.
    Blocker: distinct columns of row 0, any open gap.
    """
    n = pos.shape[0]
    height = 1 if world.kind == BLOCKER else world.height
    for i in range(n):
        active[i] = True
        x, y = _draw_cell(rng, world.width, height)
        while _taken(pos, i, x, y):
            x, y = _draw_cell(rng, world.width, height)
        pos[i, 0], pos[i, 1] = x, y
    if world.kind == BLOCKER:
        goal[:] = 0
        goal[0, 0] = int(rng.random() * n)
        return
    for i in range(n):
        x, y = _draw_cell(rng, world.width, world.height)
        if world.kind == NAVIGATION:
            while x == pos[i, 0] and y == pos[i, 1]:
                x, y = _draw_cell(rng, world.width, world.height)
        else:
            while _taken(goal, i, x, y) or _taken(pos, n, x, y):
                x, y = _draw_cell(rng, world.width, world.height)
        goal[i, 0], goal[i, 1] = x, y


@jit
def _occupied(pos: Ints, active: Flags, i: int, x: int, y: int) -> bool:
    for j in range(pos.shape[0]):
        if j != i and active[j] and pos[j, 0] == x and pos[j, 1] == y:
            return True
    return False


@jit
def _step_landmarks(world: World, pos: Ints, goal: Ints, active: Flags, actions: Ints, rewards: Floats) -> None:
    for i in range(pos.shape[0]):
        if not active[i]:
            continue
        x, y = pos[i, 0] + DX[actions[i]], pos[i, 1] + DY[actions[i]]
        rewards[i] = STEP_COST
        outside = x < 0 or x >= world.width or y < 0 or y >= world.height
        if outside or _occupied(pos, active, i, x, y):
            rewards[i] += BUMP_COST
            continue
        pos[i, 0], pos[i, 1] = x, y
        for k in range(goal.shape[0]):
            if goal[k, 0] == x and goal[k, 1] == y:
                goal[k, 0] = -1
                rewards[i] += GOAL_REWARD
                active[i] = False


@jit
def _step_navigation(world: World, pos: Ints, goal: Ints, active: Flags, actions: Ints, rewards: Floats) -> None:
    for i in range(pos.shape[0]):
        if not active[i]:
            continue
        x = min(max(pos[i, 0] + DX[actions[i]], 0), world.width - 1)
        y = min(max(pos[i, 1] + DY[actions[i]], 0), world.height - 1)
        rewards[i] = STEP_COST
        if (x != pos[i, 0] or y != pos[i, 1]) and _occupied(pos, active, i, x, y):
            rewards[i] += BUMP_COST
        pos[i, 0], pos[i, 1] = x, y
        if x == goal[i, 0] and y == goal[i, 1]:
            rewards[i] += GOAL_REWARD
            active[i] = False


@jit
def _attacked(world: World, pos: Ints, gap: int) -> bool:
    return _taken(pos, pos.shape[0], 3 * gap, world.height - 2)


@jit
def _step_blocker(world: World, pos: Ints, goal: Ints, active: Flags, actions: Ints, rewards: Floats) -> None:
    n = pos.shape[0]
    gap = goal[0, 0]
    if _attacked(world, pos, gap):  # blockers move first, to the nearest gap in front of which nobody stands
        best = n
        for other in range(n):
            if abs(other - gap) < best and not _attacked(world, pos, other):
                best = abs(other - gap)
                goal[0, 0] = other
        gap = goal[0, 0]
    through = False
    for i in range(n):
        x, y = pos[i, 0] + DX[actions[i]], pos[i, 1] + DY[actions[i]]
        if y == world.height - 1:
            through = through or x == 3 * gap  # any other cell of the last row is held by a blocker
        elif 0 <= x < world.width and y >= 0 and not _occupied(pos, active, i, x, y):
            pos[i, 0], pos[i, 1] = x, y
    rewards[:] = 1.0 if through else -1.0
    if through:
        active[:] = False


@jit
def step_world(
    world: World, pos: Ints, goal: Ints, active: Flags, actions: Ints, rewards: Floats, terminated: Flags
) -> None:
    """One step of all active agents; fills ``rewards`` (0 for agents that had left) and ``terminated``, (n_agents,)
    each."""
    rewards[:] = 0.0
    terminated[:] = active
    if world.kind == LANDMARKS:
        _step_landmarks(world, pos, goal, active, actions, rewards)
    elif world.kind == NAVIGATION:
        _step_navigation(world, pos, goal, active, actions, rewards)
    else:
        _step_blocker(world, pos, goal, active, actions, rewards)
    for i in range(terminated.shape[0]):
        terminated[i] = terminated[i] and not active[i]


@jit
def _features_landmarks(world: World, pos: Ints, goal: Ints, active: Flags, i: int, out: Ints) -> None:
    x, y = pos[i, 0], pos[i, 1]
    best, out[0], out[1] = 1 << 30, world.width - 1, world.height - 1  # a difference of zero when no landmark is left
    for k in range(goal.shape[0]):
        distance = abs(goal[k, 0] - x) + abs(goal[k, 1] - y)
        if goal[k, 0] >= 0 and distance < best:
            best = distance
            out[0], out[1] = goal[k, 0] - x + world.width - 1, goal[k, 1] - y + world.height - 1
    best, out[2], out[3] = 1 << 30, 2, 2  # (0, 0) when no mate is active: two agents never share a cell
    for j in range(pos.shape[0]):
        distance = abs(pos[j, 0] - x) + abs(pos[j, 1] - y)
        if j != i and active[j] and distance < best:
            best = distance
            out[2], out[3] = min(max(pos[j, 0] - x, -2), 2) + 2, min(max(pos[j, 1] - y, -2), 2) + 2


@jit
def features_of(world: World, pos: Ints, goal: Ints, active: Flags, i: int, out: Ints) -> None:
    """Write the ego-centric global features of agent i, all >= 0, into ``out``, (d,)."""
    n = pos.shape[0]
    if world.kind == LANDMARKS:
        _features_landmarks(world, pos, goal, active, i, out)
    elif world.kind == NAVIGATION:
        out[0], out[1], out[2], out[3] = pos[i, 0], pos[i, 1], goal[i, 0], goal[i, 1]
    else:
        for k in range(n):  # the agent itself, then its mates in cyclic order
            out[2 * k], out[2 * k + 1] = pos[(i + k) % n, 1], pos[(i + k) % n, 0]
        out[2 * n] = goal[0, 0]


@jit
def state_of(world: World, pos: Ints, goal: Ints, active: Flags, i: int, scratch: Ints) -> int:
    """The state index of agent i; ``scratch`` is a work array, (d,)."""
    features_of(world, pos, goal, active, i, scratch)
    state = 0
    for k in range(scratch.shape[0]):
        state += scratch[k] * world.strides[i, k]
    return state
