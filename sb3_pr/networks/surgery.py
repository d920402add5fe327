"""What a user puts into a stacked network must serve all its agents: looked at where it is put in, and at once.

A module that serves them all says so: it has as ``n_agents`` their number (``StackedLinear``, ``PerAgent``).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    FlattenExtractor,
    NatureCNN,
)
from stable_baselines3.td3.policies import Actor
from torch import nn

from sb3_pr.networks import clipping, parameters
from sb3_pr.networks.layers import (
    AgentsNetwork,
    PerAgent,
    PerAgentActor,
    PerAgentCritic,
    PerAgentExtractor,
    StackedActor,
    StackedCritic,
)
from sb3_pr.networks.mlp import StackedMLP
from sb3_pr.networks.parameters import SurgeryError as SurgeryError

STACKED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Sequential: StackedMLP,
    StackedMLP: StackedMLP,
    nn.ModuleList: nn.ModuleList,
    nn.ModuleDict: nn.ModuleDict,
    Actor: StackedActor,
    ContinuousCritic: StackedCritic,
    NatureCNN: NatureCNN,
    CombinedExtractor: CombinedExtractor,
    FlattenExtractor: FlattenExtractor,
}
"""Containers whose forward() treats rows independently and reaches its layers through registered children only."""
SIDE_BY_SIDE: dict[type[nn.Module], type[PerAgent]] = {
    Actor: PerAgentActor,
    ContinuousCritic: PerAgentCritic,
    BaseFeaturesExtractor: PerAgentExtractor,
}
"""What N networks of one kind become that cannot be stacked. Algorithms add theirs, here and to ``STACKED``."""
ROW_WISE = {
    *(nn.ReLU, nn.ReLU6, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.LeakyReLU, nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign),
    *(nn.Sigmoid, nn.Tanh, nn.LogSigmoid, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Tanhshrink, nn.Softshrink),
    *(nn.Hardshrink, nn.Threshold, nn.RReLU, nn.Identity, nn.Flatten, nn.Dropout, nn.AlphaDropout),
}
"""Modules without weights that treat every row alike: one serves all agents."""

clipping.install()
parameters.install()


class Children(dict[str, Any]):
    """The registered children of a container in a stacked network: each must serve all agents.

    :param n_agents: number of agents
    """

    def __init__(self, items: Mapping[str, Any] | None = None, n_agents: int = 0):
        super().__init__(items or {})
        self.n_agents = n_agents

    def __setitem__(self, name: str, module: Any) -> None:
        super().__setitem__(name, None if module is None else self.fitting(name, module))

    def fitting(self, name: str, module: nn.Module) -> nn.Module:
        """The module as it may stand here.

        :raises SurgeryError: see :func:`serving`
        """
        return serving(module, self.n_agents, name)

    def with_items(self, items: Mapping[str, Any]) -> Children:
        """Other children for as many agents."""
        return Children(items, self.n_agents)

    def __reduce__(self) -> tuple[Any, ...]:
        return Children, (), (dict(self), self.n_agents)

    def __setstate__(self, state: tuple[dict[str, Any], int]) -> None:
        self.update(state[0])
        self.n_agents = state[1]


class NoParameters(dict[str, Any]):
    """The parameters of a container in a stacked network itself: none, for the agents would share them."""

    def __setitem__(self, name: str, value: Any) -> None:
        if value is not None:
            raise SurgeryError(f"{name}: a parameter of a network of several agents itself; they would share it.")
        super().__setitem__(name, value)


def guard(container: nn.Module, n_agents: int) -> nn.Module:
    """Make a container whose children are stacked one of a stacked network."""
    container.__class__ = STACKED.get(type(container), type(container))
    container.__dict__["_modules"] = Children(container._modules, n_agents)
    container.__dict__["_parameters"] = NoParameters(container._parameters)
    if isinstance(container, AgentsNetwork):
        container.become(n_agents)
    return container


def serving(module: nn.Module, n_agents: int, name: str) -> nn.Module:
    """The module, if it serves all agents; one that keeps nothing, but may look at several rows, runs once per agent.

    :raises SurgeryError: if the agents would share its weights
    """
    if getattr(module, "n_agents", None) == n_agents or not n_agents or type(module) in ROW_WISE:
        return module
    if isinstance(module._modules, Children) and module._modules.n_agents == n_agents:
        return module
    inside = uncompiled(module)
    if inside is not module and serving(inside, n_agents, name) is inside:
        return module
    if hasattr(module, "n_agents") or any(
        own is not None for own in (*module._parameters.values(), *module._buffers.values())
    ):
        _refuse_shared(module, n_agents, name)
    if type(module) not in STACKED:
        _require_nothing_shared(module, n_agents, name)
        copies = (copy.deepcopy(module) if module._modules else module for _ in range(n_agents - 1))
        return side_by_side([module, *copies])
    for child_name, child in list(module._modules.items()):
        if child is not None:
            module._modules[child_name] = serving(child, n_agents, f"{name}.{child_name}")
    return guard(module, n_agents)


def uncompiled(module: nn.Module) -> nn.Module:
    """The module itself, if it is what ``torch.compile`` made of one."""
    return module._modules.get("_orig_mod") or module


def _refuse_shared(module: nn.Module, n_agents: int, name: str) -> NoReturn:
    raise SurgeryError(
        f"{name} = {module!r} in a network of {n_agents} agents: they would share its weights. Give each agent its "
        f"own: `sb3_pr.stack([{type(module).__name__}(...) for _ in range({n_agents})])`."
    )


def _require_nothing_shared(module: nn.Module, n_agents: int, name: str) -> None:
    """:raises SurgeryError: if a module whose forward() is not known has layers of several agents, or any weights"""
    kind = type(module).__name__
    for part in module.modules():
        if hasattr(part, "n_agents") or isinstance(part._modules, Children):
            raise SurgeryError(
                f"{name} = {kind}(...) around layers of {n_agents} agents: its forward() would see the rows of all "
                "agents at once and might mix them. Build it in make_actor or make_critic of your policy class, which "
                "make one agent's network, or use a plain nn.Sequential."
            )
    if any(True for _ in (*module.parameters(), *module.buffers())):
        _refuse_shared(module, n_agents, name)


def side_by_side(modules: Sequence[nn.Module]) -> PerAgent:
    """N modules of any kind, each for its agent's rows."""
    first = uncompiled(modules[0])
    found: Iterator[type[PerAgent]] = (one for kind, one in SIDE_BY_SIDE.items() if isinstance(first, kind))
    return next(found, PerAgent)(modules)
