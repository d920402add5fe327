"""An optimiser for each of N agents, where one for all could make them meet."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import torch as th
from torch import nn, optim
from torch.optim import optimizer as torch_optimizer

if TYPE_CHECKING:
    from sb3_pr.networks.stacking import Part


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
    _seen: list[tuple[th.Tensor, th.Tensor | None]] | None = None

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
        """Every agent's step, on the gradients that are there. Hooks find each agent's tensors in ``param_groups``.

        :raises ValueError: if a closure is given, or ``param_groups`` are others
        """
        if closure is not None:
            self._refuse("step(closure)", "call backward() first and step() without one")
        self.adopt()
        self._seen = None
        if self._hooks_may_change():
            self._bring()
            self._seen = self._values()
        self._with_hooks()
        for seen, (whole, part, lone) in zip(self._seen or [], self._apart(), strict=False):
            if not _alike(lone, seen):
                part(whole.detach()).copy_(lone.detach())
        self._seen = None
        self._link()

    def _step_each(self, *_: Any, **__: Any) -> None:
        self._bring()
        for optimizer in self.agents:
            optimizer.step()
        for whole, part, lone in self._apart():
            part(whole.detach()).copy_(lone.detach())
        if self._seen is not None:
            self._seen = self._values()

    _with_hooks = optim.Optimizer.profile_hook_step(_step_each)

    def _apart(self) -> list[tuple[nn.Parameter, Part, nn.Parameter]]:
        return [entry for agent in self.parts for entry in agent if entry[2] is not entry[0]]

    def _bring(self) -> None:
        """Weights and gradients to the agents; what a hook has changed at theirs stays."""
        entries = self._apart()
        known: Sequence[Any] = self._seen or [None] * len(entries)
        for (whole, part, lone), seen in zip(entries, known, strict=True):
            if seen is None or _alike(lone, seen):
                lone.data = _copied(part(whole.detach()))
                lone.grad = None if whole.grad is None else _copied(part(whole.grad))

    def _values(self) -> list[tuple[th.Tensor, th.Tensor | None]]:
        return [(one.detach().clone(), None if one.grad is None else one.grad.clone()) for _, _, one in self._apart()]

    def _hooks_may_change(self) -> bool:
        hooks: Any = (self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks)
        hooks += (torch_optimizer._global_optimizer_pre_hooks, torch_optimizer._global_optimizer_post_hooks)
        found = (getattr(hook, "func", hook) for some in hooks for hook in some.values())
        return any(getattr(hook, "__module__", "") != "sb3_pr.guards" for hook in found)  # which only look

    def adopt(self) -> None:
        """Let the agents' states be what ``state`` was made from outside: emptied, exchanged.

        :raises ValueError: if ``param_groups`` are others than the agents'
        """
        same = len(self.param_groups) == len(self._groups)
        if not same or any(one is not own for one, own in zip(self.param_groups, self._groups, strict=True)):
            self._refuse("param_groups were exchanged", "set the options in the groups that there are")
        if len(self.state) == len(self._shown) and all(self.state.get(key) is own for key, own in self._shown.items()):
            return
        for optimizer, agent in zip(self.agents, self.parts, strict=True):
            own: dict[Any, Any] = {lone: self.state[lone] for _, _, lone in agent if lone in self.state}
            optimizer.state.clear()
            optimizer.state.update(own)

    def _refuse(self, what: str, instead: str) -> NoReturn:
        raise ValueError(f"{what}: each agent has a {type(self.agents[0]).__name__} of its own. Instead, {instead}.")

    def _refuse_hook(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse("a hook on state_dict or load_state_dict", "register it on each of `optimizer.agents`")

    register_state_dict_pre_hook = register_state_dict_post_hook = _refuse_hook
    register_load_state_dict_pre_hook = register_load_state_dict_post_hook = _refuse_hook

    def __getattr__(self, name: str) -> Any:
        """What the agents' class keeps: plain values are the first agent's."""
        agents = self.__dict__.get("agents")
        if not agents or name.startswith("__"):
            raise AttributeError(name)
        value = getattr(agents[0], name)
        if callable(value):
            raise AttributeError(
                f"{name!r}: each agent has a {type(agents[0]).__name__} of its own. Use "
                f"`for one in optimizer.agents: one.{name}(...)`."
            )
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        """What the agents' class keeps is set for each of them."""
        if "_groups" in self.__dict__ and name not in self.__dict__ and name in vars(self.agents[0]):
            for optimizer in self.agents:
                setattr(optimizer, name, value)
        else:
            super().__setattr__(name, value)

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
            self._refuse("add_param_group", "build the networks as they shall be in make_actor and make_critic")
        super().add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        """As torch's: ``state`` by number, ``param_groups``; agent after agent."""
        self.adopt()
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
        self._groups = tuple(self.param_groups)
        self.state.clear()
        for optimizer in self.agents:
            self.state.update(optimizer.state)
        self._shown = dict(self.state)

    def __getstate__(self) -> dict[str, Any]:
        self.adopt()
        return {**super().__getstate__(), "agents": self.agents, "parts": self.parts, "wholes": self.wholes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._link()


AgentOptimizers.step.hooked = True  # type: ignore[attr-defined]  # it calls hooks itself, between bringing and taking


def _alike(lone: nn.Parameter, seen: tuple[th.Tensor, th.Tensor | None]) -> bool:
    data, grad = seen
    same = (lone.grad is None) is (grad is None)
    return same and th.equal(lone.detach(), data) and (grad is None or th.equal(lone.grad, grad))  # type: ignore[arg-type]


def cut(moments: dict[str, Any], whole: th.Tensor, part: Part) -> dict[str, Any]:
    """One agent's part of an optimiser's state of a stacked tensor; copies."""
    return {
        name: _copied(part(value))
        if isinstance(value, th.Tensor) and value.shape == whole.shape
        else copy.deepcopy(value)  # Adam's step is a tensor, too
        for name, value in moments.items()
    }


def _lone(whole: nn.Parameter, part: Part) -> nn.Parameter:
    """The agent's own parameter: the tensor itself if it is the agent's alone."""
    return whole if part.agent is None else nn.Parameter(_copied(part(whole.detach())), whole.requires_grad)


def _copied(tensor: th.Tensor) -> th.Tensor:
    return tensor.clone(memory_format=th.contiguous_format)
