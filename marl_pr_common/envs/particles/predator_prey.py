"""Predator-prey: N predators of mpe2's simple_tag learn to catch a prey that belongs to the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from mpe2 import simple_tag_v3

from marl_pr_common.envs.particles import prey as scripts
from marl_pr_common.envs.particles.arguments import check_particle_arguments
from marl_pr_common.envs.particles.jax_particles import Engine, Scene
from marl_pr_common.envs.particles.task import ACTIONS, ParticleTeam

PreyName = Literal["flee", "pretrained", "random", "frozen"]


class PredatorPrey(ParticleTeam):
    """mpe2's ``simple_tag_v3`` with two obstacles and one prey, of which only the predators are agents.

    Every predator is paid +10 for each predator that touches the prey, so that all rewards of a step are equal.
    Observations: own velocity and position, obstacles, other predators and prey relative to oneself, velocity of the
    prey; 10 + 2 N numbers. Returns depend wholly on the prey: name it with every result.

    :param n_agents: number of predators, 2 to 9
    :param prey: "flee" is scripted and seeded; "pretrained" is EPyMARL's, read from the user's checkout, with its
        inverted actions put right (see :class:`~marl_pr_common.envs.particles.pretrained_prey.PretrainedPrey`);
        "random" draws every action uniformly; "frozen" never moves by itself
    :param max_cycles: steps until truncation
    :param continuous_actions: five weights in [0, 1] instead of one of five actions; the prey stays as it is
    :param render_mode: None, "rgb_array" or "human"
    :param engine: "mpe2", or "jaxmarl" for JaxMARL's simulator of the same task, which is made for many rows at once
    :param checkout: EPyMARL checkout of the pretrained prey, of no effect with another; by default ``$EPYMARL_HOME``,
        else ``~/epymarl``
    :raises ValueError: for a value outside these
    :raises FileNotFoundError: if the pretrained prey is not found; says what to do
    """

    def __init__(
        self,
        n_agents: int = 3,
        prey: PreyName = "flee",
        max_cycles: int = 25,
        continuous_actions: bool = False,
        render_mode: str | None = None,
        checkout: str | Path | None = None,
        engine: Engine = "mpe2",
    ) -> None:
        check_particle_arguments("PredatorPrey", n_agents, max_cycles, continuous_actions, render_mode, engine)
        arguments = {
            "n_agents": int(n_agents),
            "prey": prey,
            "max_cycles": int(max_cycles),
            "continuous_actions": bool(continuous_actions),
            "render_mode": render_mode,
            "checkout": checkout,
            "engine": engine,
        }
        self.prey = _prey(prey, checkout)
        raw = simple_tag_v3.raw_env(
            num_good=1,
            num_adversaries=int(n_agents),
            num_obstacles=scripts.OBSTACLES,
            max_cycles=int(max_cycles),
            continuous_actions=bool(continuous_actions),
            render_mode=render_mode,
        )
        scene = Scene("tag", int(n_agents), bool(continuous_actions)) if engine == "jaxmarl" else None
        super().__init__(raw, int(n_agents), arguments, scene)

    def _scripted_actions(self) -> list[Any]:
        seen = self._raw.observe("agent_0") if self.scene is None else self._look().prey
        action = self.prey(seen, self._script_rng)
        return [np.eye(len(ACTIONS), dtype=np.float32)[action] if self.continuous_actions else action]


def _prey(name: str, checkout: str | Path | None) -> scripts.Prey:
    if name == "pretrained":
        from marl_pr_common.envs.particles.pretrained_prey import PretrainedPrey

        return PretrainedPrey(checkout)
    known = {"flee": scripts.flee, "random": scripts.wander, "frozen": scripts.stand_still}
    if name not in known:
        raise ValueError(f"PredatorPrey: prey={name!r}, expected one of {', '.join(get_args(PreyName))}.")
    return known[name]
