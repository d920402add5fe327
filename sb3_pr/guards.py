"""Guards of every algorithm: gradients before they are applied, losses, the size of the values.

before an optimiser's step: a non-finite gradient is named and the step is not made
    in a group whose agent is broken already: that agent stands still, the others go on
after the updates: losses must be finite; mean |Q| is held against r_max / (1 - gamma)
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import numpy as np
import torch as th
from torch import nn

from marl_pr_common.reciprocity.guards import NonFiniteError, ValueAlarm, all_finite, bad_agents
from sb3_pr.algorithms.spec import spec_of
from sb3_pr.ending import end
from sb3_pr.policies import TRAINED

LOGGER = logging.getLogger("marl_pr")
EVERY = 10
"""Calls of a lone agent's target critic between two whose values are looked at."""


class Watch:
    """Looks at one model's updates.

    :param n_agents: number of agents
    :param enabled: whether anything is checked
    :param n_teams: stacked teams that the agents are
    """

    def __init__(self, n_agents: int, enabled: bool = True, n_teams: int = 1) -> None:
        self.n_agents = n_agents
        self.enabled = enabled
        self.alarm = ValueAlarm(n_teams)
        self.broken: set[int] = set()
        """Agents that stand still because their networks are not finite."""
        self._calls = 0
        self._values: list[th.Tensor] = []
        self._watched: list[Any] = [None]
        self._model: Any = None
        self._somebody_ended = False
        self._handles: list[Any] = []

    def attach(self, model: Any) -> None:
        """Watch the model's present networks; a second call for the same ones does nothing."""
        policy = model.policy
        learnt = spec_of(model).learnt_by(model)
        watched = [policy, *(getattr(policy, name).optimizer for name in TRAINED), *(found[2] for found in learnt)]
        if not self.enabled or all(one is other for one, other in zip_longest(watched, self._watched)):
            return
        for handle in self._handles:
            handle.remove()
        self._watched, self._model, self._handles = watched, model, []
        for name in TRAINED:
            check = functools.partial(self._before_step, name)
            self._handles.append(getattr(policy, name).optimizer.register_step_pre_hook(check))
        for one, _, optimizer in learnt:
            self._handles.append(optimizer.register_step_pre_hook(functools.partial(self._before_step, one.tensor)))
        if self.n_agents == 1:  # a group's values are known from reciprocity's statistics
            self._handles.append(policy.critic_target.register_forward_hook(self._see_values))

    def __getstate__(self) -> dict[str, Any]:
        """Without the networks: a copy watches none until it is attached."""
        return {**self.__dict__, "_watched": [None], "_model": None}

    def _before_step(self, name: str, optimizer: Any, *_: Any) -> None:
        """A hook of the optimisers of actor, critic, and what agents learn beside them."""
        if self._model is None:
            return
        learnt = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in learnt if parameter.grad is not None]
        if gradients and all_finite(gradients):
            return
        parameters = [(name, learnt[0])]
        if name in TRAINED:
            parameters = list(getattr(self._model.policy, name).named_parameters(prefix=name))
        self._check_gradients(parameters, self._model)

    def after_updates(self, model: Any, own_values: np.ndarray | None = None) -> None:
        """Losses and values of the updates that were just made.

        :param own_values: mean Q of each agent, (n_agents,), if there are new ones
        :raises NonFiniteError: for a loss that is not finite
        """
        if not self.enabled:
            return
        ended, self._somebody_ended = self._somebody_ended, False  # its last loss is in the mean
        for name in ("critic_loss", "actor_loss", *(one.loss for one in spec_of(model).learnt)):
            loss = model.logger.name_to_value.get(f"train/{name}", 0.0)
            if not np.isfinite(loss) and not self.broken and not ended:
                worst = self._worst(model, name)
                error = NonFiniteError.of(
                    worst,
                    f"non-finite {name} of agent {worst} at update {model._n_updates}: {loss}. Its values are too "
                    "large for float32. Resume from the last checkpoint with a smaller learning_rate.",
                )
                end(model, [worst], error)
                ended = True
        if ended:  # upstream logs an actor's loss in every second update only: the next one must not see this one
            for name in [name for name in model.logger.name_to_value if name.endswith("_loss")]:
                if not np.isfinite(model.logger.name_to_value[name]):
                    del model.logger.name_to_value[name]
        if self._values:
            own_values = th.stack(self._values).mean(0, keepdim=True).double().cpu().numpy()
            self._values = []
        if own_values is not None:
            self.alarm.check(own_values, model.gamma, model._n_updates)

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return {"alarm": self.alarm.state_dict(), "calls": self._calls, "values": list(self._values)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.alarm.load_state_dict(state["alarm"])
        self._calls, self._values = state["calls"], list(state["values"])

    def _see_values(self, network: nn.Module, inputs: Any, values: tuple[th.Tensor, ...]) -> None:
        if self._calls % EVERY == 0:
            self._values.append(values[0].detach().mean().cpu())
        self._calls += 1

    def _check_gradients(self, parameters: list[tuple[str, nn.Parameter]], model: Any) -> None:
        """Before an optimiser's step.

        :raises NonFiniteError: unless a broken agent of a group is the cause; that one's gradient is set to 0
        """
        several = getattr(model, "n_teams", 1) > 1
        broken = set(broken_agents(model)) if self.n_agents > 1 and not several else set()
        for name, parameter in parameters:
            for agent in _bad(name, parameter.grad, self.n_agents):
                if agent not in broken or len(broken) == self.n_agents or several:
                    error = NonFiniteError.of(
                        agent,
                        f"non-finite gradient of agent {agent}, tensor {name}, at update {model._n_updates}. The "
                        "optimiser's step was not made, so every parameter is as it was before. Resume from the last "
                        "checkpoint with a smaller learning_rate, or look for extreme rewards.",
                    )
                    end(model, [agent], error)
                    self._somebody_ended = True
                    continue
                _agents_part(name, parameter.grad, agent, self.n_agents).zero_()
        for agent in sorted(broken - self.broken):
            part = next(name for name, tensor in network_tensors(model) if agent in _bad(name, tensor, self.n_agents))
            LOGGER.warning(
                "agent %d is broken: tensor %s is not finite, found at update %d. It stands still; the others go on "
                "without it. Checkpoints are not written any more: resume from the last one, which is good.",
                *(agent, part, model._n_updates),
            )
        self.broken |= broken

    def _worst(self, model: Any, loss: str) -> int:
        """The agent with the largest gradient."""
        name = loss.removesuffix("_loss")
        named: list[Any] = [
            (one.tensor, tensor) for one, tensor, _ in spec_of(model).learnt_by(model) if one.loss == loss
        ]
        named = list(getattr(model.policy, name).named_parameters(prefix=name)) if name in TRAINED else named
        gradients = [(key, parameter.grad) for key, parameter in named if parameter.grad is not None]
        sizes = []
        for agent in range(self.n_agents):
            mine = [one for one in gradients if owner(one[0], self.n_agents) in (None, agent)]
            parts = [_agents_part(key, gradient, agent, self.n_agents) for key, gradient in mine]
            sizes.append(th.stack([part.abs().max().float().cpu() for part in parts] or [th.zeros(())]).max())
        return int(th.stack(sizes).argmax())


def network_tensors(model: Any) -> Iterator[tuple[str, th.Tensor]]:
    """Name and content of everything that is learnt: parameters and buffers of actors, critics and their targets."""
    spec = spec_of(model)
    for name in spec.networks:
        for key, tensor in getattr(model.policy, name).state_dict().items():
            yield f"{name}.{key}", tensor
    for one, tensor, _ in spec.learnt_by(model):
        yield one.tensor, tensor.detach()


def broken_agents(model: Any) -> list[int]:
    """Agents with a network that is not finite."""
    n_agents = getattr(model, "n_columns", 1)
    found = {agent for name, tensor in network_tensors(model) for agent in _bad(name, tensor, n_agents)}
    return sorted(found)


def broken_parts(model: Any) -> list[str]:
    """What is not finite in a model, "tensor actor.mu.0.weight of agent 1": networks, optimisers, VecNormalize."""
    n_agents = getattr(model, "n_columns", 1)
    named = list(network_tensors(model))
    optimizers = {name: getattr(model.policy, name).optimizer for name in TRAINED}
    optimizers |= {one.tensor: optimizer for one, _, optimizer in spec_of(model).learnt_by(model)}
    for name, optimizer in optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            named += [(f"{name}.optimizer[{index}].{key}", value) for key, value in moments.items()]
    tensors = [(name, tensor) for name, tensor in named if isinstance(tensor, th.Tensor)]
    found = [f"tensor {name} of agent {agent}" for name, tensor in tensors for agent in _bad(name, tensor, n_agents)]
    return found + _broken_statistics(model)


def _broken_statistics(model: Any) -> list[str]:
    """VecNormalize takes a value into its statistics before anybody can look at it."""
    env = model.get_vec_normalize_env()
    if env is None:
        return []
    by_key = env.obs_rms if isinstance(getattr(env, "obs_rms", None), dict) else {"": getattr(env, "obs_rms", None)}
    named = {f"observations{f'[{key!r}]' if key else ''}": moments for key, moments in by_key.items()}
    named["returns"] = env.ret_rms
    return [
        f"VecNormalize's mean or variance of {name}"
        for name, moments in named.items()
        if moments is not None and not (np.isfinite(moments.mean).all() and np.isfinite(moments.var).all())
    ]


def _bad(name: str, tensor: th.Tensor | None, n_agents: int) -> list[int]:
    """Agents whose part of a tensor is not finite."""
    if tensor is None or not tensor.is_floating_point() or bool(th.isfinite(tensor).all()):
        return []
    own = owner(name, n_agents)
    if own is not None:
        return [own]
    stacked = n_agents > 1 and tensor.ndim > 0 and len(tensor) == n_agents
    return bad_agents(tensor, n_agents) if stacked else [0]


def _agents_part(name: str, tensor: th.Tensor | None, agent: int, n_agents: int) -> th.Tensor:
    assert tensor is not None
    return tensor if owner(name, n_agents) is not None or n_agents == 1 else tensor[agent]


def owner(name: str, n_agents: int) -> int | None:
    """The one agent of a group whose tensor it is; None if it is all agents', or there is no group."""
    found = re.search(r"\.agents\.(\d+)\.", name) if n_agents > 1 else None  # PerAgent keeps a module for each
    return int(found[1]) if found else None
