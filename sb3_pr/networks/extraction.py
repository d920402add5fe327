"""One agent of a group as a plain upstream model."""

from __future__ import annotations

import copy
import inspect
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.noise import VectorizedActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy, ContinuousCritic
from stable_baselines3.common.utils import get_parameters_by_name
from torch import nn

from sb3_pr.algorithms.spec import Spec
from sb3_pr.networks.layers import AgentsNetwork, PerAgent, StackedLinear
from sb3_pr.networks.lone_optimizers import agent_optimizer_state, lone_optimizer
from sb3_pr.networks.optimizers import AgentOptimizers
from sb3_pr.networks.stacking import Part, agent_parameters, own_part
from sb3_pr.networks.surgery import STACKED, uncompiled
from sb3_pr.policies import TRAINED, MaskedExtractor, upstream_policy

BUFFER_OPTIONS = ("handle_timeout_termination",)
"""Understood by every replay buffer that SB3 chooses by itself."""
PER_AGENT = ("buffer_size", "learning_starts")
"""Counted over all agents by SB3, so one agent has its share."""
_OF_HOOKS = ("_hooks", "_with_kwargs", "_always_called")


def lone_agent(model: Any, index: int) -> OffPolicyAlgorithm:
    """Agent ``index`` of ``model`` as an upstream model: weights, target weights, optimisers, episode statistics.

    It refers to nothing of this package (unless the policy is a class derived from ours), so plain SB3 loads what it
    saves. Its replay buffer is the empty one that SB3 chooses by itself. Coordinates that the agent's observation
    mask hides have weight 0 in its first layers, which is what the mask does. Global generators are left alone.

    :param index: agents of several teams are numbered through
    """
    names = [name for name in inspect.signature(model.upstream.__init__).parameters if hasattr(model, name)]
    options: dict[str, Any] = {name: getattr(model, name) for name in names if name not in ("policy", "env", "seed")}
    for name in PER_AGENT:
        options[name] = options[name] // model.n_columns
    options["replay_buffer_class"] = None
    options["replay_buffer_kwargs"] = {k: v for k, v in model.replay_buffer_kwargs.items() if k in BUFFER_OPTIONS}
    if isinstance(model.observation_space, spaces.Dict):
        options["n_steps"] = 1  # SB3 has n-step returns of Dict observations with HER only, which needs its env
    options["policy_kwargs"] = model.network_kwargs
    if isinstance(model.action_noise, VectorizedActionNoise):
        options["action_noise"] = copy.deepcopy(model.action_noise.noises[index])
    for name in model.spec.own_settings:
        own = getattr(model, f"own_{name}")
        options[name] = options[name] if own is None else own[index]
    lone = model.upstream(upstream_policy(model, model.policy_class), None, **options, _init_setup_model=False)
    lone.observation_space, lone.action_space, lone.n_envs = model.observation_space, _action_space(model, index), 1
    with generators_kept(model):
        lone._setup_model()
    _copy_networks(model, lone.policy, index)
    _adopt_networks(model.spec, lone)
    _copy_learnt(model, lone, index)
    lone.seed = model.seed if model.seeds is None else model.seeds[index // model.n_agents]
    lone.num_timesteps = model.num_timesteps // model.n_columns
    lone._n_updates = model._n_updates
    lone._stats_window_size = model._stats_window_size
    if model._agent_episodes:
        lone.ep_info_buffer = model._agent_episodes[index].copy()
        lone.ep_success_buffer = deque(maxlen=model._stats_window_size)
    return lone  # type: ignore[no-any-return]


def lone_policy(model: Any, index: int) -> BasePolicy:
    """Agent ``index``'s policy alone, as an upstream policy: what evaluation needs."""
    with generators_kept(model):
        policy: BasePolicy = upstream_policy(model, model.policy_class)(
            model.observation_space, _action_space(model, index), model.lr_schedule, **model.network_kwargs
        ).to(model.device)
    _copy_networks(model, policy, index)
    return policy


def _action_space(model: Any, index: int) -> spaces.Box:
    """The agent's own bounds: those of the whole group, unless it is a team whose agents' bounds differ."""
    own: spaces.Box = model.action_space if model.own_action_spaces is None else model.own_action_spaces[index]
    return own


def generators_kept(model: Any) -> AbstractContextManager[None]:
    """Networks draw their first weights from torch's global generators; exporting an agent must not move those."""
    return th.random.fork_rng(devices=[] if model.device.type == "cpu" else None)


def _copy_networks(model: Any, lone: Any, index: int) -> None:
    """The agent's networks as they are now, also where they were changed after construction; hooks stay behind."""
    done: dict[int, nn.Module] = {}  # a features extractor that actor and critic share stays shared
    for name in model.spec.networks:
        network: Any = lone_module(getattr(model.policy, name), index, done)
        network.action_space = lone.action_space
        if model.observation_masks is not None:
            _hide(network, th.as_tensor(~model.observation_masks[index % model.n_agents], device=model.device))
        setattr(lone, name, network)
    for name in TRAINED:
        stacked, network = getattr(model.policy, name), getattr(lone, name)
        known = optimized(stacked.optimizer)
        both = zip(agent_parameters(stacked, index), network.parameters(), strict=True)
        parts, own = zip(*((part, own) for part, own in both if id(part[0]) in known), strict=True)
        network.optimizer = lone_optimizer(stacked.optimizer, parts, index, list(own), lone)


def optimized(optimizer: th.optim.Optimizer) -> set[int]:
    """Ids of the tensors, stacked ones where they are stacked, that an optimiser moves."""
    if isinstance(optimizer, AgentOptimizers):
        return {id(whole) for whole in optimizer.wholes}
    return {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}


def _adopt_networks(spec: Spec, lone: Any) -> None:
    """What SB3's ``_setup_model`` keeps of the policy's networks."""
    lone._create_aliases()
    for attribute, name in spec.statistics.items():
        setattr(lone, attribute, get_parameters_by_name(getattr(lone.policy, name), ["running_"]))


@th.no_grad()
def _copy_learnt(model: Any, lone: Any, index: int) -> None:
    for one, whole, optimizer in model.spec.learnt_by(model):
        part = own_part(model.n_columns, index)
        getattr(lone, one.tensor).data = part(whole.detach()).clone()
        state = agent_optimizer_state(optimizer, [(whole, part)], index)
        getattr(lone, one.optimizer).load_state_dict(state)


def lone_module(module: nn.Module, agent: int, done: dict[int, nn.Module]) -> nn.Module:
    """One agent's module, cut out of a stacked one: a copy.

    :param done: lone modules of stacked ones that were cut before, by id
    """
    module = uncompiled(module)
    if id(module) in done:
        return done[id(module)]
    lone: nn.Module
    if isinstance(module, StackedLinear):
        lone = _lone_linear(module, agent)
    elif isinstance(module, PerAgent):
        lone = _without_optimizer(module.agents[agent])
    elif isinstance(module, MaskedExtractor):
        lone = lone_module(module.extractor, agent, done)
    else:
        lone = _lone_container(module, agent, done)
    done[id(module)] = lone
    return lone


def _lone_container(module: nn.Module, agent: int, done: dict[int, nn.Module]) -> nn.Module:
    hooks = {name: value for name, value in vars(nn.Module()).items() if name.endswith(_OF_HOOKS)}
    replaced = [*module._modules.values(), *(vars(module)[name] for name in hooks)]
    lone = _without_optimizer(module, replaced)
    children = {
        name: None if child is None else lone_module(child, agent, done) for name, child in module._modules.items()
    }
    lone.__dict__.update(hooks, _parameters=dict(lone._parameters), _modules=children)
    lone.__class__ = next((kind for kind, stacked in STACKED.items() if stacked is type(lone)), type(lone))
    if isinstance(module, AgentsNetwork):
        module.release(lone)
    if isinstance(lone, ContinuousCritic):
        lone.q_networks = [children[f"qf{index}"] for index in range(lone.n_critics)]  # type: ignore[misc]
    return lone


def _without_optimizer(module: nn.Module, replaced: Sequence[Any] = ()) -> nn.Module:
    """A deep copy but for what is replaced in it later; an actor's or critic's optimiser is."""
    left_out = [*replaced, vars(module).get("optimizer")]
    memo: dict[int, Any] = {id(one): False for one in left_out if one is not None}
    for part in module.modules():  # weight_norm, pruning and distributions keep what they computed, which torch does
        memo.update({id(value): value.detach().clone() for value in _computed(part)})  # not copy
    return copy.deepcopy(module, memo)


def _computed(holder: Any) -> Iterator[th.Tensor]:
    for value in vars(holder).values():
        if isinstance(value, th.Tensor) and not value.is_leaf:
            yield value
        elif isinstance(value, (Distribution, th.distributions.Distribution)):
            yield from _computed(value)


def _lone_linear(layer: StackedLinear, agent: int) -> nn.Linear:
    weight, bias = layer.weight, layer.bias
    sizes = layer.in_features, layer.out_features, bias is not None
    lone = nn.Linear(*sizes, device="meta", dtype=weight.dtype)  # without drawing what is replaced at once
    own = Part(agent, matrix=True)(weight.detach()).clone(memory_format=th.contiguous_format)
    lone.weight = nn.Parameter(own, weight.requires_grad)
    if bias is not None:
        lone.bias = nn.Parameter(bias.detach()[agent].clone(), bias.requires_grad)
    return lone.train(layer.training)


@th.no_grad()
def _hide(network: Any, hidden: th.Tensor) -> None:
    """Zero the first layers' weights of the coordinates that the agent does not see; actions follow them."""
    towers = network.q_networks if isinstance(network, ContinuousCritic) else [network]
    if hasattr(network, "latent_pi") and not len(network.latent_pi):  # net_arch=[]: both heads are first layers
        towers = [network.mu, network.log_std]
    for tower in towers:
        first = next(layer for layer in tower.modules() if isinstance(layer, nn.Linear))
        first.weight[:, : len(hidden)][:, hidden] = 0
