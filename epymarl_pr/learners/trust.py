"""Trust in EPyMARL: how well peer j's target network predicts what agent i's is regressed on.

    D_ij = mean (Q_j(o_i, a_i) - y_i)^2                                         without a mixer
    D_ij = mean (mixer(Q_1, .., Q_j(o_i, a_i) in agent i's place, ..) - y)^2    with one: the team has one target
    D_ij = mean (V_j(s) - y_i)^2, mean (Q_j(s, a) - y_i)^2                      critics of MAPPO and its like, of MADDPG

over the steps after which there is another one. Utilities below a mixer have no common unit; the team's value, in which
a peer's utility stands in for the agent's, has. All networks are the target's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch as th

from epymarl_pr.learners.action_critics import ReciprocalActionCritic
from epymarl_pr.learners.critics import ReciprocalCritic
from epymarl_pr.learners.mac import ReciprocalMac, ask
from epymarl_pr.learners.policies import acted
from epymarl_pr.learners.shadow import EpisodeBatch, rows

EVERY = 10
"""Updates between two looks; learners that see each batch once look at all of them."""


@th.no_grad()
def squared_errors(mac: ReciprocalMac, mixer: Any, batch: EpisodeBatch, target: th.Tensor) -> th.Tensor:
    """D_ij, (n_agents, n_agents); NaN where nobody was asked.

    :param mac: what stands in for ``target_mac``
    :param mixer: the target mixer, or None
    :param target: what the host regresses on, (batch, time - 1, n_agents), or (batch, time - 1, 1) with a mixer
    """
    index, n = acted(batch), len(mac.had)
    agent = th.arange(n, device=index.device)[:, None]
    memory, own_values = mac.remember(batch, mac.wrapped, mac.peers, mac.reciprocity.shifts_to_judge)
    action = rows(batch["actions"], index)
    own = mac.units.raw(rows(own_values, index).gather(2, action)[..., 0], agent)
    team = _in_its_place(mixer, own, batch["state"].flatten(0, 1)[index])
    wanted = mac.units.raw(_at(target.expand(-1, -1, n), index).to(own.dtype), agent)
    had = mac.had.to(index.device)

    def evaluate(states: th.Tensor, peer: th.Tensor) -> th.Tensor:
        found = ask(mac.peers, batch, states, peer, index, memory).permute(1, 2, 0).gather(2, action)[..., 0]
        known = had[peer, action[..., 0]]  # a peer that never had the action says nothing against itself
        return team(th.where(known, mac.units.raw(found, peer), own))[None]

    return mac.reciprocity.squared_errors(team(own)[None], rows(batch["obs"], index), wanted, evaluate)


@th.no_grad()
def of_state_values(critic: ReciprocalCritic, batch: EpisodeBatch, target: th.Tensor) -> th.Tensor:
    """D_ij of the learners whose critics say V, while the host forms its target.

    :param critic: what stands in for ``target_critic``
    :param target: the returns that the host regresses on, raw, (batch, time - 1, n_agents)
    """
    index = acted(batch)
    own = critic.own(batch, index)
    wanted = _at(target, index).to(own.dtype)
    judge = critic.judge(batch, index, own)
    return critic.reciprocity.squared_errors(own[None], rows(batch["obs"], index), wanted, judge)


@th.no_grad()
def of_action_values(
    critic: ReciprocalActionCritic, batch: EpisodeBatch, inputs: th.Tensor, target: th.Tensor
) -> th.Tensor:
    """D_ij of MADDPG, whose loss leaves out the last step of an episode that terminates.

    :param critic: what stands in for ``target_critic``
    :param inputs: of the critics, (batch, time, n_agents, dim)
    :param target: what the host regresses on, (batch, time - 1, n_agents)
    """
    index, n = acted(batch), target.shape[2]
    index = index[batch["terminated"].flatten()[index] == 0]
    joint = batch["actions_onehot"].flatten(2)[:, :, None].expand(-1, -1, n, -1)
    own = rows(critic.wrapped(inputs, joint), index)[..., 0]
    wanted = _at(target, index).to(own.dtype)
    judge = critic.judge(inputs, joint, index, own)
    return critic.reciprocity.squared_errors(own[None], rows(inputs[..., : critic.dim], index), wanted, judge)


def _at(target: th.Tensor, index: th.Tensor) -> th.Tensor:
    """(n_agents, row) of a target (batch, time - 1, n_agents): the last step has none, and is not asked for."""
    return rows(th.cat([target, target[:, :1]], dim=1)[..., None], index)[..., 0]


def _in_its_place(mixer: Any, own: th.Tensor, states: th.Tensor) -> Callable[[th.Tensor], th.Tensor]:
    """What the team's value is with one agent's own value replaced, each in turn: (n_agents, row) -> the same."""
    if mixer is None:
        return lambda values: values

    def team(values: th.Tensor) -> th.Tensor:
        found = []
        for i, instead in enumerate(values):
            utilities = own.clone()
            utilities[i] = instead
            found.append(mixer(utilities.T[:, None].contiguous(), states[:, None]).flatten())
        return th.stack(found)

    return team
