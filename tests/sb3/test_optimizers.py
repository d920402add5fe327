"""Optimisers: with kappa=0 every agent moves as it does alone, whatever the update looks at, also after going on."""

import copy
from collections import defaultdict

import gymnasium as gym
import pytest
import torch as th
from stable_baselines3.common.logger import configure
from torch.nn.utils import clip_grad_norm_

from sb3_pr import TD3PR, load_checkpoint, save_checkpoint
from sb3_pr.networks.optimizers import AgentOptimizers
from tests.sb3.tools import assert_same_bits, fill, tensors


class ClippedAdam(th.optim.Adam):
    """Clips by the norm of all its gradients, as users do for want of a max_grad_norm."""

    def step(self, closure=None):
        clip_grad_norm_([tensor for group in self.param_groups for tensor in group["params"]], 0.1)
        return super().step(closure)


class NormalisedSGD(th.optim.SGD):
    """Steps of one length: the learning rate over the norm of everything."""

    def step(self, closure=None):
        gradients = [tensor.grad for tensor in self.param_groups[0]["params"] if tensor.grad is not None]
        norm = th.stack([gradient.norm() for gradient in gradients]).norm()
        for gradient in gradients:
            gradient.div_(norm)
        return super().step(closure)


COUPLING = [(ClippedAdam, {}), (NormalisedSGD, {"momentum": 0.5}), (th.optim.Adafactor, {})]
CASES = [
    *((th.optim.Adam, {}), (th.optim.Adam, {"foreach": True, "amsgrad": True}), (th.optim.AdamW, {})),
    *((th.optim.RMSprop, {"centered": True}), (th.optim.SGD, {"momentum": 0.9}), (th.optim.Adagrad, {}), *COUPLING),
]


def group(kind, options, **more):
    policy_kwargs = {"net_arch": [8], "optimizer_class": kind, "optimizer_kwargs": dict(options)}
    small = {"learning_starts": 12, "batch_size": 8, "buffer_size": 300, "target_policy_noise": 0.0, "seed": 0, **more}
    return TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, kappa=0.0, policy_kwargs=policy_kwargs, **small)


@pytest.mark.parametrize(("kind", "options"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_an_agent_moves_and_goes_on_as_it_does_alone(kind, options):
    model = group(kind, options)
    model.set_logger(configure(None, []))
    fill(model, 40)
    model.train(3, 8)
    lone = model.agent(1)
    lone.set_logger(configure(None, []))
    drawn = [model.replay_buffer.sample(8) for _ in range(6)]
    for one, rows in ((model, slice(None)), (lone, slice(8, 16))):
        cut = [type(b)(*(f[rows] if isinstance(f, th.Tensor) else f for f in b)) for b in drawn]
        batches = iter(cut)
        one.replay_buffer.sample = lambda *_, batches=batches, **__: next(batches)
        one.train(6, 8)
    mine, expected = tensors(model.agent(1)), tensors(lone)
    assert mine.keys() == expected.keys()
    for name, tensor in expected.items():
        if "_out" not in name and "optimizer" not in name:
            th.testing.assert_close(mine[name], tensor, rtol=1e-4, atol=2e-6, msg=name)


@pytest.mark.parametrize(("kind", "options"), COUPLING, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.few(1)
def test_optimisers_of_agents_are_saved_copied_and_resumed(kind, options, tmp_path):
    model = group(kind, options).learn(45)
    assert type(model.actor.optimizer) is AgentOptimizers
    model.save(tmp_path / "model")
    assert_same_bits(model, TD3PR.load(tmp_path / "model", trust=True))
    assert_same_bits(model, copy.deepcopy(model))
    save_checkpoint(model, tmp_path / "checkpoints")
    resumed = group(kind, options)
    load_checkpoint(tmp_path / "checkpoints", resumed)
    for one in (resumed, model):
        load_checkpoint(tmp_path / "checkpoints", one)
        one.learn(45, reset_num_timesteps=False)
    assert_same_bits(model, resumed)


def test_state_of_one_optimiser_for_all_agents_is_taken_apart():
    """Files from before every agent had its own."""
    model = group(th.optim.Adam, {}).learn(45)
    other = group(ClippedAdam, {})
    other.critic.optimizer.load_state_dict(model.critic.optimizer.state_dict())
    for i in range(3):
        mine, expected = (one.agent(i).critic.optimizer.state_dict()["state"] for one in (other, model))
        assert mine.keys() == expected.keys()
        for index, moments in expected.items():
            assert all(th.equal(th.as_tensor(mine[index][key]), th.as_tensor(moments[key])) for key in moments)
    with pytest.raises(ValueError, match="2 parameter groups, expected 3"):
        other.critic.optimizer.load_state_dict({"state": {}, "param_groups": [{}, {}]})


@pytest.mark.parametrize("option", ["foreach", "fused", "differentiable"])
def test_the_users_options_of_adam_win(option):
    model = group(th.optim.Adam, {option: False} if option == "fused" else {option: True})
    assert model.actor.optimizer.param_groups[0]["fused"] is (False if option == "fused" else None)
    assert group(th.optim.Adam, {}).actor.optimizer.param_groups[0]["fused"] is True
    assert model.agent(0).actor.optimizer.param_groups[0][option] is (option != "fused")


def test_learning_rates_and_frozen_layers_reach_every_agents_optimiser():
    model = group(ClippedAdam, {}, learning_rate=lambda progress: 1e-3 * progress)
    model.actor.mu[0].requires_grad_(False)
    before = copy.deepcopy(model.actor.state_dict())
    model.learn(60)
    after = model.actor.state_dict()
    assert th.equal(after["mu.0.weight"], before["mu.0.weight"])
    assert all(not th.equal(after["mu.2.weight"][i], before["mu.2.weight"][i]) for i in range(3))
    rates = {one.param_groups[0]["lr"] for one in model.actor.optimizer.agents}
    assert rates == {model.lr_schedule(model._current_progress_remaining)}


def test_one_optimiser_over_all_agents_is_refused_where_they_would_meet():
    model = group(th.optim.Adam, {})
    with pytest.raises(ValueError, match="ClippedAdam.*optimizer_class=ClippedAdam"):
        model.actor.optimizer = ClippedAdam(model.actor.parameters())
    with pytest.raises(ValueError, match="add_param_group"):
        group(ClippedAdam, {}).actor.optimizer.add_param_group({"params": [th.nn.Parameter(th.zeros(1))]})
    lone = model.agent(0)
    lone.actor.optimizer = ClippedAdam(lone.actor.parameters())
    lone.set_env(gym.make("Pendulum-v1"))
    lone.learn(20)


def test_a_closure_is_refused_before_anything_moves():
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, policy_kwargs={"optimizer_class": ClippedAdam}, seed=0)
    before = {name: tensor.clone() for name, tensor in tensors(model).items()}
    with pytest.raises(ValueError, match=r"step\(closure\): each agent has a ClippedAdam of its own"):
        model.actor.optimizer.step(lambda: 0.0)
    assert all(th.equal(tensor, before[name]) for name, tensor in tensors(model).items())


def halve(optimizer, *_):
    for tensors_of in optimizer.param_groups:
        for tensor in tensors_of["params"]:
            tensor.data.mul_(0.5)


def forget_gradients(optimizer, *_):
    for tensors_of in optimizer.param_groups:
        for tensor in tensors_of["params"]:
            if tensor.grad is not None:
                tensor.grad.data.zero_()


def derived(kind=th.optim.Adam):
    model = group(type(f"My{kind.__name__}", (kind,), {}), {})
    model.set_logger(configure(None, []))
    fill(model, 40)
    return model


def test_hooks_act_on_the_weights_and_gradients_of_every_agent():
    model = derived(th.optim.SGD)
    before = [tensor.detach().clone() for tensor in model.critic.parameters()]
    handle = model.critic.optimizer.register_step_pre_hook(forget_gradients)
    model.train(2, 8)
    assert all(th.equal(tensor, then) for tensor, then in zip(model.critic.parameters(), before, strict=True))
    model.critic.optimizer.register_step_post_hook(halve)
    model.train(1, 8)
    for tensor, then in zip(model.critic.parameters(), before, strict=True):
        th.testing.assert_close(tensor.detach(), then / 2, rtol=0, atol=1e-7)
    handle.remove()
    wholes = list(model.critic.parameters())
    model.critic.optimizer.register_step_pre_hook(lambda *_: [one.grad.data.zero_() for one in wholes].clear())
    model.train(1, 8)
    for tensor, then in zip(wholes, before, strict=True):
        th.testing.assert_close(tensor.detach(), then / 4, rtol=0, atol=1e-7)


@pytest.mark.parametrize("reset", [lambda one: one.state.clear(), lambda one: setattr(one, "state", defaultdict(dict))])
def test_a_state_that_is_emptied_begins_anew(reset):
    model = derived()
    model.train(5, 8)
    reset(model.critic.optimizer)
    assert not model.agent(2).critic.optimizer.state
    model.train(3, 8)
    assert {float(moments["step"]) for moments in model.critic.optimizer.state.values()} == {3.0}
    assert {float(moments["step"]) for moments in model.agent(1).critic.optimizer.state.values()} == {3.0}


def test_what_is_set_on_the_optimiser_is_every_agents_or_refused():
    model = derived()
    optimizer = model.critic.optimizer
    for one in optimizer.agents:
        one.cap = 1.0
    optimizer.cap = 5.0
    assert [one.cap for one in optimizer.agents] == [5.0] * 3
    assert optimizer.cap == 5.0
    with pytest.raises(ValueError, match="load_state_dict: each agent has a MyAdam of its own"):
        optimizer.register_load_state_dict_post_hook(print)
    optimizer.param_groups = [dict(one) for one in optimizer.param_groups]
    with pytest.raises(ValueError, match="param_groups were exchanged: each agent has a MyAdam"):
        model.train(1, 8)
