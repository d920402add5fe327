"""N agents' networks as one: modules of the same shape merged so that one batched product serves every agent.

Rows are agent-major everywhere: the batch of a stacked module is (n_agents * batch, ...), block i belongs to agent i.

    nn.Linear x N             -> StackedLinear, weights (n_agents, in, out)
    containers SB3 is made of -> the first one, with each child replaced by the stack of the N children
    activations and the like  -> the first one
    anything else             -> PerAgent, which runs each agent's own module on its block

What a user puts into a stacked network later must serve N agents, too; see :mod:`sb3_pr.networks.surgery`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch as th
from torch import nn

from sb3_pr.networks.layers import PerAgent, StackedLinear
from sb3_pr.networks.mlp import hung_on
from sb3_pr.networks.surgery import ROW_WISE, STACKED, guard, side_by_side, uncompiled

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def stack(modules: Sequence[ModuleT]) -> ModuleT:
    """Merge N modules of one architecture; block i of the result's rows goes through module i.

    The first module becomes the container of the result and must not be used by itself afterwards.
    """
    return cast(ModuleT, _stack(modules, {}))


def _stack(modules: Sequence[Any], done: dict[int, nn.Module]) -> nn.Module:
    first: nn.Module = modules[0]
    if all(module is first for module in modules):
        return first  # a lone module, or one that is stacked already: a features extractor shared by actor and critic
    if id(first) in done:
        return done[id(first)]  # used twice in one network
    tied = _ties_parameters(first)
    if type(first) is nn.Linear and not any(hung_on(module) for module in modules) and _equally_frozen(modules):
        result: nn.Module = StackedLinear(modules)
    elif type(first) in STACKED and not tied and not first._parameters:
        for name in list(first._modules):
            first._modules[name] = _stack([module._modules[name] for module in modules], done)
        result = guard(first, len(modules))
    elif type(first) in ROW_WISE and not any(hung_on(module) for module in modules):
        result = first
    else:
        result = side_by_side(modules)
    done[id(first)] = result
    return result


def _equally_frozen(modules: Sequence[nn.Module]) -> bool:
    return len({tuple(parameter.requires_grad for parameter in module.parameters()) for module in modules}) == 1


def _ties_parameters(module: nn.Module) -> bool:
    """Whether two modules in it have one parameter in common."""
    found = [id(value) for part in module.modules() for value in part._parameters.values() if value is not None]
    return len(found) != len(set(found))


@dataclass(frozen=True)
class Part:
    """One agent's part of a stacked tensor, or of anything of its shape, an optimiser's moment say: a view of it.

    agent: None if the tensor is that agent's alone
    matrix: whether it is a matrix, which a lone layer keeps transposed
    """

    agent: int | None = None
    matrix: bool = False

    def __call__(self, tensor: th.Tensor) -> th.Tensor:
        if self.agent is None:
            return tensor
        return tensor[self.agent].T if self.matrix else tensor[self.agent]


def own_part(n_agents: int, agent: int) -> Part:
    """The agent's part of a tensor (n_agents, ...) that is no layer's; all of one agent's."""
    return Part(agent if n_agents > 1 else None)


def agent_tensors(module: nn.Module, agent: int, prefix: str = "") -> Iterator[tuple[str, th.Tensor, Part]]:
    """The parameters and buffers of one agent, named and ordered as in its lone module.

    :return: (name, stacked tensor, the agent's part of it)
    """
    module = uncompiled(module)
    if isinstance(module, StackedLinear):
        yield prefix + "weight", module.weight, Part(agent, matrix=True)
        if module.bias is not None:
            yield prefix + "bias", module.bias, Part(agent)
        return
    if isinstance(module, PerAgent):
        module = module.agents[agent]
    for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        if name not in module._non_persistent_buffers_set:
            yield prefix + name, tensor, Part()
    for name, child in module._modules.items():
        if child is not None:
            yield from agent_tensors(child, agent, f"{prefix}{name}.")


def agent_parameters(module: nn.Module, agent: int) -> list[tuple[nn.Parameter, Part]]:
    """The parameters of one agent in the order of its lone module's ``parameters()``."""
    found: dict[int, tuple[nn.Parameter, Part]] = {}
    for _, tensor, part in agent_tensors(module, agent):
        if isinstance(tensor, nn.Parameter):
            found.setdefault(id(tensor), (tensor, part))
    return list(found.values())


def agent_state_dict(module: nn.Module, agent: int) -> dict[str, th.Tensor]:
    """The state_dict of one agent's lone module, cut out of a stacked one; tensors are copies."""
    return {name: part(tensor.detach()).clone().contiguous() for name, tensor, part in agent_tensors(module, agent)}


def load_agent(module: nn.Module, agent: int, state: dict[str, th.Tensor]) -> None:
    """Put a lone module's state_dict in the place of one agent of a stacked module.

    :raises ValueError: if a tensor is missing, has another shape, or is not the module's
    """
    names = set(state)
    for name, tensor, part in agent_tensors(module, agent):
        names.discard(name)
        target = part(tensor.detach())
        if name not in state or state[name].shape != target.shape:
            found = tuple(state[name].shape) if name in state else "nothing"
            raise ValueError(f"agent {agent}, {name}: expected a tensor of shape {tuple(target.shape)}, found {found}.")
        target.copy_(state[name])
    if names:
        raise ValueError(f"agent {agent} has {', '.join(sorted(names))}, which the network does not have.")
