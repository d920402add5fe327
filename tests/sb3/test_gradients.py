"""Gradients of the stacked networks: of the fused pass, and of the actor's objective with and without peers."""

import copy
import itertools

import pytest
import torch as th
from stable_baselines3.common import policies as sb3_policies
from torch import nn

from sb3_pr.networks.extraction import lone_policy
from sb3_pr.networks.layers import PerAgent, StackedLinear
from sb3_pr.networks.mlp import StackedMLP, frozen
from sb3_pr.networks.stacking import agent_state_dict, agent_tensors, stack
from tests.sb3.tools import ALGORITHMS, double

N, BATCH = 3, 5


def perceptrons(squash, out=1, hidden=(7, 4)):
    """N lone perceptrons in float64, and what SB3's create_mlp would make of their shapes."""

    def one():
        sizes = [6, *hidden, out]
        layers = []
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU()]
        layers = layers[:-1] + ([nn.Tanh()] if squash else [])
        return nn.Sequential(*layers).double()

    return [one() for _ in range(N)]


@pytest.mark.parametrize("hidden", [(7, 4), (3,), ()])
@pytest.mark.parametrize("out", [1, 2])
@pytest.mark.parametrize("squash", [False, True])
def test_the_fused_pass_equals_lone_perceptrons_forward_and_backward(squash, out, hidden):
    lone = perceptrons(squash, out, hidden)
    stacked = stack([copy.deepcopy(network) for network in lone])
    assert type(stacked) is StackedMLP
    x = th.randn(N * BATCH, 6, dtype=th.float64, requires_grad=True)
    weights = th.randn(N * BATCH, out, dtype=th.float64)
    (stacked(x) * weights).sum().backward()
    y = x.detach().clone().requires_grad_()
    expected = th.cat([network(block) for network, block in zip(lone, y.chunk(N), strict=True)])
    (expected * weights).sum().backward()
    th.testing.assert_close(stacked(x), expected, rtol=1e-12, atol=1e-12)
    th.testing.assert_close(x.grad, y.grad, rtol=1e-12, atol=1e-12)
    for i, network in enumerate(lone):
        mine = {name: select(tensor.grad) for name, tensor, select in agent_tensors(stacked, i)}
        for name, parameter in network.named_parameters():
            th.testing.assert_close(mine[name], parameter.grad, rtol=1e-12, atol=1e-12)


def test_the_fused_pass_passes_gradcheck():
    stacked = stack(perceptrons(True, 2))
    x = th.randn(N * BATCH, 6, dtype=th.float64, requires_grad=True)
    assert th.autograd.gradcheck(stacked, (x,))


@pytest.mark.parametrize("forward", ["forward", "q1_forward"])
def test_the_mean_over_all_rows_gives_each_agent_the_gradient_of_its_own_mean(forward):
    model = ALGORITHMS[0]("MlpPolicy", "Pendulum-v1", n_agents=N, policy_kwargs={"net_arch": [8]}, seed=0)
    obs, actions = th.randn(N * BATCH, 3), th.randn(N * BATCH, 1, requires_grad=True)

    def gradients(critic, obs, actions):
        values = getattr(critic, forward)(obs, actions)
        (values if forward == "q1_forward" else values[0]).mean().backward()
        return actions.grad, critic.qf0

    of_actions, _ = gradients(model.policy.critic, obs, actions)
    for i in range(N):
        rows = slice(i * BATCH, (i + 1) * BATCH)
        own, lone = gradients(lone_policy(model, i).critic, obs[rows], actions[rows].detach().requires_grad_())
        th.testing.assert_close(of_actions[rows], own)
        mine = {name: part(tensor.grad) for name, tensor, part in agent_tensors(model.policy.critic.qf0, i)}
        for name, parameter in lone.named_parameters():
            th.testing.assert_close(mine[name], parameter.grad)


def test_frozen_networks_pass_gradients_to_their_input_only():
    stacked = stack(perceptrons(False))
    x = th.randn(N * BATCH, 6, dtype=th.float64, requires_grad=True)
    with frozen(stacked):
        stacked(x).sum().backward()
    assert all(parameter.grad is None for parameter in stacked.parameters())
    frozen_grad, x.grad = x.grad.clone(), None
    stacked(x).sum().backward()
    th.testing.assert_close(x.grad, frozen_grad, rtol=0, atol=0)
    assert all(parameter.grad is not None for parameter in stacked.parameters())


def test_other_architectures_are_stacked_layer_by_layer():
    def one():
        return nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), nn.ELU(), nn.Linear(4, 1, bias=False)).double()

    lone = [one() for _ in range(N)]
    stacked = stack([copy.deepcopy(network) for network in lone])
    assert [type(layer) for layer in stacked] == [StackedLinear, PerAgent, nn.ELU, StackedLinear]
    x = th.randn(N * BATCH, 6, dtype=th.float64)
    expected = th.cat([network(block) for network, block in zip(lone, x.chunk(N), strict=True)])
    th.testing.assert_close(stacked(x), expected, rtol=1e-12, atol=1e-12)
    for i, network in enumerate(lone):
        found = agent_state_dict(stacked, i)
        assert all(th.equal(found[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("in_actor", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS[:2])  # SAC's stands in test_sac
def test_the_actors_gradient(algorithm, in_actor, monkeypatch):
    """Agent i's actor receives the gradient of mean_b (1 - kappa) Q_i(s, mu_i(s)) + kappa mean_j Q'_j(s, mu_i(s)),
    as a lone actor would; without ``in_actor`` that of Q_i alone. No critic receives any."""
    cast = sb3_policies.preprocess_obs
    monkeypatch.setattr(sb3_policies, "preprocess_obs", lambda *args, **kwargs: cast(*args, **kwargs).double())
    model = algorithm(
        "MlpPolicy", "Pendulum-v1", n_agents=N, kappa=0.4, in_actor=in_actor, policy_kwargs={"net_arch": [8]}, seed=0
    )
    double(model)
    with th.no_grad():
        for parameter in model.policy.critic_target.parameters():
            parameter.add_(th.randn_like(parameter))
    obs = th.randn(N * BATCH, 3, dtype=th.float64)
    (-model.critic.q1_forward(obs, model.actor(obs)).mean()).backward()
    for part in (model.policy.critic, model.policy.critic_target):
        assert all(parameter.grad is None for parameter in part.parameters())
    lone = [lone_policy(model, i) for i in range(N)]
    for i, block in enumerate(obs.chunk(N)):
        actions = lone[i].actor(block)
        value = lone[i].critic.q1_forward(block, actions)
        if in_actor:
            others = [lone[j].critic_target.q1_forward(block, actions) for j in range(N) if j != i]
            value = 0.6 * value + 0.4 * sum(others) / len(others)
        (-value.mean()).backward()
        mine = {name: select(tensor.grad) for name, tensor, select in agent_tensors(model.policy.actor, i)}
        for name, parameter in lone[i].actor.named_parameters():
            th.testing.assert_close(mine[name], parameter.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        *((algorithm, {"in_actor": True}) for algorithm in ALGORITHMS),
        (ALGORITHMS[0], {}),
        (ALGORITHMS[0], {"in_actor": True, "estimator": "sampled"}),
    ],
)
@pytest.mark.few(1)
def test_a_broken_agent_breaks_no_other(algorithm, options):
    """All networks of agent 2 are NaN: the others stay finite through their updates, and still learn."""
    model = algorithm("MlpPolicy", "Pendulum-v1", n_agents=N, policy_kwargs={"net_arch": [8]}, seed=0, **options)
    model.learn(130 * N)
    with th.no_grad():
        for network in (model.policy.critic, model.policy.critic_target, model.policy.actor):
            for parameter in network.parameters():
                parameter[2].fill_(th.nan)
    before = [agent_state_dict(model.policy.actor, i) for i in range(2)]
    model.train(10, 16)
    for i in range(2):
        for network in (model.policy.actor, model.policy.critic, model.policy.critic_target):
            assert all(th.isfinite(tensor).all() for tensor in agent_state_dict(network, i).values())
        after = agent_state_dict(model.policy.actor, i)
        assert all(not th.equal(after[name], before[i][name]) for name in after if name.endswith("weight"))
    assert model.reciprocity.masked_peer_values > 0
