"""Networks of a user's own making, and other ways than ``forward`` to look into stacked ones."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import FakeImageEnv
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch.autograd import forward_ad
from torch.nn import utils as nn_utils
from torch.nn.utils import clip_grad_norm_, weight_norm

from sb3_pr import DDPGPR, TD3PR, policies
from sb3_pr.networks.mlp import StackedMLP
from sb3_pr.networks.surgery import SurgeryError
from tests.sb3.test_surgery import N, group


def test_a_second_derivative_is_that_of_the_layers():
    """A gradient penalty, say; the fused pass's own backward would miss what its activations depend on."""
    network, x = group().critic.qf0, th.randn(6, 4, requires_grad=True)
    assert type(network) is StackedMLP

    def gradients():
        (slope,) = th.autograd.grad(network(x).sum(), x, create_graph=True)
        penalty = ((slope.norm(2, 1) - 1) ** 2).sum()
        return th.autograd.grad(penalty, [layer.weight for layer in network[::2]])

    fused = gradients()
    network[0].register_forward_hook(lambda *_: None)
    for got, expected in zip(fused, gradients(), strict=True):
        th.testing.assert_close(got, expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tracing_functional_calls_and_autocast_see_plain_layers(tmp_path):
    network, x = group().actor.mu, th.randn(6, 3)
    th.jit.trace(network, x).save(tmp_path / "traced.pt")
    th.testing.assert_close(th.jit.load(tmp_path / "traced.pt")(x), network(x))
    parameters = dict(network.named_parameters())
    found = th.func.grad(lambda given: th.func.functional_call(network, given, x).sum())(parameters)
    network(x).sum().backward()
    for name, parameter in network.named_parameters():
        th.testing.assert_close(found[name], parameter.grad)
    with forward_ad.dual_level():
        assert forward_ad.unpack_dual(network(forward_ad.make_dual(x, x))).tangent.shape == (6, 1)
    with th.autocast("cpu", th.bfloat16):
        assert network(x).dtype == th.bfloat16


class ScaledActor(policies.Actor):
    def forward(self, obs):
        return 0.5 * super().forward(obs)


class OwnNetworks(policies.MlpPolicy):
    """What Stable-Baselines3's documentation tells users to override."""

    def make_actor(self, features_extractor=None):
        return ScaledActor(**self._update_features_extractor(self.actor_kwargs, features_extractor)).to(self.device)

    def make_critic(self, features_extractor=None):
        critic = super().make_critic(features_extractor)
        critic.qf0[0] = weight_norm(critic.qf0[0])
        critic.qf0[2].requires_grad_(False)
        return critic


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_networks_that_a_policy_class_makes_are_made_for_every_agent():
    options = {"learning_starts": 10, "batch_size": 8, "buffer_size": 300, "policy_kwargs": {"net_arch": [8, 8]}}
    model = TD3PR(OwnNetworks, "Pendulum-v1", n_agents=N, seed=0, **options)
    still = model.policy.critic.qf0[2].weight.clone()
    before = copy.deepcopy(model.policy.state_dict())
    model.learn(90)
    after = model.policy.state_dict()
    assert th.equal(after["critic.qf0.2.weight"], still)
    for i in range(N):
        assert not th.equal(after[f"actor.agents.{i}.mu.0.weight"], before[f"actor.agents.{i}.mu.0.weight"])
        assert not th.equal(after[f"critic.qf0.0.agents.{i}.weight_g"], before[f"critic.qf0.0.agents.{i}.weight_g"])
    obs = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
    for i, action in enumerate(model.predict(obs)[0]):
        np.testing.assert_allclose(model.agent(i).predict(obs[i])[0], action, atol=1e-6)


class Compiled(policies.MlpPolicy):
    def make_actor(self, features_extractor=None):
        return th.compile(super().make_actor(features_extractor), backend="eager")


def test_networks_that_a_policy_class_compiles():
    model = TD3PR(Compiled, "Pendulum-v1", n_agents=N, seed=0, learning_starts=10, batch_size=8, buffer_size=90)
    model.learn(60)
    obs = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
    for i, action in enumerate(model.predict(obs)[0]):
        np.testing.assert_allclose(model.agent(i).predict(obs[i])[0], action, atol=1e-6)


def test_masks_do_not_reach_into_networks_of_ones_own_and_say_so():
    with pytest.raises(ValueError, match="observation_masks with networks of class ScaledActor"):
        TD3PR(OwnNetworks, "Pendulum-v1", n_agents=N, observation_masks=np.ones((N, 3)), buffer_size=90)


class OwnExtractor(BaseFeaturesExtractor):
    """As in Stable-Baselines3's documentation: layers behind a forward of its own, batch norm among them."""

    def __init__(self, observation_space, features_dim=6, slope=0.1):
        super().__init__(observation_space, features_dim)
        self.slope = slope
        size = spaces.flatdim(observation_space)
        self.net = th.nn.Sequential(th.nn.Linear(size, features_dim), th.nn.BatchNorm1d(features_dim))

    def forward(self, observations):
        parts = observations.values() if isinstance(observations, dict) else [observations]
        found = self.net(th.cat([part.flatten(1) for part in parts], dim=1))
        return th.nn.functional.leaky_relu(found, self.slope)


class Parts(gym.ObservationWrapper):
    def __init__(self):
        super().__init__(gym.make("Pendulum-v1"))
        box = self.env.observation_space
        self.observation_space = spaces.Dict({"angle": spaces.Box(-1, 1, (2,)), "speed": spaces.Box(-8, 8, (1,))})
        assert box.shape == (3,)

    def observation(self, observation):
        return {"angle": observation[:2], "speed": observation[2:]}


def image():
    return FakeImageEnv(screen_height=36, screen_width=36, discrete=False)


OWN = {"features_extractor_class": OwnExtractor, "features_extractor_kwargs": {"features_dim": 5}}
EXTRACTORS = [
    ("MlpPolicy", lambda: gym.make("Pendulum-v1"), OWN),
    ("MultiInputPolicy", Parts, OWN),
    ("MultiInputPolicy", Parts, {}),
    ("CnnPolicy", image, {"features_extractor_kwargs": {"features_dim": 4}}),
]


@pytest.mark.parametrize(("share", "n_agents"), [(False, 2), (True, 1), (True, 2)])
@pytest.mark.parametrize(("policy", "env", "extractor"), EXTRACTORS)
def test_features_extractors_own_and_shared(policy, env, extractor, share, n_agents):
    cls = DDPGPR if share else TD3PR
    kwargs = {"net_arch": [6], "share_features_extractor": share, **extractor}
    options = {"learning_starts": 4 * n_agents, "batch_size": 4, "buffer_size": 40, "seed": 0}
    model = cls(policy, make_vec_env(env, n_envs=n_agents), policy_kwargs=kwargs, **options).learn(8 * n_agents)
    assert (model.actor.features_extractor is model.policy.critic.features_extractor) is share
    obs = model.env.reset()
    actions = model.predict(obs)[0]
    for i in range(n_agents):
        lone = model.agent(i)
        assert (lone.actor.features_extractor is lone.critic.features_extractor) is share
        own = {key: value[i] for key, value in obs.items()} if isinstance(obs, dict) else obs[i]
        np.testing.assert_allclose(lone.predict(own)[0], actions[i], atol=1e-6)


def test_values_of_an_own_extractor_are_read_and_set_for_all_agents_and_modules_for_each():
    extractor = group(**OWN).actor.features_extractor
    assert isinstance(extractor, BaseFeaturesExtractor)
    assert (extractor.features_dim, extractor.slope) == (5, 0.1)
    extractor.slope = 0.3
    assert {agent.slope for agent in extractor.agents} == {0.3}
    with pytest.raises(AttributeError, match="3 agents have a OwnExtractor each"):
        extractor.net.requires_grad_(False)
    with pytest.raises(ValueError, match="3 agents at once"):
        extractor.net = th.nn.Linear(3, 5)


class Centred(th.nn.Module):
    """Looks at all rows that it is given."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        x = self.inner(x)
        return x - x.mean(0, keepdim=True)


def test_a_container_of_ones_own_sees_one_agents_rows():
    network, x = group().actor.mu, th.randn(4 * N, 3)
    network[1] = Centred(th.nn.ReLU())
    before = network(x)[:8].clone()
    x[8:] += 5
    assert th.equal(network(x)[:8], before)
    hidden = network[0](x)[4:8].relu()
    th.testing.assert_close(network[:2](x)[4:8], hidden - hidden.mean(0))


@pytest.mark.parametrize(
    ("wrap", "remedy"),
    [
        (lambda actor: setattr(actor, "mu", Centred(actor.mu)), "around layers of 3 agents.*make_actor.*nn.Sequential"),
        (lambda actor: actor.mu.insert(1, Centred(actor.mu[2])), "around layers of 3 agents.*make_actor"),
        (lambda actor: actor.mu.insert(1, Centred(th.nn.LayerNorm(8))), "share its weights.*stack"),
    ],
)
def test_a_container_of_ones_own_around_layers_is_refused(wrap, remedy):
    actor = group().actor
    before = str(actor)
    with pytest.raises(SurgeryError, match=remedy):
        wrap(actor)
    assert str(actor) == before


def test_an_agent_of_compiled_networks_is_not_compiled():
    model = group()
    expected = model.agent(1).policy.state_dict()
    model.policy.actor = model.actor = th.compile(model.policy.actor, backend="eager")
    model.actor.mu[1] = th.compile(th.nn.ReLU(), backend="eager")
    found = model.agent(1).policy.state_dict()
    assert found.keys() == expected.keys()
    assert all(th.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    "clip", [clip_grad_norm_, lambda given, c: nn_utils.clip_grads_with_norm_(given, c, th.ones(()))]
)
def test_clipping_by_a_norm_over_all_agents_is_refused(clip):
    model = group()
    model.actor.mu(th.randn(6, 3)).sum().backward()
    before = [parameter.grad.clone() for parameter in model.actor.mu.parameters()]
    with pytest.raises(SurgeryError, match="norm would be that of all agents.*optimizer_class"):
        clip(model.actor.parameters(), 1e-3)
    nn_utils.clip_grad_value_(model.actor.parameters(), 1e9)
    assert all(th.equal(one.grad, was) for one, was in zip(model.actor.mu.parameters(), before, strict=True))
    lone = model.agent(0).actor
    lone.mu(th.randn(6, 3)).sum().backward()
    clip_grad_norm_(lone.parameters(), 1e-3)
    assert sum(float(one.grad.square().sum()) for one in lone.parameters()) ** 0.5 <= 1.001e-3
