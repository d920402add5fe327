"""The leaves of stacked networks: N linear layers as one, and N modules of any other kind side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch as th
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.td3.policies import Actor
from torch import nn
from torch.jit import is_tracing  # type: ignore[attr-defined]

from sb3_pr.networks import modes
from sb3_pr.networks.lone_optimizers import require_independent
from sb3_pr.networks.parameters import OwnParameters, SurgeryError, UnevenRows, by_agent
from sb3_pr.networks.parameters import stacked_axes as stacked_axes

_OwnParameters = OwnParameters  # the name that models pickled by earlier versions know


class StackedLinear(nn.Linear):
    """N linear layers as one batched product.

    weight: (n_agents, in_features, out_features); bias: (n_agents, out_features) or None
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        nn.Module.__init__(self)
        self.__dict__["_parameters"] = OwnParameters()
        first = layers[0]
        self.n_agents = len(layers)
        self.in_features, self.out_features = first.in_features, first.out_features
        weight = th.stack([layer.weight.detach().T for layer in layers]).contiguous()
        self.weight = nn.Parameter(weight, first.weight.requires_grad)
        self.register_parameter("bias", None)
        if first.bias is not None:
            biases = th.stack([layer.bias.detach() for layer in layers])
            self.bias = nn.Parameter(biases, first.bias.requires_grad)
        self.train(first.training)

    def forward(self, input: th.Tensor) -> th.Tensor:
        """(n_agents * batch, in_features) -> (n_agents * batch, out_features)."""
        blocks = by_agent(input, self.n_agents)
        bias: th.Tensor | None = self.bias
        weight = self.weight
        out = th.bmm(blocks, weight) if bias is None else th.baddbmm(bias.unsqueeze(1), blocks, weight)
        return out.view(*input.shape[:-1], self.out_features)

    def matrices(self) -> list[th.Tensor]:
        """Each agent's weights as its lone layer has them, (out_features, in_features): views to read and write."""
        return [matrix.T for matrix in th.Tensor.detach(self.weight)]

    def biases(self) -> list[th.Tensor]:
        """Each agent's bias, (out_features,): views to read and write; none without a bias."""
        return [] if self.bias is None else list(th.Tensor.detach(self.bias))

    def reset_parameters(self) -> None:
        """Draw new weights, each agent's as ``nn.Linear`` draws them."""
        for agent, matrix in enumerate(self.matrices()):
            fresh = nn.Linear(
                *(self.in_features, self.out_features, self.bias is not None), device=matrix.device, dtype=matrix.dtype
            )
            matrix.copy_(fresh.weight.detach())
            if self.bias is not None:
                self.biases()[agent].copy_(fresh.bias.detach())

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not keep_vars:
            for name, tensor in self._parameters.items():
                if tensor is not None:
                    destination[prefix + name] = th.Tensor.detach(tensor)  # a state_dict's tensors are torch's own

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, n_agents={self.n_agents}"


class PerAgent(nn.Module):
    """N modules, each run on its agent's block of rows: right for any module, batch norm and convolutions included."""

    def __init__(self, agents: Sequence[nn.Module]):
        nn.Module.__init__(self)
        self.agents = nn.ModuleList(agents)
        self.training = self.agents.training = agents[0].training

    def forward(self, *inputs: Any) -> Any:
        """Tensors or dictionaries of them, rows agent-major, in; tensors or tuples of them out."""
        return self._each(lambda agent, *block: agent(*block), *inputs)

    def _each(self, call: Callable[..., Any], *inputs: Any) -> Any:
        blocks = zip(*(_blocks(one, len(self.agents)) for one in inputs), strict=True)
        return _join([call(agent, *block) for agent, block in zip(self.agents, blocks, strict=True)])

    def reset_parameters(self) -> None:
        """Draw new weights for every agent, if its module can."""
        for agent in self.agents:
            cast(Any, agent).reset_parameters()

    def __getattr__(self, name: str) -> Any:
        """Plain values are the first agent's; modules and tensors each agent has for itself."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            agents = self.__dict__.get("_modules", {}).get("agents")
            if agents is None or name.startswith("__"):
                raise
        value = getattr(agents[0], name)
        if isinstance(value, (th.Tensor, nn.Module)) or callable(value):
            raise AttributeError(
                f"{name!r}: the {len(agents)} agents have a {type(agents[0]).__name__} each, so there are as many. Use "
                f"`for agent in network.agents: agent.{name}`."
            )
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        """Plain values of the agents are set for all of them."""
        agents = self.__dict__.get("_modules", {}).get("agents", [])
        if not agents or name in self.__dict__ or name not in {**vars(agents[0]), **agents[0]._modules}:
            super().__setattr__(name, value)
            return
        if isinstance(value, nn.Module):
            raise SurgeryError(
                f"{name} = {value!r} for {len(agents)} agents at once: they would share its weights. Each agent needs "
                f"one of its own: `for agent in network.agents: agent.{name} = ...`."
            )
        for agent in agents:
            setattr(agent, name, value)

    @property
    def n_agents(self) -> int:
        """Agents whose modules these are."""
        return len(self.agents)


class AgentsNetwork(nn.Module):
    """Actor or critic of several agents."""

    n_agents: int

    def become(self, n_agents: int) -> None:
        """Called once on a lone network whose layers have been stacked and whose class is this one now."""
        self.n_agents = n_agents

    def release(self, lone: Any) -> None:
        """The inverse, for the copy of one agent's network; its class is upstream's already."""
        lone.__dict__.pop("n_agents", None)

    def train(self, mode: Any = True) -> Any:
        """torch's; SB3 calls it three times a step, and most of its time would be ``__setattr__``'s."""
        if type(mode) is not bool or not modes.plain(cast(Any, type(self)), AgentsNetwork.train):
            return super().train(mode)
        return modes.set_mode(self, mode)

    def set_training_mode(self, mode: bool) -> None:
        """SB3's; agents' networks that have one of their own are asked."""
        agents: Any = self._modules.get("agents", ())
        if not any(map(modes.sets_its_own, agents)):
            self.train(mode)
            return
        for agent in agents:
            (agent.set_training_mode if modes.sets_its_own(agent) else agent.train)(mode)
        self.training = agents.training = agents[0].training

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "optimizer":
            require_independent(value)
        super().__setattr__(name, value)


modes.SETTERS.update((PerAgent.__setattr__, AgentsNetwork.__setattr__))


class PerAgentExtractor(PerAgent, BaseFeaturesExtractor):
    """N features extractors of any class."""


class PerAgentActor(AgentsNetwork, PerAgent, Actor):
    """N actors of a class with a ``forward`` of its own."""


class PerAgentCritic(AgentsNetwork, PerAgent, ContinuousCritic):
    """N critics of a class with a ``forward`` of its own."""

    def forward(self, obs: Any, actions: th.Tensor) -> tuple[th.Tensor, ...]:
        return scaled(super().forward(obs, actions), len(self.agents))  # type: ignore[no-any-return]

    def q1_forward(self, obs: Any, actions: th.Tensor) -> th.Tensor:
        values = self._each(lambda agent, *block: agent.q1_forward(*block), obs, actions)
        return scaled(values, len(self.agents))  # type: ignore[no-any-return]


class StackedActor(AgentsNetwork, Actor):
    """SB3's actor with stacked layers."""


class StackedCritic(AgentsNetwork, ContinuousCritic):
    """SB3's critic with stacked towers.

    Upstream averages the loss over n_agents * batch rows, so each agent would see 1 / n_agents of the gradient that it
    sees alone. With the scale at the critic's output every optimiser, whatever its update rule, gets the lone agent's.
    """

    def become(self, n_agents: int) -> None:
        super().become(n_agents)
        self.q_networks = [getattr(self, f"qf{index}") for index in range(self.n_critics)]

    def forward(self, obs: Any, actions: th.Tensor) -> tuple[th.Tensor, ...]:
        return scaled(super().forward(obs, actions), self.n_agents)  # type: ignore[no-any-return]

    def q1_forward(self, obs: Any, actions: th.Tensor) -> th.Tensor:
        return scaled(super().q1_forward(obs, actions), self.n_agents)  # type: ignore[no-any-return]


class _Scale(th.autograd.Function):
    """Identity whose gradient is multiplied by a constant."""

    @staticmethod
    def forward(ctx: Any, x: th.Tensor, factor: float) -> th.Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: th.Tensor) -> tuple[th.Tensor, None]:
        return grads[0] * ctx.factor, None


def scaled(values: Any, factor: float) -> Any:
    """The values, a tensor or a tuple of them, with their gradient multiplied."""
    if isinstance(values, tuple):
        return tuple(scaled(value, factor) for value in values)
    if not values.requires_grad or is_tracing():  # type: ignore[no-untyped-call]
        return values
    return _Scale.apply(values, factor)  # type: ignore[no-untyped-call]


def _blocks(value: Any, n: int) -> list[Any]:
    if isinstance(value, dict):
        keyed = {key: _blocks(part, n) for key, part in value.items()}
        return [{key: chunks[i] for key, chunks in keyed.items()} for i in range(n)]
    if len(value) % n:
        raise UnevenRows.of(len(value), n)
    return list(value.chunk(n))


def _join(results: list[Any]) -> Any:
    if isinstance(results[0], tuple):
        return tuple(th.cat(parts) for parts in zip(*results, strict=True))
    return th.cat(results)
