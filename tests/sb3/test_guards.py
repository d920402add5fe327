"""NaN and infinity are found in the update that they enter, named, and kept from the other agents."""

import logging

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3.common.env_util import make_vec_env

from marl_pr_common.checkpoint import load
from marl_pr_common.reciprocity.guards import NonFiniteError
from sb3_pr import TD3PR, CheckpointCallback, save_checkpoint
from sb3_pr.guards import broken_agents
from tests.sb3.tools import ALGORITHMS, SMALL, Odd, assert_same_bits, fill, prepare, tensors

NAN, INF = float("nan"), float("inf")
OWN = {**SMALL, "features_extractor_class": Odd}


class Breaks(gym.Wrapper):
    """Returns a bad reward or observation at step 60 in the copy that is told to."""

    def __init__(self, env, what, value):
        super().__init__(env)
        self.what, self.value, self.steps, self.breaks = what, value, 0, False

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        self.steps += 1
        if self.breaks and self.steps == 60:
            if self.what == "reward":
                reward = self.value
            else:
                observation = observation.copy()
                observation[1] = self.value
        return observation, reward, *rest


def model_of(cls=TD3PR, n_agents=3, **options):
    options = {"policy_kwargs": dict(SMALL), **options}
    return cls("MlpPolicy", "Pendulum-v1", n_agents=n_agents, seed=0, **options)


def trained(*args, **options):
    model = prepare(model_of(*args, **options))
    fill(model, 200)
    model.train(4, 16)
    return model


def others_finite(model, agent):
    return all(
        th.isfinite(tensor[[i for i in range(model.n_agents) if i != agent]]).all()
        for tensor in tensors(model).values()
        if tensor.ndim > 1
    )


@pytest.mark.parametrize(
    ("n_agents", "what", "value"),
    [(1, "reward", NAN), (3, "reward", -INF), (1, "observation", INF), (3, "observation", NAN)],
)
@pytest.mark.few(2)
def test_environments(n_agents, what, value, tmp_path):
    venv = make_vec_env("Pendulum-v1", n_agents, wrapper_class=Breaks, wrapper_kwargs={"what": what, "value": value})
    venv.envs[-1].breaks = True
    model = TD3PR("MlpPolicy", venv, policy_kwargs=dict(SMALL), learning_starts=20, seed=0)
    with pytest.raises(NonFiniteError, match=rf"non-finite {what} of agent {n_agents - 1}.* step {60 * n_agents}"):
        model.learn(500, callback=CheckpointCallback(20, tmp_path))
    assert all(th.isfinite(tensor).all() for tensor in tensors(model).values())
    assert np.isfinite(model.replay_buffer.rewards).all()
    assert load(tmp_path).manifest.step == 40 * n_agents


@pytest.mark.parametrize(
    ("part", "estimator", "value"),
    [("critic_target", "full", NAN), ("critic_target", "sampled", INF), ("critic", "full", -INF),
     ("critic", "sampled", NAN)],
)  # fmt: skip
@pytest.mark.parametrize("cls", ALGORITHMS[:1])
def test_a_peers_critic(cls, part, estimator, value, caplog):
    """The broken agent is named in this update; the others learn on with finite parameters."""
    model = trained(cls, estimator=estimator)
    before = {name: tensor.clone() for name, tensor in tensors(model).items()}
    with th.no_grad():
        for q_network in getattr(model.policy, part).q_networks:
            q_network[0].weight[1].fill_(value)
    update = model._n_updates
    with caplog.at_level(logging.WARNING, "marl_pr"):
        model.train(1, 16)
    assert "agent 1" in caplog.text
    assert "qf0" in caplog.text or "peer value" in caplog.text
    assert f"update {update + 1}" in caplog.text
    model.train(10, 16)
    assert others_finite(model, 1)
    name = "critic.qf0.0.weight"
    for agent in (0, 2):
        assert not th.equal(tensors(model)[name][agent], before[name][agent])


@pytest.mark.parametrize(
    ("n_agents", "network", "value"), [(1, "actor", NAN), (3, "actor", INF), (1, "critic", -INF), (3, "critic", NAN)]
)
def test_a_gradient(n_agents, network, value):
    model = trained(n_agents=n_agents)
    name, parameter = next(iter(getattr(model.policy, network).named_parameters()))
    agent = n_agents - 1

    def poison(gradient):
        gradient = gradient.clone()
        (gradient[agent] if n_agents > 1 else gradient).view(-1)[3] = value
        return gradient

    handle = parameter.register_hook(poison)
    before = {key: tensor.clone() for key, tensor in model.policy.state_dict().items() if key.startswith(network + ".")}
    with pytest.raises(NonFiniteError, match=rf"gradient of agent {agent}, tensor {network}\.{name}, at update \d+"):
        model.train(2, 16)
    handle.remove()
    after = model.policy.state_dict()
    assert all(th.equal(tensor, after[key]) for key, tensor in before.items())
    model.train(4, 16)  # nothing is broken
    assert all(th.isfinite(tensor).all() for tensor in tensors(model).values())


@pytest.mark.parametrize(("n_agents", "networks"), [(1, SMALL), (3, SMALL), (3, OWN)])
def test_a_loss(n_agents, networks):
    model = trained(n_agents=n_agents, policy_kwargs=dict(networks))
    rewards = model.replay_buffer.rewards
    rewards[:, -1] = 1e25  # finite, but its square is not in float32
    with pytest.raises(NonFiniteError, match=rf"non-finite critic_loss of agent {n_agents - 1} at update \d+"):
        model.train(1, 16)


def test_a_module_of_a_lone_agent_may_have_the_name_of_ours():
    model = trained(n_agents=1, policy_kwargs=OWN)
    with th.no_grad():
        model.actor.features_extractor.agents[1].weight.fill_(NAN)
    assert broken_agents(model) == [0]


def test_a_replay_that_holds_nan_already():
    model = trained()
    model.replay_buffer.rewards[:, 2] = np.nan
    with pytest.raises(NonFiniteError, match="gradient of agent 2"):
        model.train(1, 16)
    assert all(th.isfinite(tensor).all() for tensor in tensors(model).values())


def test_every_agent_broken_is_an_error():
    model = trained()
    with th.no_grad():
        model.policy.critic_target.qf0[0].weight.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match="gradient of agent 0"):
        model.train(1, 16)


def test_no_broken_model_is_saved_over_a_good_one(tmp_path, caplog):
    model = model_of(learning_starts=10)
    callback = CheckpointCallback(20, tmp_path)
    model.learn(120, callback=callback)
    good = load(tmp_path).manifest.step
    with th.no_grad():
        model.policy.actor.mu[0].weight[2].fill_(float("nan"))
    with pytest.raises(NonFiniteError, match=r"actor\.mu\.0\.weight of agent 2 is not finite.*last good one"):
        save_checkpoint(model, tmp_path)
    callback._save()
    assert "no checkpoint was saved" in caplog.text
    assert load(tmp_path).manifest.step == good


@pytest.mark.parametrize("n_agents", [1, 3])
def test_values_beyond_what_rewards_allow(n_agents, caplog):
    model = trained(n_agents=n_agents, gamma=0.9)
    model.watch.alarm.see(np.array([-1.0]))  # |Q| <= 10
    model.train(20, 16)
    assert "diverges" not in caplog.text
    with th.no_grad():
        for network in (model.policy.critic, model.policy.critic_target):
            for q_network in network.q_networks:
                bias = list(q_network.parameters())[-1]
                bias[-1].add_(1000.0)
    model.train(20, 16)
    said = [record.message for record in caplog.records if "diverges" in record.message]
    assert len(said) == 1
    assert f"agent {n_agents - 1} diverges" in said[0]
    assert "|Q| <= 10" in said[0]


def test_the_alarm_knows_no_bound_before_a_reward_or_without_discount(caplog):
    model = trained()
    model.watch.alarm.check(np.array([1e9]), 0.9, 1)
    model.watch.alarm.see(np.array([1.0]))
    model.watch.alarm.check(np.array([1e9]), 1.0, 1)
    assert caplog.text == ""


@pytest.mark.parametrize("n_agents", [1, 3])
@pytest.mark.few(1)
def test_guards_change_nothing(n_agents):
    def learned(guards):
        return model_of(TD3PR, n_agents, learning_starts=20, guards=guards).learn(60 * n_agents)

    assert_same_bits(learned(True), learned(False))
