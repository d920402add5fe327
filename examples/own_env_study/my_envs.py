"""Environments of one's own by name: each is called without arguments, once for every copy that is needed."""

import functools

import gymnasium as gym

still_lake = functools.partial(gym.make, "FrozenLake-v1", is_slippery=False)
"""A gymnasium env: every agent gets a copy. marl-pr study study.yaml"""


def spread():
    """A PettingZoo ParallelEnv: its agents are a team. marl-pr train --env my_envs:spread --out runs/spread"""
    from mpe2 import simple_spread_v3

    return simple_spread_v3.parallel_env(N=2, continuous_actions=True)
