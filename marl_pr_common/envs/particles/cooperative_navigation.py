"""Cooperative navigation: N agents of mpe2's simple_spread cover N landmarks, or go to their own in MAPTF's variant."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from mpe2 import simple_spread_v3
from mpe2.simple_spread.simple_spread import Scenario

from marl_pr_common.envs.particles.arguments import check_particle_arguments
from marl_pr_common.envs.particles.jax_particles import Engine, Scene
from marl_pr_common.envs.particles.task import ParticleTeam

Variant = Literal["mpe2", "maptf"]
LIMITS: dict[Variant, int] = {"mpe2": 25, "maptf": 100}
"""Steps per episode, unless ``max_cycles`` says otherwise."""
MAPTF_ARENA = 4.0
MAPTF_SIZE = 0.05
"""Radius of an agent."""


class CooperativeNavigation(ParticleTeam):
    """mpe2's ``simple_spread_v3`` with N agents and N landmarks.

    Observations: own velocity and position, landmarks and other agents relative to oneself, and two silent numbers
    per other agent; 6 N numbers.

    Variant "mpe2" is simple_spread as it is: the team is paid minus the distance of every landmark to its nearest
    agent, and an agent minus 1 for each agent that it touches.

    Variant "maptf" is the task of Yang et al. 2021 (arXiv 2002.08030): agents and landmarks start anywhere in
    [-4, 4]^2, agent i is paid minus its own distance to landmark i, touching costs nothing, 100 steps. What the paper
    leaves open follows the authors' code: nothing keeps agents inside the arena, bodies have radius 0.05 and push each
    other. The physics stays mpe2's, which moves a body before it changes its velocity; theirs does it after.

    :param n_agents: number of agents and of landmarks, 2 to 9
    :param variant: "mpe2" or "maptf"
    :param local_ratio: share of an agent's own collisions in its reward, the rest is the team's distances; mpe2's 0.5
        by default. For "mpe2" only
    :param max_cycles: steps until truncation; 25, or 100 with "maptf"
    :param continuous_actions: five weights in [0, 1] instead of one of five actions
    :param render_mode: None, "rgb_array" or "human"
    :param engine: "mpe2", or for the variant "mpe2" also "jaxmarl": JaxMARL's simulator of the same task, which is made
        for many rows at once
    :raises ValueError: for a value outside these
    """

    def __init__(
        self,
        n_agents: int = 3,
        variant: Variant = "mpe2",
        local_ratio: float | None = None,
        max_cycles: int | None = None,
        continuous_actions: bool = False,
        render_mode: str | None = None,
        engine: Engine = "mpe2",
    ) -> None:
        ratio = _local_ratio(variant, local_ratio)
        limit = LIMITS[variant] if max_cycles is None else max_cycles
        check_particle_arguments("CooperativeNavigation", n_agents, limit, continuous_actions, render_mode, engine)
        if variant == "maptf" and engine == "jaxmarl":
            raise ValueError("engine='jaxmarl': JaxMARL has no variant maptf. Use engine='mpe2', or variant='mpe2'.")
        arguments = {
            "n_agents": int(n_agents),
            "variant": variant,
            "local_ratio": local_ratio,
            "max_cycles": int(limit),
            "continuous_actions": bool(continuous_actions),
            "render_mode": render_mode,
            "engine": engine,
        }
        raw = simple_spread_v3.raw_env(
            N=int(n_agents),
            local_ratio=ratio,
            max_cycles=int(limit),
            continuous_actions=bool(continuous_actions),
            render_mode=render_mode,
        )
        if variant == "maptf":
            raw.scenario = _OwnLandmark()
            for agent in raw.world.agents:
                agent.size = MAPTF_SIZE
        scene = Scene("spread", int(n_agents), bool(continuous_actions), ratio) if engine == "jaxmarl" else None
        super().__init__(raw, int(n_agents), arguments, scene)


class _OwnLandmark(Scenario):  # type: ignore[misc]
    """Simple_spread on a larger plane, where agent i is paid for its distance to landmark i."""

    def reset_world(self, world: Any, np_random: np.random.Generator) -> None:
        super().reset_world(world, np_random)
        for entity in world.entities:
            entity.state.p_pos = MAPTF_ARENA * entity.state.p_pos

    def reward(self, agent: Any, world: Any) -> float:
        landmark = world.landmarks[world.agents.index(agent)]
        return -float(np.linalg.norm(agent.state.p_pos - landmark.state.p_pos))

    def global_reward(self, world: Any) -> float:
        return 0.0


def _local_ratio(variant: str, local_ratio: float | None) -> float:
    if variant not in get_args(Variant):
        raise ValueError(f"CooperativeNavigation: variant={variant!r}, expected one of {', '.join(get_args(Variant))}.")
    if variant == "maptf":
        if local_ratio is not None:
            raise ValueError(
                f"local_ratio={local_ratio!r}: in the variant maptf every reward is an agent's own. Leave it out."
            )
        return 1.0
    ratio = 0.5 if local_ratio is None else local_ratio
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float, np.number)) or not 0 <= ratio <= 1:
        raise ValueError(f"CooperativeNavigation: local_ratio={ratio!r}, expected a number from 0 to 1.")
    return float(ratio)
