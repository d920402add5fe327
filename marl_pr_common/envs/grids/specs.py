"""The grid worlds' rules by name: what is drawn on which grid, and what every agent sees of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marl_pr_common.envs.grids.kernels import BLOCKER, LANDMARKS, NAVIGATION, World
from marl_pr_common.envs.registry import FAMILIES
from marl_pr_common.envs.spaces import ObsSpace


@dataclass(frozen=True)
class GridSpec:
    """A grid world: its rules, and what every agent sees of it."""

    name: str
    n_agents: int
    world: World
    spaces: tuple[ObsSpace, ...]
    """One per agent."""
    gamma: float = 0.99
    n_actions: int = 5

    def __post_init__(self) -> None:
        world, n = self.world, self.n_agents
        least = {
            LANDMARKS: (2 * world.width - 1, 2 * world.height - 1, 5, 5),
            NAVIGATION: (world.width, world.height) * 2,
            BLOCKER: (world.height - 1, world.width) * n + (n,),
        }.get(world.kind)
        if least is None or n < 1 or len(self.spaces) != n or world.limit < 1 or not 1 <= self.n_actions <= 5:
            raise ValueError(
                f"{self.name}: kind {world.kind}, {n} agents, {len(self.spaces)} spaces, limit {world.limit}, "
                f"{self.n_actions} actions: expected a kind of kernels.py, one space per agent, a limit >= 1, 1 to 5 "
                "actions."
            )
        for space in self.spaces:
            if len(space.sizes) != len(least) or any(a < b for a, b in zip(space.sizes, least, strict=True)):
                raise ValueError(f"{self.name}: features of {space.sizes} values, its world has {least}.")
        if not np.array_equal(world.strides, [space.strides for space in self.spaces]):
            raise ValueError(f"{self.name}: world.strides are not those of the spaces.")
        cells = world.width * (1 if world.kind == BLOCKER else world.height)
        needed = n * (2 if world.kind == LANDMARKS else 1)
        if needed > cells or (world.kind == NAVIGATION and cells < 2):
            raise ValueError(
                f"{self.name}: {needed} distinct start cells are needed but the grid has {cells}. Use fewer agents."
            )


def _spec(name: str, n_agents: int, grid: tuple[int, int, int, int], spaces: list[ObsSpace]) -> GridSpec:
    kind, width, height, limit = grid
    world = World(kind, width, height, limit, np.stack([space.strides for space in spaces]))
    return GridSpec(name, n_agents, world, tuple(spaces))


def landmarks(n_agents: int = 2) -> GridSpec:
    """Landmarks-N: every agent takes one of N landmarks; even agents miss my, odd ones mx. 5x5, or 8x8 for N > 3."""
    side = 5 if n_agents <= 3 else 8
    sizes = (2 * side - 1, 2 * side - 1, 5, 5)
    masks = [(True, True, i % 2 == 0, i % 2 == 1) for i in range(n_agents)]
    spaces = [ObsSpace(sizes, mask, (True,) * 4) for mask in masks]
    return _spec(f"Landmarks-{n_agents}", n_agents, (LANDMARKS, side, side, 50), spaces)


def navigation(n_agents: int = 3) -> GridSpec:
    """Navigation-N: every agent has a goal of its own on a 5x5 grid and sees (x, y, gx, gy)."""
    spaces = [ObsSpace((5, 5, 5, 5), ordinal=(True,) * 4)] * n_agents
    return _spec(f"Navigation-{n_agents}", n_agents, (NAVIGATION, 5, 5, 50), spaces)


def blocker(n_agents: int = 3) -> GridSpec:
    """Blocker-N: N - 1 blockers hold the last row but one gap; the agents must lure them away from a gap.

    Features: row and column of the agent and of its mates in cyclic order, and g. Agent i misses the row of its i-th
    mate; the last agent misses g.
    """
    if n_agents < 2:
        raise ValueError(f"Blocker-{n_agents}: expected at least 2 agents, one blocker less than agents.")
    width = 3 * (n_agents - 1) + 1
    sizes = (3, width) * n_agents + (n_agents,)
    spaces = []
    for i in range(n_agents):
        hidden = 2 * (i + 1) if i < n_agents - 1 else 2 * n_agents
        keep = tuple(k != hidden for k in range(len(sizes)))
        spaces.append(ObsSpace(sizes, keep, (True,) * (2 * n_agents) + (False,)))
    return _spec(f"Blocker-{n_agents}", n_agents, (BLOCKER, width, 4, 40), spaces)


GRIDS = {family.name.partition("-")[0]: globals()[family.spec] for family in FAMILIES if family.spec}
"""Family -> its function of a number of agents."""
