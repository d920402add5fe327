"""The environments by name, and a registry that users can add their own to."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from marl_pr_common.envs.grids.kernels import BLOCKER, LANDMARKS, NAVIGATION, World
from marl_pr_common.envs.smax import maps as smax_maps
from marl_pr_common.envs.spaces import ObsSpace

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv


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


GRIDS: dict[str, Callable[[int], GridSpec]] = {"Landmarks": landmarks, "Navigation": navigation, "Blocker": blocker}
HELD_OUT = ("Courier", "Cliff")
PARTICLES = {
    "PredatorPrey": "marl_pr_common.envs.particles.predator_prey",
    "CooperativeNavigation": "marl_pr_common.envs.particles.cooperative_navigation",
}
"""Families on mpe2, and the module of each family's class."""
_FACTORIES: dict[str, Callable[..., ParallelEnv]] = {}


def grid_spec(name: str) -> GridSpec:
    """The grid world of a name such as "Navigation-10".

    :raises ValueError: for a name that is not ``Family-N`` with a known family and N >= 1
    """
    match = re.fullmatch(r"([A-Za-z]+)-(\d+)", name)
    if match is None or match[1] not in GRIDS or int(match[2]) < 1:
        raise ValueError(
            f"Unknown grid environment {name!r}. Known: {', '.join(f'{family}-N' for family in GRIDS)}, N >= 1."
        )
    return GRIDS[match[1]](int(match[2]))


def register(name: str, factory: Callable[..., ParallelEnv]) -> None:
    """Make ``factory`` available as ``make(name, **options)``.

    :raises ValueError: if the name is taken
    """
    if (
        name in _FACTORIES
        or name.startswith(smax_maps.PREFIX)
        or name == "Digital"
        or name.partition("-")[0] in (*GRIDS, *HELD_OUT, *PARTICLES)
    ):
        raise ValueError(f"The environment name {name!r} is taken. Choose another one.")
    _FACTORIES[name] = factory


def make(name: str, **options: Any) -> ParallelEnv:
    """A PettingZoo ParallelEnv by name: "Digital", "Landmarks-N", "Navigation-N", "Blocker-N", "Courier-N",
    "Cliff-N", "PredatorPrey-N", "CooperativeNavigation-N", "CooperativeNavigation-N-maptf", "smax:MAP", or a
    registered one.

    :param options: arguments of the environment, for instance ``render_mode="rgb_array"``
    :raises ImportError: if PettingZoo is not installed
    :raises ValueError: for an unknown name
    """
    try:
        import pettingzoo  # noqa: F401
    except ImportError as error:
        raise ImportError('The environments need PettingZoo. Install it with: pip install "marl-pr[mpe]"') from error
    if name in _FACTORIES:
        return _FACTORIES[name](**options)
    if name.partition("-")[0] in PARTICLES:
        return _make_particles(name, **options)
    if name.startswith(smax_maps.PREFIX):
        from marl_pr_common.envs.smax.battle import SMAX

        return SMAX(name, **options)
    if name == "Digital":
        from marl_pr_common.envs.grids.digital import Digital

        return Digital(**options)
    if name.partition("-")[0] in HELD_OUT:
        from marl_pr_common.envs.grids import held_out

        family, _, count = name.partition("-")
        if not count.isdigit() or int(count) < 1:
            raise ValueError(f"Unknown environment {name!r}: expected {family}-N with N >= 1.")
        return getattr(held_out, family)(int(count), **options)
    if name.partition("-")[0] not in GRIDS:
        known = [f"{family}-N" for family in (*GRIDS, *HELD_OUT, *PARTICLES)] + ["Digital", "smax:MAP", *_FACTORIES]
        raise ValueError(f"Unknown environment {name!r}. Known: {', '.join(known)}.")
    from marl_pr_common.envs.grids.grid import Grid

    return Grid(grid_spec(name), **options)


def _make_particles(name: str, **options: Any) -> ParallelEnv:
    match = re.fullmatch(r"(PredatorPrey|CooperativeNavigation)-([2-9])(-maptf)?", name)
    if match is None or (match[3] and match[1] == "PredatorPrey"):
        raise ValueError(
            f"Unknown environment {name!r}. Expected PredatorPrey-N, CooperativeNavigation-N or "
            "CooperativeNavigation-N-maptf with N from 2 to 9."
        )
    try:
        module = importlib.import_module(PARTICLES[match[1]])
    except ImportError as error:
        raise ImportError(f'{name} needs mpe2 ({error}). Install it with: pip install "marl-pr[mpe]"') from error
    if match[3]:
        options = {"variant": "maptf", **options}
        if options["variant"] != "maptf":
            raise ValueError(f"{name}: variant={options['variant']!r}. Leave it out, or take {match[1]}-{match[2]}.")
    return getattr(module, match[1])(int(match[2]), **options)
