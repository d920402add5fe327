"""A small study whose cells can be stacked, and an environment in which one of all breaks."""

from __future__ import annotations

import numpy as np
from gymnasium.envs.classic_control import PendulumEnv
from gymnasium.wrappers import TimeLimit

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
