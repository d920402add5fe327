"""What breaks gymnasium's API, and what raises where it is not the environment that is to blame or not seen at once."""

import functools

import gymnasium as gym
import numpy as np

from tests.cli.odd_environments import Fine


class OldStep(Fine):
    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, info


class OldReset(Fine):
    def reset(self):
        return super().reset()


class ListOfRewards(Fine):
    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, np.zeros(2), *rest


def reset(env):
    """A helper, and no method of an environment."""
    raise LookupError("no such level")


class Helped(Fine):
    def step(self, action):
        return reset(self)


def timed(method):
    @functools.wraps(method)
    def inner(*arguments):
        return method(*arguments)

    return inner


class Decorated(Fine):
    @timed
    def step(env, action):
        raise KeyError("lost")


def transformed():
    def reward(value):
        raise LookupError("no table for this reward")

    return gym.wrappers.TransformReward(Fine(), reward)
