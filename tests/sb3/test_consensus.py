"""Elastic averaging of parameters, against loops over agents; off, it is not there."""

import copy
import dataclasses
import warnings

import numpy as np
import pytest
import torch as th

from sb3_pr import TD3PR
from sb3_pr.consensus import draw_together
from sb3_pr.networks.layers import PerAgent
from tests.sb3.tools import SMALL, assert_same_bits, fill, prepare, tensors

N = 3
RUN = {"learning_starts": 60, "batch_size": 16, "seed": 2}
MATRIX = ((0, 2, 1), (0, 0, 0), (1, 0, 3))


class Clipped(th.optim.Adam):
    """Of a class of its own: every agent has one."""


def group(policy_kwargs=None, **options):
    kwargs = dict(policy_kwargs or SMALL)
    return TD3PR("MlpPolicy", "Pendulum-v1", n_agents=N, policy_kwargs=kwargs, **{**RUN, **options})


def parameters(model, name, agent):
    return [p.detach().double().numpy() for p in getattr(model.agent(agent).policy, name).parameters()]


@pytest.mark.parametrize("peers", ["complete", MATRIX], ids=["complete", "matrix"])
@pytest.mark.parametrize("kind", ["stacked", "optimiser each"])
@pytest.mark.few(2)
def test_a_step_is_that_of_plain_loops(kind, peers):
    options = {"optimizer_class": Clipped} if kind == "optimiser each" else {}
    model = prepare(group({**SMALL, **options}, consensus=0.2, peers=peers, kappa=0.0))
    fill(model, 100)
    plain = copy.deepcopy(model)
    plain.pr = plain.reciprocity.config = dataclasses.replace(model.pr, consensus=0.0)
    batch = model.replay_buffer.sample(16)
    for one in (model, plain):
        one.replay_buffer.sample = lambda size, env=None: batch
        th.manual_seed(0)
        one.train(1, 16)  # the critics' step; the actors' comes with the second update
    weights = model.reciprocity.peer_weights
    for i in range(N):
        stepped = [parameters(plain, "critic", j) for j in range(N)]
        for k, found in enumerate(parameters(model, "critic", i)):
            own = stepped[i][k]
            pulled = own + 0.2 * sum(weights[i, j] * (stepped[j][k] - own) for j in range(N) if j != i)
            np.testing.assert_allclose(found, pulled, rtol=1e-5, atol=1e-6)
    for one, other in zip(parameters(model, "actor", 0), parameters(plain, "actor", 0), strict=True):
        assert np.array_equal(one, other)


def test_modules_of_ones_own_are_averaged_too():
    networks = [th.nn.Linear(2, 2) for _ in range(N)]
    network, before = PerAgent(networks), copy.deepcopy(networks)
    networks[0].bias.requires_grad_(False)
    draw_together(network, np.full((N, N), 0.5), 0.1)
    for i in range(N):
        mean = sum(0.5 * (before[j].weight - before[i].weight) for j in range(N))
        th.testing.assert_close(networks[i].weight, before[i].weight + 0.1 * mean)
        assert th.equal(networks[i].bias, before[i].bias)  # frozen


def test_a_broken_agent_is_left_out():
    model = group(consensus=0.3)
    weight = model.policy.actor.mu[0].weight
    with th.no_grad():
        weight[2].fill_(th.nan)
        weight[1].add_(1)
    before = weight.detach().clone()
    draw_together(model.policy.actor, model.reciprocity.peer_weights, 0.3)
    th.testing.assert_close(weight[0].detach(), before[0] + 0.3 * 0.5 * (before[1] - before[0]))
    assert weight[2].isnan().all()


def test_all_begin_alike_and_stay_near():
    model = group(consensus=0.05, kappa=0.0)
    for tensor in model.policy.state_dict().values():
        assert all(th.equal(tensor[0], tensor[i]) for i in range(N))
    apart = group(kappa=0.0)
    for one in (model, apart):
        one.learn(300)
    spread = [one.policy.critic.qf0[0].weight.detach().std(0).mean() for one in (model, apart)]
    assert 0 < spread[0] < spread[1]


def test_who_does_not_begin_alike_is_said_and_kept(tmp_path):
    apart = group(kappa=0.0).learn(90)
    apart.save(tmp_path / "apart")
    agents, before = [apart.agent(i) for i in range(N)], apart.policy.state_dict()
    for make in (
        lambda: TD3PR.load(tmp_path / "apart", consensus=0.1),
        lambda: TD3PR.from_agents(agents, consensus=0.1),
    ):
        with pytest.warns(UserWarning, match=r"consensus=0\.1: these agents have different weights"):
            given = make()
        assert all(th.equal(tensor, before[name]) for name, tensor in given.policy.state_dict().items())
        given.save(tmp_path / "given")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TD3PR.from_agents(agents[0], n_agents=N, consensus=0.1)
        TD3PR.from_agents(agents)
        TD3PR.load(tmp_path / "given", consensus=0.2)  # has been averaged before
        TD3PR.load(tmp_path / "apart")
        group(consensus=0.1).save(tmp_path / "new")
        TD3PR.load(tmp_path / "new", consensus=0.2)


def test_off_is_not_there():
    assert_same_bits(group(consensus=0.0).learn(240), group().learn(240))
    one = {"policy_kwargs": dict(SMALL), **RUN}
    alone = [TD3PR("MlpPolicy", "Pendulum-v1", **one, **more).learn(120) for more in ({}, {"consensus": 0.5})]
    assert_same_bits(*alone)


def test_a_copy_and_a_loaded_model_go_on(tmp_path):
    model = prepare(group(consensus=0.1))
    fill(model, 100)
    model.train(3, 16)
    model.save(tmp_path / "model")
    loaded = prepare(TD3PR.load(tmp_path / "model", env=model.get_env()))
    copied, batch = copy.deepcopy(model), model.replay_buffer.sample(16)
    for one in (model, loaded, copied):
        one.replay_buffer.sample = lambda size, env=None: batch
        th.manual_seed(0)
        one.train(2, 16)
    for other in (loaded, copied):
        left, right = tensors(model), tensors(other)
        assert all(th.equal(left[name], right[name]) for name in left)
    assert TD3PR.load(tmp_path / "model", consensus=0.3).pr.consensus == 0.3
