"""Consensus: elastic averaging of the agents' parameters, in the space of parameters what eq. 12 is in that of values.

theta_i <- theta_i + rho sum_j w_ij (theta_j - theta_i), all agents at once, after every step of an optimiser
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch as th
from torch import nn

from sb3_pr.networks.stacking import agent_parameters, agent_state_dict, load_agent


class Consensus:
    """Draws one model's agents together; it hangs on the optimisers, so that upstream's ``train()`` stays as it is.

    :param model: if it is given, and asks for it, its agents get the same weights
    :param new: whether the model was made or saved without consensus
    """

    def __init__(self, model: Any = None, new: bool = False) -> None:
        if model is not None and _wanted(model):
            begin_alike(model.policy, model.n_columns, model.n_agents)
        self.new = new
        self._hung_on: list[Any] = []
        self._handles: list[Any] = []
        self._model: Any = None

    def attach(self, model: Any) -> None:
        """Hang on the model's present optimisers; a second call for the same ones does nothing."""
        if not _wanted(model):
            return
        optimizers = [model.policy.actor.optimizer, model.policy.critic.optimizer]
        if len(self._hung_on) == 2 and all(one is other for one, other in zip(optimizers, self._hung_on, strict=True)):
            return
        for handle in self._handles:
            handle.remove()
        self._hung_on, self._model = optimizers, model
        self._handles = [
            optimizer.register_step_post_hook(functools.partial(self._after_step, name))
            for name, optimizer in zip(("actor", "critic"), optimizers, strict=True)
        ]

    def warn_if_unlike(self, model: Any) -> None:
        """Say so if agents that were given their weights begin to be averaged, and do not begin alike."""
        if self.new and _wanted(model) and not alike(model.policy, model.n_columns, model.n_agents):
            warnings.warn(
                f"consensus={model.pr.consensus}: these agents have different weights, and begin with them. Parameters "
                "learnt apart have no common meaning, and averaging them may undo what was learnt. Agents of a new "
                "model, and of from_agents(one, env, n_agents=n), begin alike.",
                stacklevel=3,
            )

    def __getstate__(self) -> dict[str, Any]:
        """A copy hangs on nothing until it is attached."""
        return Consensus().__dict__

    def _after_step(self, network: str, *_: Any) -> None:
        if self._model is not None and self._model.reciprocity.averages:
            weights, _kept = self._model.reciprocity.peers_and_itself()
            draw_together(getattr(self._model.policy, network), weights, self._model.pr.consensus)


def _wanted(model: Any) -> bool:
    return bool(model.n_agents > 1 and model.pr.consensus > 0)


@th.no_grad()
def draw_together(network: nn.Module, weights: np.ndarray, rho: float) -> None:
    """One step towards the peers' parameters, of all agents at once. Frozen parameters and buffers stay.

    An agent whose parameters are not finite is left out, and stays where it is.

    :param network: stacked
    :param weights: w_ij, (n_agents, n_agents), rows of sum <= 1
    """
    for tensors in _parameters(network, len(weights)):
        with th._C.DisableTorchFunctionSubclass():
            stacked = tensors[0].detach() if len(tensors) == 1 else th.stack([one.detach() for one in tensors])
            flat = stacked.flatten(1)
            finite = th.isfinite(flat.sum(1))
            step = rho * flat.new_tensor(weights) * finite
            step.diagonal().zero_()
            whole = flat if bool(finite.all()) else flat.masked_fill(~finite[:, None], 0.0)
            moved = flat + (step @ whole - step.sum(1, keepdim=True) * whole)
            new = moved.view_as(stacked)
            if len(tensors) == 1:
                tensors[0].detach().copy_(new)
            else:
                for tensor, part in zip(tensors, new, strict=True):
                    tensor.detach().copy_(part)


def alike(policy: Any, n_agents: int, team_size: int) -> bool:
    """Whether every agent has the weights of the first of its team."""
    for network in (getattr(policy, name) for name in policy.networks):
        states = [agent_state_dict(network, agent) for agent in range(n_agents)]
        for agent, state in enumerate(states):
            first = states[agent - agent % team_size]
            if any(not th.equal(first[name], state[name]) for name in first):
                return False
    return True


def begin_alike(policy: Any, n_agents: int, team_size: int) -> None:
    """Give every agent the weights of the first of its team."""
    for name in policy.networks:
        network = getattr(policy, name)
        for first in range(0, n_agents, team_size):
            state = agent_state_dict(network, first)
            for agent in range(first + 1, first + team_size):
                load_agent(network, agent, state)


def _parameters(network: nn.Module, n_agents: int) -> Iterator[list[nn.Parameter]]:
    """Stacked parameters, alone, and of those that agents have for themselves the agents', that are trained."""
    for entries in zip(*(agent_parameters(network, agent) for agent in range(n_agents)), strict=True):
        wholes = [whole for whole, _ in entries]
        if wholes[0].requires_grad:
            yield wholes[:1] if entries[0][1].agent is not None else wholes
