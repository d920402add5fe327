"""A model is an object like any other: its copies train as it would have, and nothing in them refers to it."""

import copy
import gc
import io
import pickle

import cloudpickle
import joblib
import numpy as np
import pytest
import torch as th

from sb3_pr import DDPGPR, SACPR, TD3PR
from tests.sb3.tools import assert_same_bits

MASKS = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
OPTIONS = {
    "one agent": (TD3PR, {"n_agents": 1}),
    "snapshot": (TD3PR, {"n_agents": 3, "sync_interval": 3, "peers": "random", "adjacency": "noise"}),
    "own critics": (DDPGPR, {"n_agents": 3, "own_critics": True}),
    "temperatures": (SACPR, {"n_agents": 2}),
    "masks": (TD3PR, {"n_agents": 3, "observation_masks": MASKS, "in_actor": True}),
}


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


COPIERS = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "cloudpickle": lambda model: pickle.loads(cloudpickle.dumps(model)),
    "joblib": through_joblib,
}


def made(name):
    cls, options = OPTIONS[name]
    small = {"policy_kwargs": {"net_arch": [8]}, "learning_starts": 15, "batch_size": 8, "buffer_size": 600}
    return cls("MlpPolicy", "Pendulum-v1", seed=0, **small, **options)


def reached(root):
    """Ids of everything that an object refers to, through closures too; modules and classes are nobody's."""
    found, rest = set(), [root]
    while rest:
        one = rest.pop()
        if id(one) in found or isinstance(one, (type, type(np), str, int, float)):
            continue
        found.add(id(one))
        if hasattr(one, "__globals__"):
            rest += [cell.cell_contents for cell in one.__closure__ or ()]
        else:
            rest += gc.get_referents(one)
    return found


CASES = [(name, how, 30) for name in OPTIONS for how in ("deepcopy", "pickle")] + [
    *((name, "pickle", 0) for name in OPTIONS),
    *((name, how, 30) for name in ("snapshot", "masks") for how in ("cloudpickle", "joblib")),
]


@pytest.mark.parametrize(("name", "how", "learnt"), CASES)
@pytest.mark.few(7)
def test_a_copy_trains_as_the_original_would_have(name, how, learnt):
    model = made(name)
    if learnt:
        model.learn(learnt)
    other = COPIERS[how](model)
    parts = (model, model.policy, model.policy.critic, model.policy.critic_target, model.replay_buffer, model.watch)
    assert not {id(part) for part in parts} & reached(other)
    for one in (model, other):
        th.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        one.learn(30, reset_num_timesteps=not learnt)
    assert_same_bits(model, other)
    assert other._n_updates == model._n_updates > 0


@pytest.mark.parametrize("name", OPTIONS)
def test_parts_are_copied_without_the_rest(name):
    model = made(name).learn(45)
    for part, copier in zip(("policy", "actor", "critic", "critic_target"), COPIERS.values(), strict=True):
        other = copier(getattr(model, part))
        assert not {id(one) for one in (model, model.env, model.replay_buffer, model.policy)} & reached(other)
        expected = getattr(model, part).state_dict()
        assert all(th.equal(tensor, expected[key]) for key, tensor in other.state_dict().items())


def test_guards_and_surgery_limits_come_along():
    model = pickle.loads(pickle.dumps(made("snapshot").learn(45)))
    with pytest.raises(ValueError, match="in a network of 3 agents"):
        model.actor.mu[0] = th.nn.Linear(3, 8)
    with pytest.raises(ValueError, match=r"torch\.nn\.init"):
        th.nn.init.orthogonal_(model.actor.mu[0].weight)
    with th.no_grad():
        model.critic.qf0[0].weight[1].fill_(th.nan)
    model.learn(30)
    assert model.watch.broken == {1}


def test_a_shallow_copy_trains_the_networks_it_shares():
    model = made("snapshot").learn(45)
    other = copy.copy(model)
    other.learn(15, reset_num_timesteps=False)
    assert other.policy is model.policy
    assert model.critic_target.n_updates == other._n_updates > model._n_updates
    model.learn(15, reset_num_timesteps=False)
    assert model.critic_target.n_updates == model._n_updates


@pytest.mark.parametrize("n_agents", [1, 3])
def test_parameters_are_read_and_set_as_upstreams(n_agents):
    options = {"policy_kwargs": {"net_arch": [8]}, "n_agents": n_agents, "learning_starts": 15, "batch_size": 8}
    model = TD3PR("MlpPolicy", "Pendulum-v1", seed=0, buffer_size=600, **options).learn(45)
    other = TD3PR("MlpPolicy", "Pendulum-v1", seed=1, buffer_size=600, **options)
    other.set_parameters(model.get_parameters())
    assert_same_bits(model, other)
    assert vars(model)["_n_updates"] == model._n_updates
