"""Environments that draw themselves: a task for one, whose picture shows time and action, and a team."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from tests.cli.odd_environments import Fine
from tests.envs.own_envs import Duel


def picture(time: int, action: float) -> np.ndarray:
    frame = np.zeros((32, 48, 3), np.uint8)
    frame[:, : 4 * time, 0] = 255
    frame[..., 1] = np.uint8(127 * (1 + action))
    return frame


class Spot(Fine):
    metadata = {"render_fps": 25, "render_modes": ["rgb_array"]}  # noqa: RUF012
    action = 0.0

    def step(self, action):
        self.action = float(action[0])
        return super().step(action)

    def reward(self):
        return self.action

    def render(self):
        return picture(self.t, self.action)


class Screen(Fine):
    """Seen as a picture."""

    observation_space = spaces.Box(0, 255, (64, 64, 3), np.uint8)

    def observation(self):
        return np.zeros((64, 64, 3), np.uint8)


class DrawnDuel(Duel):
    def step(self, actions):
        self.acted = float(np.sum(actions["a"]))
        return super().step(actions)

    def render(self):
        return picture(self.t, getattr(self, "acted", 0.0) if self.t else 0.0)
