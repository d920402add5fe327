"""A small study whose cells can be stacked, and an environment in which one of all breaks."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from gymnasium.envs.classic_control import PendulumEnv
from gymnasium.wrappers import TimeLimit

from marl_pr_common.runs.table import RESULTS
from sb3_pr import TD3PR
from tests.sb3.tools import assert_same_bits

SMALL = {
    "seeds": 2,
    "settings": {
        "n_agents": 2,
        "timesteps_per_agent": 60,
        "net_arch": [8],
        "batch_size": 8,
        "learning_starts": 20,
        "buffer_size": 80,
        "eval_every": 30,
        "eval_episodes": 2,
        "checkpoint_every": 20,
        "device": "cpu",
        "pr": {"trust": "td", "adjacency": "noise"},
    },
    "tasks": {"Pendulum-v1": {}},
    "arms": {"td3_pr": {}},
}
CELLS = ["td3_pr-Pendulum-v1-seed0", "td3_pr-Pendulum-v1-seed1"]
BREAKS_AT = 30


class Breaks(PendulumEnv):
    """The one that was reset with :attr:`seed` returns a reward that is no number in its 30th step."""

    seed: int | None = None

    def reset(self, *, seed=None, options=None):
        self.breaks = getattr(self, "breaks", False) or (seed is not None and seed == Breaks.seed)
        self.steps = 0
        return super().reset(seed=seed, options=options)

    def step(self, action):
        observation, reward, *rest = super().step(action)
        self.steps += 1
        return observation, np.nan if self.breaks and self.steps == BREAKS_AT else reward, *rest


def breaks():
    """For a study's tasks."""
    return TimeLimit(Breaks(), 50)


def without_times(path):
    return pd.read_parquet(path / "run" / RESULTS).drop(columns=["wall_time", "cpu_time"])


def without_clock(path):
    log = pd.read_csv(path / "run" / "progress.csv")
    return log[sorted(name for name in log if name not in ("time/fps", "time/time_elapsed"))]


def assert_equal_cells(out, reference):
    for name in CELLS:
        mine, theirs = out / "cells" / name, reference / "cells" / name
        pd.testing.assert_frame_equal(without_times(mine), without_times(theirs))
        pd.testing.assert_frame_equal(without_clock(mine), without_clock(theirs))
        assert_same_bits(TD3PR.load(mine / "run" / "model.zip"), TD3PR.load(theirs / "run" / "model.zip"))
        assert "resumed" in json.loads((mine / "run" / "run.json").read_text())
