"""Arguments that predator-prey and cooperative navigation share."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from marl_pr_common.envs.particles.jax_particles import Engine

RENDER_MODES = ("rgb_array", "human")


def check_particle_arguments(
    name: str, n_agents: Any, max_cycles: Any, continuous_actions: Any, render_mode: Any, engine: Any
) -> None:
    """:raises ValueError: for a team outside 2 .. 9, a time limit below 1, an unknown render mode or engine, or
    ``continuous_actions`` that are neither True nor False"""
    if not isinstance(continuous_actions, (bool, np.bool_)):
        raise ValueError(f"{name}: continuous_actions={continuous_actions!r}, expected True or False.")
    if engine not in get_args(Engine):
        raise ValueError(f"{name}: engine={engine!r}, expected one of {', '.join(get_args(Engine))}.")
    if type(n_agents) is bool or not isinstance(n_agents, (int, np.integer)) or not 2 <= n_agents <= 9:
        raise ValueError(f"{name}: n_agents={n_agents!r}, expected an integer from 2 to 9.")
    if type(max_cycles) is bool or not isinstance(max_cycles, (int, np.integer)) or max_cycles < 1:
        raise ValueError(f"{name}: max_cycles={max_cycles!r}, expected a number of steps >= 1.")
    if render_mode not in (None, *RENDER_MODES):
        raise ValueError(f"{name}: render_mode={render_mode!r}, expected None, {' or '.join(map(repr, RENDER_MODES))}.")
