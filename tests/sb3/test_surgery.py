"""Whatever a user does to SB3's networks has with n agents the effect that it has with one, or is refused at once."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch as th
from stable_baselines3.common import policies as sb3_policies
from stable_baselines3.common.logger import configure
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.optim import optimizer

from sb3_pr import TD3PR
from sb3_pr.networks.stacking import stack
from sb3_pr.networks.surgery import SurgeryError
from tests.sb3.tools import double, fill, tensors

N, BATCH = 3, 6


class Swish(nn.Module):
    def forward(self, x):
        return x * x.sigmoid()


def group(n_agents=N, kappa=0.0, **policy_kwargs):
    options = {"policy_kwargs": {"net_arch": [8, 8], **policy_kwargs}, "target_policy_noise": 0.0, "buffer_size": 300}
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=n_agents, kappa=kappa, seed=0, batch_size=8, **options)
    model.set_logger(configure(None, []))
    return model


def freeze_a_layer(policy, rng, n):
    network, layer = (policy.actor.mu, policy.critic.qf0)[rng.integers(2)], 2 * int(rng.integers(3))
    network[layer].requires_grad_(False)


def freeze_biases(policy, rng, n):
    for name, parameter in policy.critic.named_parameters():
        parameter.requires_grad = "bias" not in name


def freeze_the_actor(policy, rng, n):
    policy.actor.requires_grad_(False)
    policy.actor.mu[int(rng.integers(3)) * 2].bias.requires_grad_(True)


def hook_that_changes_the_output(policy, rng, n):
    layer = int(rng.integers(6))
    for actor in (policy.actor, policy.actor_target):
        actor.mu[layer].register_forward_hook(lambda module, inputs, output: output * 0.5)


def hook_on_a_gradient(policy, rng, n):
    policy.critic.qf1[2].weight.register_hook(lambda gradient: gradient.clamp(-1e-3, 1e-3))
    policy.actor.mu[2].register_full_backward_hook(lambda module, inputs, outputs: (2 * inputs[0],))


def exchange_activations(policy, rng, n):
    layer, kind = 1 + 2 * int(rng.integers(2)), (nn.ELU, nn.Tanh, Swish)[rng.integers(3)]
    for network in (policy.actor.mu, policy.actor_target.mu, policy.critic.qf0, policy.critic_target.qf0):
        network[layer] = kind()


def reinitialise(policy, rng, n):
    for module in policy.critic.modules():
        if isinstance(module, nn.Linear):
            nn.init.constant_(module.weight, 0.1)
            module.bias.data.fill_(0.05)


def add_a_layer(policy, rng, n):
    for network in (policy.actor.mu, policy.actor_target.mu):
        lone = [nn.LayerNorm(8).double() for _ in range(n)]
        network.insert(2, stack(lone) if n > 1 else lone[0])
        network.insert(1, nn.LayerNorm(8, elementwise_affine=False))
    policy.actor.optimizer.add_param_group({"params": list(policy.actor.mu[3].parameters())})


def put_slices_together(policy, rng, n):
    for actor in (policy.actor, policy.actor_target):
        actor.mu = nn.Sequential(*actor.mu[:2], nn.Dropout(0.0), *actor.mu[2:])


def share_the_extractor(policy, rng, n):
    policy.critic.features_extractor = policy.actor.features_extractor


SURGERY = [
    *(freeze_a_layer, freeze_biases, freeze_the_actor, hook_that_changes_the_output, hook_on_a_gradient),
    *(exchange_activations, reinitialise, add_a_layer, put_slices_together, share_the_extractor),
]


@pytest.mark.parametrize("seed", range(14))
@pytest.mark.few(7)
def test_surgery_acts_on_every_agent_as_on_a_lone_model(seed, monkeypatch):
    """Random surgery on a group and on n upstream models with the same weights; then updates on the same batches."""
    cast = sb3_policies.preprocess_obs
    monkeypatch.setattr(sb3_policies, "preprocess_obs", lambda *args, **kwargs: cast(*args, **kwargs).double())
    model = double(group())
    fill(model, 60, seed)
    alone = [double(model.agent(i)) for i in range(N)]
    chosen = [SURGERY[seed % len(SURGERY)], *np.random.default_rng(seed).choice(SURGERY, 2)]
    for policy, n in [(model.policy, N), *((lone.policy, 1) for lone in alone)]:
        rng = np.random.default_rng(seed)
        for operate in chosen:
            operate(policy, rng, n)
    before = {name: tensor.clone() for name, tensor in tensors(model).items()}
    update(model, alone, 6)
    assert any(not th.equal(tensor, before[name]) for name, tensor in tensors(model).items() if name in before)
    for i, lone in enumerate(alone):
        mine, expected = model.agent(i).policy.state_dict(), lone.policy.state_dict()
        assert mine.keys() == expected.keys()
        for name, tensor in expected.items():
            th.testing.assert_close(mine[name], tensor, rtol=1e-9, atol=1e-11, msg=f"{name} of {i} after {chosen}")


def update(model, alone, updates):
    """As many updates of a group and of lone models on the same batches."""
    drawn = [model.replay_buffer.sample(BATCH) for _ in range(updates)]
    batches = [type(batch)(*(_map(field, th.Tensor.double) for field in batch)) for batch in drawn]
    for index, one in enumerate([*alone, model]):
        rows = slice(index * BATCH, (index + 1) * BATCH) if one is not model else slice(None)
        own = iter([type(batch)(*(_map(field, lambda x, r=rows: x[r]) for field in batch)) for batch in batches])
        one.set_logger(configure(None, []))
        one.replay_buffer.sample = lambda *_, own=own, **__: next(own)
        one.train(updates, BATCH)


def _map(field, change):
    return change(field) if isinstance(field, th.Tensor) else field


@pytest.mark.parametrize(
    "operate",
    [
        lambda mu: mu.append(nn.Linear(1, 1)),
        lambda mu: mu.insert(1, nn.LayerNorm(8)),
        lambda mu: mu.add_module("norm", nn.BatchNorm1d(1)),
        lambda mu: mu.__setitem__(0, nn.Linear(3, 8)),
        lambda mu: mu.__setitem__(1, nn.Sequential(nn.ELU(), nn.PReLU())),
        lambda mu: mu.__setitem__(0, stack([nn.Linear(3, 8) for _ in range(2)])),
        lambda mu: setattr(mu[0], "weight", nn.Parameter(th.zeros(8, 3))),
        lambda mu: mu.register_parameter("scale", nn.Parameter(th.ones(1))),
        lambda mu: prune.l1_unstructured(mu[0], "weight", 0.3),
        lambda mu: prune.global_unstructured([(mu[0], "weight")], prune.L1Unstructured, amount=0.3),
        lambda mu: weight_norm(mu[0]),
        lambda mu: spectral_norm(mu[0]),
        lambda mu: parametrizations.weight_norm(mu[0]),
        lambda mu: parametrizations.spectral_norm(mu[0]),
        lambda mu: nn.init.orthogonal_(mu[0].weight),
        lambda mu: nn.init.xavier_uniform_(mu[2].weight),
        lambda mu: nn.init.orthogonal_(mu[0].weight.data),
        lambda mu: nn.init.xavier_normal_(mu[2].weight[:]),
        lambda mu: nn.init.orthogonal_(mu[2].weight.data[:2]),
        lambda mu: nn.init.kaiming_uniform_(mu[2].weight.detach()),
        lambda mu: nn.init.sparse_(mu[2].weight.data, 0.5),
        lambda mu: nn.init.xavier_normal_(mu[2].bias.data),
        lambda mu: setattr(mu[0].weight, "data", th.zeros(8, 3)),
        lambda mu: setattr(mu[0].bias, "data", th.zeros(8)),
        lambda mu: mu.apply(lambda module: sb3_policies.BasePolicy.init_weights(module)),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.few(12)
def test_what_would_mix_the_agents_is_refused_and_changes_nothing(operate):
    model = group()
    layers, before = list(model.actor.mu), copy.deepcopy(model.actor.state_dict())
    with pytest.raises(SurgeryError, match="agents"):
        operate(model.actor.mu)
    assert list(model.actor.mu) == layers
    after = model.actor.state_dict()
    assert after.keys() == before.keys()
    assert all(th.equal(after[name], before[name]) for name in before)
    model.learn(120)


def test_a_lone_network_cannot_become_the_groups():
    model = group()
    with pytest.raises(SurgeryError, match="in a network of 3 agents"):
        model.policy.actor = model.agent(0).actor
    model.policy.actor = copy.deepcopy(model.policy.actor)


def test_each_agents_matrix_can_be_initialised_by_itself():
    layer = group().actor.mu[2]
    for matrix in layer.matrices():
        nn.init.orthogonal_(matrix)
    for matrix in layer.weight.detach():
        th.testing.assert_close(matrix @ matrix.T, th.eye(8), atol=1e-5, rtol=0)
    layer.reset_parameters()
    assert float(layer.weight.detach().abs().max()) <= 1 / np.sqrt(8)
    assert not th.equal(layer.weight[0], layer.weight[1])


def renewed(layer):
    layer.weight = nn.Parameter(layer.weight)
    return layer


def repickled(layer):
    return pickle.loads(pickle.dumps(layer))


@pytest.mark.parametrize("passed_on", [copy.deepcopy, repickled, nn.Module.double, renewed])
def test_copies_are_guarded_and_what_is_saved_is_torchs_own(passed_on):
    layer = passed_on(group().actor.mu[2])
    for tensor in (layer.weight, layer.weight.data, layer.weight.detach()):
        with pytest.raises(SurgeryError, match="agents"):
            nn.init.orthogonal_(tensor)
        nn.init.constant_(tensor, 0.25)
    assert (layer.weight == 0.25).all()
    layer.weight.data = th.ones_like(layer.weight)
    file = io.BytesIO()
    th.save([layer.weight, layer.weight.data, layer.weight.detach(), *layer.state_dict().values()], file)
    file.seek(0)
    loaded = th.load(file, weights_only=True)
    assert [type(tensor) for tensor in loaded] == [nn.Parameter, *[th.Tensor] * 4]
    assert not any(vars(tensor) for tensor in [*loaded, *layer.state_dict().values()])
    assert all((tensor == 1).all() for tensor in loaded[:4])


def test_torch_chooses_the_kernels_of_any_parameter():
    parameters = list(group().actor.mu.parameters())
    assert all(type(parameter) in optimizer._foreach_supported_types for parameter in parameters)


def test_hooks_on_critics_and_slices_of_networks():
    model, seen = group(), []
    model.critic.register_forward_hook(lambda *_: seen.append("critic"))
    model.critic_target.register_forward_hook(lambda *_: seen.append("target"))
    model.critic.qf0[0].register_forward_pre_hook(lambda *_: seen.append("layer"))
    fill(model, 40)
    model.train(2, 8)
    counted = [seen.count(name) for name in ("critic", "target", "layer")]
    assert counted == [2, 2, 3]  # the layer twice in the critic's losses, once in the actor's
    x, mu = th.randn(6, 3), model.actor.mu
    th.testing.assert_close((mu[4:](mu[:4](x)), mu[:2](x).clamp(max=0)), (mu(x), 0 * mu[:2](x)))


def test_what_is_set_on_the_critic_is_set_on_the_network():
    model = group()
    model.critic.qf0[1] = nn.ELU()
    model.critic.optimizer = th.optim.SGD(model.critic.parameters(), lr=0.1)
    assert [type(one) for one in (model.policy.critic.qf0[1], model.policy.critic.optimizer)] == [nn.ELU, th.optim.SGD]
    assert type(model.learn(150).agent(1).critic.optimizer) is th.optim.SGD
