"""Training mode, which SB3 sets three times a step, reaches a user's modules as torch sets it."""

import pytest
import torch as th
from stable_baselines3.td3.policies import Actor
from torch import nn

from sb3_pr import TD3PR
from sb3_pr.policies import MlpPolicy
from tests.sb3.test_surgery import group


class AlwaysStill(nn.Dropout):
    """Never in training mode, whatever it is told."""

    def train(self, mode=True):
        return super().train(False)


class Keeping(nn.Sequential):
    """Shows no children, so that those keep their mode."""

    def children(self):
        return iter(())


class Told(nn.ReLU):
    """Writes down in which mode it is set."""

    def __setattr__(self, name, value):
        if name == "training":
            self.__dict__.setdefault("told", []).append(value)
        super().__setattr__(name, value)


def test_training_mode_reaches_every_module_as_torch_sets_it():
    critic = group().critic
    critic.qf0[1] = nn.Sequential(nn.ReLU(), nn.Dropout(0.5))
    critic.qf1[1] = nn.Sequential(AlwaysStill(0.5), Keeping(nn.Dropout(0.5).eval()), Told())
    frozen = critic.qf1[3]
    frozen.train = lambda mode=True: frozen  # on the module itself
    told = [module for module in critic.modules() if isinstance(module, Told)]
    already = {id(one): len(vars(one).get("told", [])) for one in told}
    for mode in (True, False, True):
        critic.set_training_mode(mode)
        assert critic.training is critic.qf0[1][1].training is critic.features_extractor.training is mode
        others = {name for name, module in critic.wrapped.named_modules() if module.training is not mode}
        assert all(name.startswith("qf1") for name in others)
        assert not any(
            module.training
            for module in critic.modules()
            if isinstance(module, (AlwaysStill, nn.Dropout)) and module is not critic.qf0[1][1]
        )
    assert told
    assert all(one.told[already[id(one)] :] == [True, False, True] for one in told)
    with pytest.raises(ValueError, match="boolean"):
        critic.train("yes")


class NeverTraining(Actor):
    """An actor whose dropout is for later."""

    def set_training_mode(self, mode):
        self.__dict__.setdefault("asked", []).append(mode)
        self.train(False)


class Still(Actor):
    """An actor with a layer that is never in training mode, set so once."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mu[1] = nn.Sequential(nn.ReLU(), nn.Dropout(0.5)).eval()

    def set_training_mode(self, mode):
        pass


class OwnForward(Actor):
    def forward(self, obs):
        return super().forward(obs)


def with_actor(kind, n_agents):
    class Policy(MlpPolicy):
        def make_actor(self, features_extractor=None):
            return kind(**self._update_features_extractor(self.actor_kwargs, features_extractor)).to(self.device)

    return TD3PR(Policy, "Pendulum-v1", n_agents=n_agents, kappa=0.0, buffer_size=60)


def told(model, kind=Actor):
    """Three times which mode it is in; the networks of that class, an agent's each."""
    for mode in (True, False, True):
        model.policy.set_training_mode(mode)
        assert model.critic.training is mode
    return [module for module in model.actor.modules() if type(module) is kind]


@pytest.mark.parametrize("n_agents", [1, 3])
def test_a_networks_own_training_mode_is_asked_of_every_agent(n_agents):
    model = with_actor(NeverTraining, n_agents)
    actors = told(model, NeverTraining)
    assert not any(module.training for module in model.actor.modules())
    assert len(actors) == n_agents
    assert all(actor.asked[-3:] == [True, False, True] for actor in actors)


@pytest.mark.parametrize("n_agents", [1, 3])
def test_what_a_network_sets_once_stays(n_agents):
    actors = told(with_actor(Still, n_agents), Still)
    assert len(actors) == n_agents
    assert not any(actor.mu[1].training for actor in actors)


def test_networks_that_are_wrapped_or_changed_one_by_one_are_told():
    model = with_actor(OwnForward, 3)
    asked = []
    model.actor.agents[0] = th.compile(model.actor.agents[0], backend="eager")
    model.actor.agents[1].set_training_mode = asked.append
    told(model)
    assert asked == [True, False, True]
    assert model.actor.agents[0].training is model.actor.agents[2].training is True
