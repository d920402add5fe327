"""Pictures of the grid worlds: text, and RGB arrays drawn with NumPy. Colours: Okabe and Ito, safe for colour-blind
eyes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marl_pr_common.config.arrays import Flags, Ints
from marl_pr_common.envs.grids.kernels import BLOCKER, NAVIGATION
from marl_pr_common.envs.registry import GridSpec

CELL = 32
AGENT_COLOURS = np.array(
    [
        (0, 114, 178),
        (230, 159, 0),
        (0, 158, 115),
        (204, 121, 167),
        (213, 94, 0),
        (86, 180, 233),
        (240, 228, 66),
        (90, 90, 90),
    ],
    dtype=np.uint8,
)
BACKGROUND, LINE, BLOCK, LANDMARK = (250, 250, 250), (205, 205, 205), (60, 60, 60), (120, 120, 120)


def agent_letter(i: int) -> str:
    """A, B, ... Z, then a, b, ...; "#" beyond 52 agents."""
    return (chr(ord("A") + i) if i < 26 else chr(ord("a") + i - 26)) if i < 52 else "#"


def ansi_grid(spec: GridSpec, pos: Ints, goal: Ints, active: Flags) -> str:
    """One line per row. Agents A, B, ...; "*" a landmark; "X" a blocker; digits are the goals of agents 0 .. 9 (then
    "*")."""
    rows = [["."] * spec.world.width for _ in range(spec.world.height)]
    if spec.world.kind == BLOCKER:
        rows[-1] = ["X"] * spec.world.width
        rows[-1][3 * int(goal[0, 0])] = " "
    else:
        for i, (x, y) in enumerate(goal.tolist()):
            if x >= 0 and (active[i] or spec.world.kind != NAVIGATION):
                rows[y][x] = str(i) if spec.world.kind == NAVIGATION and i < 10 else "*"
    for i, (x, y) in enumerate(pos.tolist()):
        if active[i]:
            rows[y][x] = agent_letter(i)
    return "\n".join(" ".join(row) for row in rows) + "\n"


def draw_grid(spec: GridSpec, pos: Ints, goal: Ints, active: Flags) -> NDArray[np.uint8]:
    """An image, (height * 32 + 1, width * 32 + 1, 3): agents are discs, goals rings of the agent's colour, landmarks
    grey
    diamonds, blockers dark squares. Agents that share a cell are drawn beside each other.
    """
    image = np.empty((spec.world.height * CELL + 1, spec.world.width * CELL + 1, 3), dtype=np.uint8)
    image[:] = BACKGROUND
    image[::CELL], image[:, ::CELL] = LINE, LINE
    v, u = np.mgrid[1:CELL, 1:CELL] - CELL / 2
    radius = np.hypot(u, v)
    if spec.world.kind == BLOCKER:
        for x in range(spec.world.width):
            if x != 3 * goal[0, 0]:
                _paint(image, x, spec.world.height - 1, np.maximum(abs(u), abs(v)) < 14, BLOCK)
    else:
        for i, (x, y) in enumerate(goal.tolist()):
            if spec.world.kind == NAVIGATION and active[i]:
                own = AGENT_COLOURS[i % len(AGENT_COLOURS)]
                _paint(image, x, y, (radius > 10.5 - 1.5 * (i % 3)) & (radius < 14.5 - 1.5 * (i % 3)), own)
            elif spec.world.kind != NAVIGATION and x >= 0:
                _paint(image, x, y, abs(u) + abs(v) < 11, LANDMARK)
    for i, (x, y) in enumerate(pos.tolist()):
        if active[i]:
            mates = [j for j in range(len(pos)) if active[j] and tuple(pos[j]) == (x, y)]
            shift = 7.0 * (mates.index(i) - (len(mates) - 1) / 2)
            size = 9.0 if len(mates) == 1 else 6.0
            _paint(image, x, y, np.hypot(u - shift, v) < size, AGENT_COLOURS[i % len(AGENT_COLOURS)])
            for k in range(i // len(AGENT_COLOURS)):  # a white dot for each time the colours have been used up
                _paint(image, x, y, np.hypot(u - shift, v + 3 * k) < 1.6, BACKGROUND)
    return image


def _paint(
    image: NDArray[np.uint8], x: int, y: int, mask: NDArray[np.bool_], colour: tuple[int, int, int] | NDArray[np.uint8]
) -> None:
    image[y * CELL + 1 : (y + 1) * CELL, x * CELL + 1 : (x + 1) * CELL][mask] = colour
