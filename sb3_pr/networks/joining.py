"""N upstream models as one group: the inverse of :func:`sb3_pr.networks.extraction.lone_agent`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch as th
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.noise import VectorizedActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from sb3_pr import own_critics as ensemble
from sb3_pr.envs.columns import make_columns
from sb3_pr.networks.elementwise import ONE_KERNEL
from sb3_pr.networks.extraction import BUFFER_OPTIONS, PER_AGENT, generators_kept, lone_policy, optimized
from sb3_pr.networks.optimizers import AgentOptimizers
from sb3_pr.networks.stacking import agent_parameters, load_agent, own_part
from sb3_pr.policies import TRAINED, stacked_policy, upstream_policy

_ENVIRONMENTS = ("policy", "env", "seed", "device", "_init_setup_model", "tensorboard_log", "verbose", "action_noise")
"""Parameters of SB3 that may differ between the models."""


def group_of(cls: Any, agents: Any, env: Any, n_agents: int | None, options: dict[str, Any]) -> Any:
    """A model of one of our classes, ``cls``, whose agents go on where upstream models are; see ``from_agents``."""
    for name in ("n_teams", "seeds"):
        _require(options.get(name) is None, f"{name}={options.get(name)!r}, but it makes one team of agents")
    models = _checked(cls, agents, n_agents)
    first, n = models[0], len(models)
    columns = make_columns(env, n)
    given = {**_settings(cls, models, options), **options}
    if options.get("own_critics"):
        given["policy_kwargs"] = _sets_of_one(given["policy_kwargs"], n)
    with generators_kept(first) if options.get("seed") is None else nullcontext():
        group = cls(stacked_policy(cls, first.policy_class), columns, **given, _init_setup_model=False)
        if columns is None:
            group.observation_space, group.action_space = first.observation_space, first.action_space
            group.n_envs = group.n_agents = n
        for name in cls.spec.own_settings:
            own = [getattr(model, name) for model in models]
            setattr(group, f"own_{name}", own if name not in options and len(set(own)) > 1 else None)
        _require(group.n_agents == n, f"{n} agents for an environment of {group.n_agents} columns: column i is agent i")
        group._setup_model()
    fresh = lone_policy(group, 0) if n > 1 else group.policy
    for index, model in enumerate(models):
        _same_spaces(group, model, index)
        _load_networks(group, model, index, fresh)
    for name in TRAINED:
        _join_networks_optimizers(getattr(group.policy, name), [getattr(model.policy, name) for model in models], name)
    _join_learnt(group, models, options)
    group._n_updates = first._n_updates
    group.num_timesteps = sum(model.num_timesteps for model in models)
    return group


def _checked(cls: Any, agents: Any, n_agents: int | None) -> list[OffPolicyAlgorithm]:
    models = list(agents) if isinstance(agents, Sequence) else [agents]
    _require(bool(models), "no agents: expected upstream models, or one and n_agents")
    for index, model in enumerate(models):
        lone = type(model) is cls.upstream or (type(model) is cls and model.n_columns == 1)
        hint = ": it is a group, pass [model.agent(i) for i in ...]" if getattr(model, "n_columns", 1) > 1 else ""
        _require(lone, f"agents[{index}] is a {type(model).__name__}, expected a {cls.upstream.__name__}{hint}")
    if n_agents is not None and len(models) == 1:
        _require(type(n_agents) is int and n_agents > 0, f"n_agents={n_agents!r}, expected an integer >= 1")
        models = models * n_agents
    _require(n_agents in (None, len(models)), f"n_agents={n_agents}, but {len(models)} agents: one, or as many")
    return models


def _settings(cls: Any, models: list[Any], options: dict[str, Any]) -> dict[str, Any]:
    """What the models were constructed with, as the group's constructor takes it: they must agree."""
    names = [name for name in inspect.signature(cls.upstream.__init__).parameters if hasattr(models[0], name)]
    found = {name: getattr(models[0], name) for name in names if name not in ("policy", "env", "seed")}
    compared = [name for name in found if name not in (*_ENVIRONMENTS, *cls.spec.own_settings, *options)]
    for index, model in enumerate(models):
        for name in (*compared, "policy_class", "_n_updates"):
            here, there = _value(cls, models[0], name), _value(cls, model, name)
            text = f"{name} of agents[{index}] is {there!r}, that of agents[0] is {here!r}: agents of one group"
            how = "are updated together, so they must have been updated equally often" if name[0] == "_" else "share it"
            _require(here == there, f"{text} {how}")
    if found["replay_buffer_class"] in (ReplayBuffer, DictReplayBuffer, NStepReplayBuffer):  # SB3 chose it by itself
        kept = {name: value for name, value in models[0].replay_buffer_kwargs.items() if name in BUFFER_OPTIONS}
        found.update(replay_buffer_class=None, replay_buffer_kwargs=kept)
    for name in PER_AGENT:
        found[name] = found[name] * len(models)
    noises = [model.action_noise for model in models]
    _require(len({noise is None for noise in noises}) == 1, "some agents have action_noise, others have none")
    if noises[0] is not None and len(models) > 1:
        found["action_noise"] = VectorizedActionNoise(noises[0], len(models))
        found["action_noise"].noises = [_alone(noise) for noise in noises]
    return found


def _value(cls: Any, model: Any, name: str) -> Any:
    """Something that is equal if the settings are."""
    value = getattr(model, name)
    if name == "learning_rate":
        return [model.lr_schedule(progress) for progress in (1.0, 0.75, 0.5, 0.25, 0.0)]
    if name == "train_freq":
        return tuple(value) if isinstance(value, tuple) else (value, "step")
    if name == "policy_class":
        return upstream_policy(cls, value)
    return value


def _alone(noise: Any) -> Any:
    """A noise of one agent's own: the models may have had one object for all."""
    return copy.deepcopy(noise.noises[0] if isinstance(noise, VectorizedActionNoise) else noise)


def _sets_of_one(policy_kwargs: dict[str, Any], n_agents: int) -> dict[str, Any]:
    """Agents with own critics have n_agents sets of them each; the constructor multiplies them itself."""
    critics = policy_kwargs.get(ensemble.N_CRITICS, ensemble.CRITICS)
    _require(critics % n_agents == 0, f"own_critics=True: {critics} critics are not {n_agents} sets of critics")
    return {**policy_kwargs, ensemble.N_CRITICS: critics // n_agents}


def _same_spaces(group: Any, model: OffPolicyAlgorithm, index: int) -> None:
    own = getattr(group, "own_action_spaces", None)
    action_space = group.action_space if own is None else own[index]
    for name, expected in (("observation_space", group.observation_space), ("action_space", action_space)):
        found = getattr(model, name)
        _require(found == expected, f"the {name} of agents[{index}] is {found}, expected {expected}")


@th.no_grad()
def _load_networks(group: Any, model: OffPolicyAlgorithm, index: int, fresh: Any) -> None:
    for name in group.spec.networks:
        stacked, network = getattr(group.policy, name), getattr(model.policy, name)
        expected, found = str(getattr(fresh, name)), str(network)
        text = f"the {name} of agents[{index}] is not what its policy_kwargs say:\n{found}\ninstead of\n{expected}"
        _require(found == expected, f"{text}\nA network that was changed after construction can't be stacked")
        load_agent(stacked, index, network.state_dict())
        for (whole, part), lone in zip(agent_parameters(stacked, index), network.parameters(), strict=True):
            same = part.agent is None or index == 0 or whole.requires_grad == lone.requires_grad
            _require(same, f"the {name} of agents[{index}] is frozen in other layers than that of agents[0]")
            whole.requires_grad_(lone.requires_grad)


@th.no_grad()
def _join_learnt(group: Any, models: list[Any], options: dict[str, Any]) -> None:
    """What agents learn beside their networks, unless it was given how to begin."""
    for one, whole, optimizer in group.spec.learnt_by(group):
        if one.setting in options:
            continue
        own = [getattr(model, one.tensor) for model in models]
        parts = [own_part(len(models), index) for index in range(len(models))]
        for part, tensor in zip(parts, own, strict=True):
            part(whole).copy_(tensor)
        pairs = [[(whole, part, tensor)] for part, tensor in zip(parts, own, strict=True)]
        _join_optimizers(optimizer, [getattr(model, one.optimizer) for model in models], pairs, one.tensor)


def _join_networks_optimizers(stacked: Any, networks: list[Any], name: str) -> None:
    known = optimized(stacked.optimizer)
    pairs = []
    for index, network in enumerate(networks):
        both = zip(agent_parameters(stacked, index), network.parameters(), strict=True)
        pairs.append([(*whole, lone) for whole, lone in both if id(whole[0]) in known])
    _join_optimizers(stacked.optimizer, [network.optimizer for network in networks], pairs, name)


def _join_optimizers(optimizer: Any, lone: list[Any], pairs: list[list[tuple[Any, Any, Any]]], name: str) -> None:
    """
    :param pairs: for each agent the stacked tensors, its parts of them and the lone tensors that were put there
    """
    for index, one in enumerate(lone):
        kind = type(optimizer.agents[0] if isinstance(optimizer, AgentOptimizers) else optimizer)
        text = f"the optimiser of the {name} of agents[{index}] is a {type(one).__name__}, its policy_kwargs say"
        _require(type(one) is kind and len(one.param_groups) == 1, f"{text} one {kind.__name__}")
    if isinstance(optimizer, AgentOptimizers):
        for own, one in zip(optimizer.agents, lone, strict=True):
            own.load_state_dict(one.state_dict())
        optimizer.load_state_dict(optimizer.state_dict())
        return
    state: dict[int, dict[str, Any]] = {}
    numbers = {id(tensor): number for number, tensor in enumerate(optimizer.param_groups[0]["params"])}
    for index, (own_pairs, one) in enumerate(zip(pairs, lone, strict=True)):
        for whole, part, parameter in own_pairs:
            moments = one.state.get(parameter, {})
            known = numbers[id(whole)] in state
            text = f"the optimiser of the {name} of agents[{index}] knows other tensors than that of agents[0]"
            _require(index == 0 or part.agent is None or known == bool(moments), text)
            place = state.setdefault(numbers[id(whole)], {}) if moments else {}
            for key, value in moments.items():
                _put(place, key, value, whole, part, f"{name} of agents[{index}]")
    group = {key: value for key, value in lone[0].param_groups[0].items() if key not in ("params", *ONE_KERNEL)}
    optimizer.load_state_dict(
        {"state": state, "param_groups": [{**optimizer.state_dict()["param_groups"][0], **group}]}
    )


def _put(place: dict[str, Any], key: str, value: Any, whole: th.Tensor, part: Any, where: str) -> None:
    """An agent's moment in its place in that of all; what belongs to all, the step, must be equal."""
    if isinstance(value, th.Tensor) and value.shape == part(whole).shape:
        part(place.setdefault(key, th.zeros_like(whole.detach()))).copy_(value)
        return
    before = place.setdefault(key, value.clone() if isinstance(value, th.Tensor) else value)
    text = f"the optimiser of the {where} has {key}={value}, that of agents[0] {before}: agents of one group"
    _require(
        bool(th.as_tensor(before == value).all()),
        f"{text} are updated together, so they must have been updated equally often",
    )


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise ValueError(f"from_agents: {text}.")
