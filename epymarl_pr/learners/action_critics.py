"""MADDPG's critics with reciprocity: Q* of eq. 12 for joint actions, in the target and, if asked for, in the actor.

The critic's input is state | own observation | last action | identity, each part as the configuration says. State and
observation are what may be perturbed; the last action goes with the agent that acted, the identity with the critic.
"""

from __future__ import annotations

from typing import Any

import torch as th

from epymarl_pr.learners.shadow import filled_rows, pass_size, replace_rows, rows
from epymarl_pr.learners.traced import traced
from marl_pr_common.reciprocity import Reciprocity
from marl_pr_common.reciprocity.ask import Evaluate
from marl_pr_common.reciprocity.mixture import without_bad_gradients
from marl_pr_common.reciprocity.stand_in import Delegate, by_peer


class ReciprocalActionCritic(Delegate):
    """Stands in for ``target_critic``.

    :param critic: EPyMARL's critic
    :param reciprocity: adjacency, peers and mixture
    :param peers: the critic that peers are read from
    :param state_dim: columns of the state
    :param obs_dim: columns of one agent's observation
    """

    def __init__(self, critic: Any, reciprocity: Reciprocity, peers: Any, state_dim: int, obs_dim: int):
        super().__init__(critic)
        self.reciprocity = reciprocity
        self.peers = peers
        args = critic.args
        self.dim = state_dim + (obs_dim if args.obs_individual_obs else 0)
        self.n_identity = args.n_agents if args.obs_agent_id else 0
        self.shares_input = not (args.obs_individual_obs or args.obs_last_action)
        self.filled: th.Tensor | None = None  # (batch, time, 1) of the steps that will be asked for

    def __call__(self, inputs: th.Tensor, actions: th.Tensor) -> th.Tensor:
        """(batch, time, n_agents, 1): Q*; the host's own tensor where reciprocity is off.

        :param inputs: (batch, time, n_agents, dim)
        :param actions: joint actions, (batch, time, n_agents, n_agents * n_actions)
        """
        if not self.reciprocity.active:
            return self.wrapped(inputs, actions)  # type: ignore[no-any-return]
        with th.no_grad():
            own = self.wrapped(inputs, actions)
            index = filled_rows(own.new_ones(own.shape[:2]) if self.filled is None else self.filled)
            mix = self._jointly if self.shares_input else self.mix
            return traced(mix(own, inputs, actions, index))

    def judge(self, inputs: th.Tensor, actions: th.Tensor, index: th.Tensor, own: th.Tensor) -> Evaluate:
        """Any peer's values of what agents saw and did at rows of batch * time, where their own are ``own``."""
        if not self.shares_input:
            return self._evaluator(rows(inputs[..., self.dim :], index), rows(actions, index))
        said = own if self.peers is self.wrapped else rows(self.peers(inputs, actions), index)[..., 0]
        return lambda states, peer: said.gather(0, peer)[None]

    def _jointly(self, own: th.Tensor, inputs: th.Tensor, actions: th.Tensor, index: th.Tensor) -> th.Tensor:
        """All agents value one state and one joint action: every adjacent state is one pass for all of them."""
        given, joint = inputs.flatten(0, 1)[index], actions.flatten(0, 1)[index]

        def evaluate(adjacent: th.Tensor) -> th.Tensor:
            n = len(adjacent)
            state = adjacent[:, :, None].expand(-1, -1, given.shape[1], -1)
            seen = th.cat([state, given[None, ..., self.dim :].expand(n, -1, -1, -1)], dim=-1)
            found = self.peers(seen, joint.expand(n, -1, -1, -1))[..., 0]
            return found.permute(2, 0, 1)[None]  # type: ignore[no-any-return]

        values = rows(own, index).permute(2, 0, 1)
        known = values if self.peers is self.wrapped else None
        mixed = self.reciprocity.joint_value(values, given[:, 0, : self.dim], evaluate, at_states=known)
        return replace_rows(own, index, mixed)

    def mix(
        self, own: th.Tensor, inputs: th.Tensor, actions: th.Tensor, index: th.Tensor, record: bool = True
    ) -> th.Tensor:
        """Q* where each agent has inputs, or gradients, of its own; differentiable in ``actions``."""
        states = rows(inputs[..., : self.dim], index)
        evaluate = self._evaluator(rows(inputs[..., self.dim :], index), rows(actions, index))
        values = rows(own, index).permute(2, 0, 1)
        return replace_rows(own, index, self.reciprocity.value(values, states, evaluate, record, pass_size(states)))

    def _evaluator(self, rest: th.Tensor, actions: th.Tensor) -> Evaluate:
        """Peers look at what an agent saw and at its joint action; both arguments are (n_agents, row, ...)."""
        n, batch = rest.shape[:2]
        identity = th.eye(n, dtype=rest.dtype, device=rest.device)[:, : self.n_identity]

        def evaluate(states: th.Tensor, peer: th.Tensor) -> th.Tensor:
            groups = by_peer(peer)
            times = peer.shape[1] // batch
            seen = groups.take(th.cat([states, rest.repeat(1, times, 1)], dim=-1))
            if self.n_identity:
                seen[..., -n:] = identity
            joint = groups.take(without_bad_gradients(actions).repeat(1, times, 1))
            found = self.peers(seen[None], joint[None])[0, ..., 0]
            return groups.put(found)[None]

        return evaluate


class ActorCritic(Delegate):
    """Stands in for the live ``critic``: the actor's objective is Q* too.

    The host calls its critic twice in ``train``: for the critic's loss with stored actions, and for the actor's with
    actions that have a gradient, which tells the two apart. The gradient reaches the actor through its own critic and
    the peers' target critics.

    :param critic: EPyMARL's critic
    :param target: what peers and mixture are read from
    """

    def __init__(self, critic: Any, target: ReciprocalActionCritic):
        super().__init__(critic)
        self.target = target
        self.filled: th.Tensor | None = None  # (batch, time, 1) of the steps that will be asked for
        for network in (target.wrapped, target.peers):
            for parameter in network.parameters():
                parameter.requires_grad_(False)

    def __call__(self, inputs: th.Tensor, actions: th.Tensor) -> th.Tensor:
        """(batch, time, n_agents, 1), as from the host's critic."""
        own = self.wrapped(inputs, actions)
        if not (actions.requires_grad and self.target.reciprocity.active):
            return own  # type: ignore[no-any-return]
        index = filled_rows(own.new_ones(own.shape[:2]) if self.filled is None else self.filled)
        return self.target.mix(own, inputs, actions, index, record=False)
