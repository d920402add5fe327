"""Optimisers of N agents: one for all where every element moves by itself, else one for each agent."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch as th
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from torch import nn, optim

if TYPE_CHECKING:
    from sb3_pr.networks.stacking import Part

ELEMENTWISE: set[type[optim.Optimizer]] = {
    *(optim.Adam, optim.AdamW, optim.NAdam, optim.RAdam, optim.Adamax, optim.Adagrad, optim.Adadelta, optim.ASGD),
    *(optim.RMSprop, optim.Rprop, optim.SGD, RMSpropTFLike),
}
"""What they do to an element depends on that element alone, so that agents side by side in one tensor do not meet.
Of a class derived from one of them this is not known."""
ONE_KERNEL = ("fused", "foreach", "capturable", "differentiable")
"""Options that decide how Adam is computed."""


def fused_adam(optimizer_class: type[optim.Optimizer], options: dict[str, Any]) -> dict[str, Any]:
    """Options of Adam with the same update in one kernel, unless the user decides how it is computed."""
    if optimizer_class is optim.Adam and not any(options.get(name) for name in ONE_KERNEL) and "fused" not in options:
        return {"fused": True, **options}
    return options


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


class AgentOptimizers(optim.Optimizer):
    """An optimiser for each agent, over tensors shaped and ordered as in a lone network.

    ``param_groups`` are those of all agents, agent after agent, and ``state_dict`` numbers their tensors accordingly.

    :param make: makes an agent's optimiser of its parameters
    :param parameters: for each agent the stacked tensors and its part of them, in the lone network's order
    :param wholes: the stacked tensors, in the order of the stacked network's ``parameters()``
    """

    agents: list[optim.Optimizer]
    parts: list[list[tuple[nn.Parameter, Part, nn.Parameter]]]
    wholes: list[nn.Parameter]

    def __init__(
        self,
        make: Callable[[list[nn.Parameter]], optim.Optimizer],
        parameters: Sequence[Sequence[tuple[nn.Parameter, Part]]],
        wholes: list[nn.Parameter],
    ):
        self.wholes = wholes
        self.parts = [[(whole, part, _lone(whole, part)) for whole, part in agent] for agent in parameters]
        self.agents = [make([lone for _, _, lone in agent]) for agent in self.parts]
        super().__init__([lone for agent in self.parts for _, _, lone in agent], dict(self.agents[0].defaults))
        self._link()

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Every agent's step, on the gradients that are there.

        :raises ValueError: if a closure is given
        """
        if closure is not None:
            raise ValueError(
                f"step(closure): each agent has a {type(self.agents[0]).__name__} of its own, and none sees gradients "
                "that a closure computes. Call backward() first and step() without one."
            )
        for optimizer, agent in zip(self.agents, self.parts, strict=True):
            for whole, part, lone in agent:
                if lone is not whole:
                    lone.data = _copied(part(whole.detach()))
                    lone.grad = None if whole.grad is None else _copied(part(whole.grad))
            optimizer.step()
            for whole, part, lone in agent:
                if lone is not whole:
                    part(whole.detach()).copy_(lone.detach())
        self._link()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the stacked tensors."""
        for whole in self.wholes:
            if set_to_none:
                whole.grad = None
            elif whole.grad is not None:
                whole.grad = th.zeros_like(whole.grad)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """
        :raises ValueError: once there are agents
        """
        if self.param_groups is self.__dict__.get("_linked"):
            raise ValueError(
                f"add_param_group: each agent has a {type(self.agents[0]).__name__} of its own, and which agent the "
                "tensors belong to can't be told. Build the networks as they shall be in make_actor and make_critic."
            )
        super().add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        """As torch's: ``state`` by number, ``param_groups``; agent after agent."""
        state, groups, start = {}, [], 0
        for optimizer, agent in zip(self.agents, self.parts, strict=True):
            part = optimizer.state_dict()
            state.update({start + index: moments for index, moments in part["state"].items()})
            groups += [{**group, "params": [start + i for i in group["params"]]} for group in part["param_groups"]]
            start += len(agent)
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`, or from that of one optimiser for all agents' stacked tensors.

        :raises ValueError: if it is neither
        """
        groups, per_agent = state_dict["param_groups"], len(self.agents[0].param_groups)
        if len(groups) == per_agent:
            state_dict, groups = self._split(state_dict), groups * len(self.agents)
        if len(groups) != len(self.param_groups):
            raise ValueError(f"state of {len(groups)} parameter groups, expected {len(self.param_groups)}.")
        start, rest = 0, iter(groups)
        for optimizer, agent in zip(self.agents, self.parts, strict=True):
            own = {i: state_dict["state"][start + i] for i in range(len(agent)) if start + i in state_dict["state"]}
            here = optimizer.state_dict()["param_groups"]
            there = [{**next(rest), "params": group["params"]} for group in here]
            optimizer.load_state_dict({"state": own, "param_groups": there})
            start += len(agent)
        self._link()

    def _split(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        """Each agent's part of the state of one optimiser for all, which older files hold."""
        numbers = {id(whole): index for index, whole in enumerate(self.wholes)}
        state: dict[int, Any] = {}
        for start, (whole, part, _) in enumerate(entry for agent in self.parts for entry in agent):
            moments = state_dict["state"].get(numbers[id(whole)], {})
            shaped = [value for value in moments.values() if isinstance(value, th.Tensor) and value.ndim > 0]
            if moments and all(value.shape == whole.shape for value in shaped):
                state[start] = cut(moments, whole, part)
        return {"state": state}

    def _link(self) -> None:
        """Show the agents' groups and states as this optimiser's: a learning rate set here is theirs."""
        self.param_groups = self._linked = [group for optimizer in self.agents for group in optimizer.param_groups]
        self.state.clear()
        for optimizer in self.agents:
            self.state.update(optimizer.state)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "agents": self.agents, "parts": self.parts, "wholes": self.wholes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._link()


def cut(moments: dict[str, Any], whole: th.Tensor, part: Part) -> dict[str, Any]:
    """One agent's part of an optimiser's state of a stacked tensor; copies."""
    return {
        name: _copied(part(value))
        if isinstance(value, th.Tensor) and value.shape == whole.shape
        else copy.deepcopy(value)  # Adam's step is a tensor, too
        for name, value in moments.items()
    }


def agent_optimizer_state(
    optimizer: optim.Optimizer, parameters: Sequence[tuple[nn.Parameter, Part]], agent: int
) -> dict[str, Any]:
    """The state_dict of one agent's optimiser, cut out of the optimiser of a stacked network.

    :param parameters: the stacked tensors and the agent's part of them, in the lone network's order
    """
    if isinstance(optimizer, AgentOptimizers):
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


def _lone(whole: nn.Parameter, part: Part) -> nn.Parameter:
    """The agent's own parameter: the tensor itself if it is the agent's alone."""
    return whole if part.agent is None else nn.Parameter(_copied(part(whole.detach())), whole.requires_grad)


def _copied(tensor: th.Tensor) -> th.Tensor:
    return tensor.clone(memory_format=th.contiguous_format)
