"""Environments as users write them by mistake; each is one class, registered under its name."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium import spaces

UNIT = spaces.Box(-1, 1, (2,), np.float32)


class Fine(gym.Env):
    """Ten steps an episode; ``steps`` counts them all."""

    observation_space: spaces.Space = UNIT
    action_space: spaces.Space = spaces.Box(-1, 1, (1,), np.float32)
    steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.observation(), {}

    def step(self, action):
        self.t += 1
        self.steps += 1
        return self.observation(), self.reward(), False, self.t >= 10, {}

    def observation(self):
        return np.full(2, 0.1 * getattr(self, "t", 0), np.float32)

    def reward(self):
        return 1.0


class RaisesWhenMade(Fine):
    def __init__(self):
        raise KeyError("port")


class ExitsWhenMade(Fine):
    def __init__(self):
        raise SystemExit("no licence")


class NeedsAnArgument(Fine):
    def __init__(self, level):
        self.level = level


class RaisesInReset(Fine):
    def reset(self, *, seed=None, options=None):
        raise RuntimeError("the server does not answer")


class RaisesInStep(Fine):
    def reward(self):
        if self.steps == 35:
            raise ZeroDivisionError("division by zero")
        return 1.0


class OldReset(Fine):
    def reset(self, *, seed=None, options=None):
        return super().reset()[0]


class OldStep(Fine):
    def step(self, action):
        return (*super().step(action)[:3], {})


class OtherShape(Fine):
    def observation(self):
        return np.zeros(3, np.float32)


class RaisesInClose(Fine):
    def close(self):
        raise RuntimeError("closed already")


class Unbounded(Fine):
    action_space = spaces.Box(-np.inf, np.inf, (1,))


class NoWidth(Fine):
    action_space = spaces.Box(1, 1, (1,))


class TooWide(Fine):
    action_space = spaces.Box(-1e300, 1e300, (1,), np.float64)


class WholeActions(Fine):
    action_space = spaces.Box(0, 5, (1,), np.int32)


class TupleObservations(Fine):
    observation_space = spaces.Tuple((UNIT,))


class NestedObservations(Fine):
    observation_space = spaces.Dict({"a": spaces.Dict({"b": UNIT})})


class TextObservations(Fine):
    observation_space = spaces.Text(5)


class EmptyObservations(Fine):
    observation_space = spaces.Box(-1, 1, (0,))


class CountsFromOne(Fine):
    observation_space = spaces.Discrete(4, start=1)


class BadReward(Fine):
    bad = float("nan")

    def reward(self):
        return self.bad if self.steps == 35 else 1.0


class InfiniteInFloat32(BadReward):
    bad = 1e300


class BadObservation(Fine):
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def observation(self):
        return np.array([0.0, 1e300 if self.steps == 35 else 0.1])


class BadTerminalObservation(Fine):
    def observation(self):
        bad = self.steps == 40 and self.t == 10
        return np.array([0.0, np.inf if bad else 0.1], np.float32)


class BadWhenEvaluated(Fine):
    """Only the first episodes of a copy are bad: those of the evaluation before training."""

    def reward(self):
        return float("-inf")


def register():
    for name, cls in list(globals().items()):
        if isinstance(cls, type) and issubclass(cls, gym.Env):
            gym.register(f"Task{name}-v0", entry_point=cls)  # other tests register classes of these names


register()
