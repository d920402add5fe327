"""Rows in the results schema, as a run of Stable-Baselines3 writes them."""

from __future__ import annotations

from typing import Any


def row(
    arm: str,
    seed: int,
    agent: int,
    steps: int,
    value: float,
    task: str = "Pendulum-v1",
    times: tuple[float, float] = (1.0, 1.0),
) -> dict[str, Any]:
    """The return of one agent in one evaluation: td3 is one agent, the other arms are teams of three.

    :param times: of the wall clock, and of the processor
    """
    return {
        "run": f"{arm}-{task}-seed{seed}",
        "arm": arm,
        "task": task,
        "engine": "stable-baselines3 2.9.2",
        "evaluation": "10 episodes per agent, deterministic",
        "seed": seed,
        "agent": agent,
        "env_steps_per_agent": steps,
        "total_env_steps": steps * n_agents(arm),
        "updates": steps,
        "wall_time": times[0],
        "cpu_time": times[1],
        "metric": "eval/return",
        "value": value,
    }


def n_agents(arm: str) -> int:
    """How many an arm trains."""
    return 1 if arm == "td3" else 3
