"""What several test files compare: models tensor by tensor, and a group against lone upstream models."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3 import DDPG, SAC, TD3
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from sb3_pr import DDPGPR, SACPR, TD3PR
from sb3_pr.algorithms.spec import spec_of

PAIRS = [(TD3PR, TD3), (DDPGPR, DDPG), (SACPR, SAC)]
APART = [(TD3PR, TD3), pytest.param(DDPGPR, DDPG, marks=pytest.mark.slow), (SACPR, SAC)]
"""The same for what takes long: DDPG is TD3 with other numbers."""
ALGORITHMS = [TD3PR, DDPGPR, SACPR]
SMALL = {"net_arch": [32, 32]}


class Odd(BaseFeaturesExtractor):
    """Runs agent by agent, with weights of three axes that are no stacked layer's, and a name that is ours."""

    def __init__(self, space):
        super().__init__(space, 8)
        self.agents = nn.ModuleList([nn.Conv1d(1, 4, 2), nn.Conv1d(4, 4, 1)])
        self.places = nn.Parameter(th.zeros(1, 4, 2))

    def forward(self, seen):
        return (self.agents[1](self.agents[0](seen[:, None])) + self.places).flatten(1)


def tensors(model):
    """Every parameter, buffer and optimiser tensor of a model, by name."""
    found = dict(model.policy.state_dict())
    for name in ("actor", "critic"):
        state = getattr(model.policy, name).optimizer.state_dict()["state"]
        for index, moments in state.items():
            for key, value in moments.items():
                found[f"{name}.optimizer.{index}.{key}"] = th.as_tensor(value)
    for one, tensor, optimizer in spec_of(model).learnt_by(model):
        found[one.tensor] = tensor.detach()
        for key, value in optimizer.state_dict()["state"].get(0, {}).items():
            found[f"{one.optimizer}.{key}"] = th.as_tensor(value)
    return found


def assert_same_bits(one, other):
    left, right = tensors(one), tensors(other)
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert th.equal(tensor, right[name]), name


def fill(model, rows, seed=0):
    """Put random transitions into a replay buffer, different in each column."""
    rng = np.random.default_rng(seed)
    buffer, n = model.replay_buffer, model.n_envs
    for _ in range(rows):
        shape = (n, *model.observation_space.shape)
        buffer.add(
            rng.normal(size=shape).astype(np.float32),
            rng.normal(size=shape).astype(np.float32),
            rng.uniform(-1, 1, size=(n, *model.action_space.shape)).astype(np.float32),
            rng.normal(size=n),
            rng.random(n) < 0.1,
            [{} for _ in range(n)],
        )


def prepare(model):
    """What ``learn`` would set up before ``train`` may be called."""
    if model.env is None:
        model.set_env(gym.make("Pendulum-v1"))
    model._setup_learn(1_000_000)
    return model


def double(model):
    """Networks in float64, in place, for comparisons to 1e-12."""
    to(model, th.float64)
    return model


def to(model, dtype):
    """Everything that a model learns in another type, in place."""
    spec = spec_of(model)
    for name in spec.networks:
        getattr(model.policy, name).to(dtype)
    for _, tensor, _ in spec.learnt_by(model):
        tensor.data = tensor.data.to(dtype)


def lone_critics(model):
    """Each agent's target critic as an upstream module of its own."""
    from sb3_pr.networks.extraction import lone_policy

    dtype = next(model.policy.parameters()).dtype
    return [copy.deepcopy(lone_policy(model, i).critic_target).to(dtype) for i in range(model.n_columns)]


def trained(cls=TD3PR, steps=150, env="Pendulum-v1", **options):
    """Three agents after some updates."""
    options = {"n_agents": 3, "policy_kwargs": dict(SMALL), "seed": 0, **options}
    return cls("MlpPolicy", env, **options).learn(steps)
