"""One agent's optimiser, taken out of that of all agents; which optimisers may serve all."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import nn, optim

from sb3_pr.networks.elementwise import ELEMENTWISE, ONE_KERNEL
from sb3_pr.networks.optimizers import AgentOptimizers, cut

if TYPE_CHECKING:
    from sb3_pr.networks.stacking import Part


def require_independent(optimizer: Any) -> None:
    """
    :raises ValueError: for an optimiser of several agents' tensors that may look at more than one element
    """
    if isinstance(optimizer, optim.Optimizer) and type(optimizer) not in {*ELEMENTWISE, AgentOptimizers}:
        name = type(optimizer).__name__
        raise ValueError(
            f"optimizer = {name}(...) over the tensors of several agents: it may look at more than one element (a "
            "norm, a mean), and agents would act on each other through it. Give the class when the model is "
            f"constructed, policy_kwargs=dict(optimizer_class={name}): then each agent has one of its own."
        )


def agent_optimizer_state(
    optimizer: optim.Optimizer, parameters: Sequence[tuple[nn.Parameter, Part]], agent: int
) -> dict[str, Any]:
    """The state_dict of one agent's optimiser, cut out of the optimiser of a stacked network.

    :param parameters: the stacked tensors and the agent's part of them, in the lone network's order
    """
    if isinstance(optimizer, AgentOptimizers):
        optimizer.adopt()
        return copy.deepcopy(optimizer.agents[agent].state_dict())
    state: dict[int, dict[str, Any]] = {}
    groups, number = [], 0
    for members, group in _grouped(optimizer, parameters):
        for start, index in enumerate(members, number):
            whole, part = parameters[index]
            if optimizer.state.get(whole):
                state[start] = cut(optimizer.state[whole], whole, part)
        groups.append({**group, "params": list(range(number, number + len(members)))})
        number += len(members)
    return {"state": state, "param_groups": groups}


def lone_optimizer(
    optimizer: optim.Optimizer,
    parameters: Sequence[tuple[nn.Parameter, Part]],
    agent: int,
    lone: list[nn.Parameter],
    policy: Any,
) -> optim.Optimizer:
    """The optimiser of one agent's lone network with the state that it has in the group.

    :param parameters: the stacked tensors and the agent's part of them, in the lone network's order
    :param lone: the lone network's parameters
    :param policy: the lone policy, which knows the optimiser's options
    """
    one = optimizer.agents[agent] if isinstance(optimizer, AgentOptimizers) else optimizer
    state = agent_optimizer_state(optimizer, parameters, agent)
    groups: list[Any] = lone
    if one is optimizer:
        groups = [{"params": [lone[index] for index in members]} for members, _ in _grouped(optimizer, parameters)]
    kind: Any = type(one)
    if policy.optimizer_class is kind:
        made: optim.Optimizer = kind(groups, lr=one.param_groups[0]["lr"], **policy.optimizer_kwargs)
    else:  # the user exchanged it
        known = inspect.signature(type(one)).parameters
        made = type(one)(groups, **{name: value for name, value in one.defaults.items() if name in known})
    for here, there in zip(made.param_groups, state["param_groups"], strict=True):
        there.update({name: here[name] for name in ONE_KERNEL if name in here})
    made.load_state_dict(state)
    return made


def _grouped(
    optimizer: optim.Optimizer, parameters: Sequence[tuple[nn.Parameter, Part]]
) -> list[tuple[list[int], dict[str, Any]]]:
    """Which of the parameters are in each of the optimiser's groups."""
    found = []
    for group in optimizer.param_groups:
        inside = {id(tensor) for tensor in group["params"]}
        members = [index for index, (whole, _) in enumerate(parameters) if id(whole) in inside]
        if members:
            found.append((members, group))
    return found
