"""What users name as package.module:factory, right and wrong; written for the tests of every host."""

import functools
import sys

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv

from tests.cli.odd_environments import Fine


class Duel(ParallelEnv):
    """Two agents, 5 steps; the second sees more. An agent is paid what it does: continuous, or discrete."""

    metadata = {"name": "duel"}  # noqa: RUF012
    acts = spaces.Box(-1, 1, (1,), np.float32)
    sees = {"a": spaces.Box(0, 5, (1,), np.float32), "b": spaces.Box(0, 5, (2,), np.float32)}  # noqa: RUF012
    made = 0

    def __init__(self):
        type(self).made += 1
        self.possible_agents, self.agents = list(self.sees), []

    def observation_space(self, agent):
        return self.sees[agent]

    def action_space(self, agent):
        return self.acts

    def seen(self):
        return {agent: np.full(space.shape, self.t, space.dtype) for agent, space in self.sees.items()}

    def reset(self, seed=None, options=None):
        self.t, self.agents = 0, list(self.sees)
        return self.seen(), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.t += 1
        team, cut = self.agents, self.t == 5
        self.agents = [] if cut else team
        rewards = {agent: float(np.sum(actions[agent])) for agent in team}
        return self.seen(), rewards, dict.fromkeys(team, False), dict.fromkeys(team, cut), {agent: {} for agent in team}


class DiscreteDuel(Duel):
    acts = spaces.Discrete(3)
    sees = dict.fromkeys("ab", spaces.Discrete(6))

    def seen(self):
        return dict.fromkeys("ab", self.t)


class OddDuel(DiscreteDuel):
    """Each sees another world."""

    sees = {"a": spaces.Discrete(6), "b": spaces.Discrete(7)}  # noqa: RUF012


class NoBounds(Duel):
    acts = spaces.Box(-np.inf, np.inf, (1,))


class Mixed(Duel):
    sees = {"a": spaces.Box(0, 5, (1,)), "b": spaces.Discrete(6)}  # noqa: RUF012


class Nobody(Duel):
    sees = {}  # noqa: RUF012


class SpaceRaises(Duel):
    def observation_space(self, agent):
        raise LookupError("no such sensor")


class Endless(Fine):
    def step(self, action):
        return (*super().step(action)[:3], False, {})


class EndlessDuel(Duel):
    def step(self, actions):
        self.t = 0
        return super().step(actions)


class Unlisted(ParallelEnv):
    """No possible_agents before a reset."""


class StepRaises(Duel):
    def step(self, actions):
        raise RuntimeError("the server does not answer")


class Exits(Duel):
    def step(self, actions):
        sys.exit(0)


class ExitsOtherwise(Duel):
    def step(this, actions):
        sys.exit(0)


class Panic(BaseException):
    """What a simulator in Rust raises."""


class Panics(Fine):
    def step(self, action):
        raise Panic("index out of bounds")


class NoFlag(Fine):
    def step(self, action):
        return (*super().step(action)[:2], float("nan"), False, {})


class InTurn(AECEnv):
    metadata = {"name": "in_turn"}  # noqa: RUF012


class Level(Fine):
    def __init__(self, level):
        self.level = level


class Factory:
    @classmethod
    def make(cls):
        return Fine()

    def bound(self):
        return Fine()


class Old:
    """Gymnasium's methods without its class."""

    observation_space = action_space = spaces.Box(-1, 1, (1,))

    def reset(self):
        return np.zeros(1)

    def step(self, action):
        return np.zeros(1), 0.0, False, {}


level_3 = functools.partial(Level, 3)
hidden_level = functools.partial(Level, level=2)
ready = Fine()
number = 3
nothing = None
lake = functools.partial(gym.make, "FrozenLake-v1", is_slippery=False)


def singleton():
    return ready


def wrapped_singleton():
    return gym.wrappers.TimeLimit(ready, 3)


def forgot():
    Fine()


def a_class():
    return Fine


def a_function():
    return Factory.make


async def later():
    return Fine()


def raises():
    return {}["port"]


def exits():
    raise SystemExit("no licence")


def columns():
    from stable_baselines3.common.env_util import make_vec_env

    return make_vec_env("Pendulum-v1", 2)


def vector():
    return gym.make_vec("CartPole-v1", 2)


def in_turn():
    return InTurn()


def spread_in_turn():
    from mpe2 import simple_spread_v3

    return simple_spread_v3.env(N=2, continuous_actions=True)
