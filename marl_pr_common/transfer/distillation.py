"""DVM's second phase: policy distillation and value matching (Wadhwania et al., 2019), and the way back to the agents.

M minibatches:
    policy distillation   sum_i KL(softmax(z_i(o_i) / T) || softmax(z_d(o_i)))
    value matching        sum_i (Q_d(P_i x, P_i a) - Q_i(x, a))^2
every agent <- the distilled actor and critic

P_i puts what belongs to agent i first and the others after it in a cyclic order. A host whose critics read all agents
in one order for everybody needs no other training for that: reading P_i x is reading x with the columns of the first
layer in another order, so that P_i goes into Q_d's first layer when agent i gets it (:func:`load_self_first`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch as th
from torch import nn

from marl_pr_common.checkpoint.rng import generator_state, set_generator_state
from marl_pr_common.transfer.config import DVMConfig

SHARE = 20
"""Losses are told as means over the first and the last 1/20 of the minibatches."""


@dataclass(frozen=True)
class Minibatch:
    """What teachers and students say of the same rows.

    teachers, students: log-probabilities of actions, (n_agents, rows, n_actions); the teachers' without gradient
    values, student_values: (n_agents, rows), Q_i(x, a) and Q_d(P_i x, P_i a)
    """

    teachers: th.Tensor
    students: th.Tensor
    values: th.Tensor
    student_values: th.Tensor


Draw = Callable[[np.random.Generator], Minibatch]


def policy_distillation_loss(teachers: th.Tensor, students: th.Tensor) -> th.Tensor:
    """Sum over agents of the mean KL(teacher || student), both (n_agents, rows, n_actions) log-probabilities."""
    teachers = teachers.detach()
    return (teachers.exp() * (teachers - students)).sum(-1).mean(-1).sum()


def value_matching_loss(values: th.Tensor, student_values: th.Tensor) -> th.Tensor:
    """Sum over agents of the mean squared error, both (n_agents, rows)."""
    return ((student_values - values.detach()) ** 2).mean(-1).sum()


def self_first(agent: int, n_agents: int, blocks: Sequence[tuple[int, bool]]) -> th.Tensor:
    """The columns of agent i's input in the order P_i: ``x[..., columns]`` is P_i x.

    :param blocks: widths of the input's parts in order, and whether a part has one block for each agent
    :return: (sum of widths,) indices
    """
    found, start = [], 0
    for width, per_agent in blocks:
        columns = th.arange(start, start + width)
        found.append(columns.view(n_agents, -1).roll(-agent, 0).flatten() if per_agent else columns)
        start += width
    return th.cat(found)


def load_self_first(critic: nn.Module, distilled: nn.Module, columns: th.Tensor) -> None:
    """Give a critic the distilled one's function of ``x[..., columns]``, as a function of x.

    :param critic: same layers as ``distilled``, its input in the host's order
    """
    critic.load_state_dict(distilled.state_dict())
    first = next(layer for layer in critic.modules() if isinstance(layer, nn.Linear))
    weight = first.weight.data.clone()
    first.weight.data[:, columns.to(weight.device)] = weight


class Distillation:
    """One actor and one critic for a whole team.

    They are initialised once, as torch does it but from a seed of their own and on the CPU, where hosts make networks,
    and go on from where the last distillation left them; their optimisers begin anew each time.

    :param actor: a network of the host's, of which the architecture is used
    :param critic: likewise
    :param lr: Adam's
    """

    def __init__(self, actor: nn.Module, critic: nn.Module, config: DVMConfig, lr: float, seed: list[int]):
        self.actor, self.critic, self.config, self.lr = actor, critic, config, lr
        self.rng = np.random.default_rng(seed)
        self.rounds = 0
        """Distillations so far."""
        with th.random.fork_rng(devices=[]):
            # th.manual_seed would seed the generators of accelerators too, which are not put back
            th.default_generator.manual_seed(int(self.rng.integers(2**62)))
            for layer in [*actor.modules(), *critic.modules()]:
                reset: Any = getattr(layer, "reset_parameters", None)
                if reset is not None:
                    reset()

    def run(self, draw: Draw) -> dict[str, float]:
        """Distil.

        :param draw: makes a minibatch with a generator; the students in it are :attr:`actor` and :attr:`critic`
        :return: mean losses of the first and the last minibatches
        """
        students = (self.actor, self.critic)
        optimisers = [th.optim.Adam(network.parameters(), lr=self.lr, fused=True) for network in students]
        policy, value = [], []
        for _ in range(self.config.minibatches):
            batch = draw(self.rng)
            losses = (
                policy_distillation_loss(batch.teachers, batch.students),
                value_matching_loss(batch.values, batch.student_values),
            )
            for loss, optimiser in zip(losses, optimisers, strict=True):
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            policy.append(float(losses[0].detach()))
            value.append(float(losses[1].detach()))
        self.rounds += 1
        return {**_ends("policy_loss", policy), **_ends("value_loss", value)}

    def cuda(self) -> None:
        """Move the students."""
        self.actor.cuda()
        self.critic.cuda()

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        networks = {"actor": self.actor.state_dict(), "critic": self.critic.state_dict()}
        return {**networks, "rounds": self.rounds, "rng": generator_state(self.rng)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.actor.load_state_dict(state["actor"])
        self.critic.load_state_dict(state["critic"])
        self.rounds = state["rounds"]
        set_generator_state(self.rng, state["rng"])


def _ends(name: str, losses: list[float]) -> dict[str, float]:
    share = max(1, len(losses) // SHARE)
    return {f"{name}_first": float(np.mean(losses[:share])), name: float(np.mean(losses[-share:]))}
