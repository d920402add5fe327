"""Tables in the results schema with noise, for reports: td3 is one agent, the other arms are teams of three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tests.rows import n_agents, row

STEPS = (0, 100, 200, 300)
LABELS = {"td3": "TD3, 1 agent", "td3_pr": "TD3PR, 3 agents"}


def _run(arm: str, task: str, seed: int, gain: float, rng: np.random.Generator) -> list[dict[str, object]]:
    luck = rng.normal(0.0, 3.0)
    return [
        row(
            arm, seed, agent, steps, gain * steps / 100.0 + luck + agent, task, (2.0 * steps + seed, 1.5 * steps + seed)
        )
        for steps in STEPS
        for agent in range(n_agents(arm))
    ]


def study(
    n_seeds: int = 10,
    gains: Mapping[str, float] | None = None,
    tasks: Sequence[str] = ("Pendulum-v1", "Hopper-v5"),
) -> pd.DataFrame:
    """:param gains: arm -> how much its return rises in 100 steps per agent"""
    rng = np.random.default_rng(1)
    chosen = {"td3": 10.0, "td3_pr": 20.0, "td3_shared_replay": 10.0} if gains is None else gains
    return pd.DataFrame(
        row
        for arm, gain in chosen.items()
        for task in tasks
        for seed in range(n_seeds)
        for row in _run(arm, task, seed, gain, rng)
    )
