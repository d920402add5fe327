"""N agents' networks as one: modules of the same shape merged so that one batched product serves every agent.

Rows are agent-major everywhere: the batch of a stacked module is (n_agents * batch, ...), block i belongs to agent i.

    nn.Linear x N            -> StackedLinear, weights (n_agents, in, out)
    containers SB3 is made of -> the first one, with each child replaced by the stack of the N children
    parameter-free modules   -> the first one
    anything else            -> PerAgent, which runs each agent's own module on its block
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import torch as th
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.td3.policies import Actor
from torch import nn

from sb3_pr.mlp import StackedMLP

# Containers whose forward() treats rows independently and reaches its layers through registered children only.
CONTAINERS = (
    nn.Sequential,
    nn.ModuleList,
    nn.ModuleDict,
    Actor,
    ContinuousCritic,
    NatureCNN,
    CombinedExtractor,
    FlattenExtractor,
)

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Select = Callable[[th.Tensor], th.Tensor]


class StackedLinear(nn.Module):
    """N linear layers as one batched product.

    weight: (n_agents, in_features, out_features); bias: (n_agents, out_features) or None
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        super().__init__()
        self.n_agents = len(layers)
        self.weight = nn.Parameter(th.stack([layer.weight.detach().T for layer in layers]).contiguous())
        self.bias: nn.Parameter | None = None
        if layers[0].bias is not None:
            self.bias = nn.Parameter(th.stack([layer.bias.detach() for layer in layers]))

    def forward(self, x: th.Tensor) -> th.Tensor:
        """(n_agents * batch, in_features) -> (n_agents * batch, out_features)."""
        blocks = x.view(self.n_agents, -1, x.shape[-1])
        if self.bias is None:
            out = th.bmm(blocks, self.weight)
        else:
            out = th.baddbmm(self.bias.unsqueeze(1), blocks, self.weight)
        return out.view(x.shape[0], -1)


class PerAgent(nn.Module):
    """N modules, each run on its agent's block of rows: right for any module, batch norm and convolutions included."""

    def __init__(self, agents: Sequence[nn.Module]):
        super().__init__()
        self.agents = nn.ModuleList(agents)

    def forward(self, x: Any) -> th.Tensor:
        n = len(self.agents)
        if isinstance(x, dict):
            keyed = {key: value.chunk(n) for key, value in x.items()}
            blocks: Sequence[Any] = [{key: chunks[i] for key, chunks in keyed.items()} for i in range(n)]
        else:
            blocks = x.chunk(n)
        return th.cat([agent(block) for agent, block in zip(self.agents, blocks, strict=True)])


class _Scale(th.autograd.Function):
    """Identity whose gradient is multiplied by a constant."""

    @staticmethod
    def forward(ctx: Any, x: th.Tensor, factor: float) -> th.Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: th.Tensor) -> tuple[th.Tensor, None]:
        return grads[0] * ctx.factor, None


class ScaleGradient(nn.Module):
    """Undo the mean over agents: upstream averages the loss over n_agents * batch rows, so each agent would see
    1 / n_agents of the gradient that it sees alone. With this at the critic's output every optimiser, whatever its
    update rule, gets exactly the lone agent's gradient."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: th.Tensor) -> th.Tensor:
        return _Scale.apply(x, self.factor)  # type: ignore[no-any-return,no-untyped-call]


def stack(modules: Sequence[ModuleT]) -> ModuleT:
    """Merge N modules of one architecture; block i of the result's rows goes through module i.

    The first module becomes the container of the result and must not be used by itself afterwards.
    """
    first = modules[0]
    if all(module is first for module in modules):
        return first  # a lone module, or one that is stacked already: a features extractor shared by actor and critic
    if type(first) is nn.Linear and not first._forward_pre_hooks:  # a hook may own the weight (weight_norm)
        return cast(ModuleT, StackedLinear(cast(Sequence[nn.Linear], modules)))
    if type(first) in CONTAINERS:
        for name, _ in list(first.named_children()):
            setattr(first, name, stack([getattr(module, name) for module in modules]))
        if _is_perceptron(first):
            layers = list(first.children())
            linear = [layer for layer in layers if isinstance(layer, StackedLinear)]
            return cast(ModuleT, StackedMLP(layers, linear))
        if isinstance(first, ContinuousCritic):
            first.q_networks = [getattr(first, f"qf{index}") for index in range(first.n_critics)]
        return first
    if not first.state_dict() and not _has_children(first):
        return first
    return cast(ModuleT, PerAgent(modules))


def scale_gradient(network: nn.Module, factor: float) -> None:
    """Multiply the gradient at a network's output; see :class:`ScaleGradient`."""
    if isinstance(network, StackedMLP):
        network.gradient_scale = factor
    else:
        cast(nn.Sequential, network).append(ScaleGradient(factor))


def _is_perceptron(network: nn.Module) -> bool:
    """Whether the layers are StackedLinear, ReLU, StackedLinear, ..., with biases, and at most a Tanh at the end."""
    layers = list(network.children())
    kinds = [type(layer) for layer in layers]
    if type(network) is not nn.Sequential:
        return False
    if kinds and kinds[-1] is nn.Tanh:
        kinds = kinds[:-1]
    alternating = [StackedLinear, nn.ReLU] * (len(kinds) // 2) + [StackedLinear]
    return kinds == alternating and all(layer.bias is not None for layer in layers if isinstance(layer, StackedLinear))


def agent_tensors(module: nn.Module, agent: int, prefix: str = "") -> Iterator[tuple[str, th.Tensor, Select]]:
    """The parameters and buffers of one agent, named and ordered as in its lone module.

    :return: (name, stacked tensor, select), where select cuts the agent's part out of any tensor of that shape
        (the parameter itself, or an optimiser's moment of it)
    """
    if isinstance(module, StackedLinear):
        yield prefix + "weight", module.weight, lambda t: t[agent].T
        if module.bias is not None:
            yield prefix + "bias", module.bias, lambda t: t[agent]
        return
    if isinstance(module, PerAgent):
        module = module.agents[agent]
    for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        if name not in module._non_persistent_buffers_set:
            yield prefix + name, tensor, lambda t: t
    for name, child in module.named_children():
        yield from agent_tensors(child, agent, f"{prefix}{name}.")


def agent_state_dict(module: nn.Module, agent: int) -> dict[str, th.Tensor]:
    """The state_dict of one agent's lone module, cut out of a stacked one; tensors are copies."""
    return {name: select(tensor.detach()).clone().contiguous() for name, tensor, select in agent_tensors(module, agent)}


def agent_optimizer_state(module: nn.Module, optimizer: th.optim.Optimizer, agent: int) -> dict[str, Any]:
    """The state_dict of one agent's optimiser, cut out of the optimiser of the stacked ``module``."""
    whole = optimizer.state_dict()
    state: dict[int, dict[str, Any]] = {}
    parameters = [
        (tensor, select) for _, tensor, select in agent_tensors(module, agent) if isinstance(tensor, nn.Parameter)
    ]
    for index, (parameter, select) in enumerate(parameters):
        moments = optimizer.state.get(parameter, {})
        if moments:
            state[index] = {
                name: select(value).clone().contiguous()
                if isinstance(value, th.Tensor) and value.shape == parameter.shape
                else copy.deepcopy(value)  # Adam's step is a tensor, too
                for name, value in moments.items()
            }
    group = dict(whole["param_groups"][0], params=list(range(len(parameters))), fused=None)
    return {"state": state, "param_groups": [group]}


def load_agent(module: nn.Module, agent: int, state: dict[str, th.Tensor]) -> None:
    """Put a lone module's state_dict in the place of one agent of a stacked module.

    :raises ValueError: if a tensor is missing or has another shape
    """
    for name, tensor, select in agent_tensors(module, agent):
        target = select(tensor.detach())
        if name not in state or state[name].shape != target.shape:
            found = tuple(state[name].shape) if name in state else "nothing"
            raise ValueError(f"agent {agent}, {name}: expected a tensor of shape {tuple(target.shape)}, found {found}.")
        target.copy_(state[name])


def _has_children(module: nn.Module) -> bool:
    return any(True for _ in module.children())
