"""The one change to SB3: what ``critic_target`` answers. It stays SB3's network in every other respect."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.type_aliases import PyTorchObs

from marl_pr_common.reciprocity import Reciprocity
from marl_pr_common.reciprocity.ask import Evaluate
from marl_pr_common.reciprocity.mixture import without_bad_gradients
from marl_pr_common.reciprocity.stand_in import Delegate, by_peer
from sb3_pr.networks.mlp import frozen
from sb3_pr.networks.observations import VectorPart, gather_rows


class CriticDelegate(Delegate):
    """A stand-in for SB3's critic: what is set on it, a layer or the optimiser, is set on the critic."""

    own: ClassVar[tuple[str, ...]] = ("wrapped",)
    """Attributes that it keeps itself."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.own:
            super().__setattr__(name, value)
        else:
            setattr(self.wrapped, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.wrapped, name)

    def __repr__(self) -> str:
        return repr(self.wrapped)


class ReciprocalTarget(CriticDelegate):
    """``critic_target`` with reciprocity: Z* of eq. 12 instead of the agent's own target value.

    :param critic: SB3's stacked target critic, agent-major
    :param reciprocity: adjacency, peers and mixture
    :param space: the observation space
    :param n_updates: gradient steps so far, for ``sync_interval``; the model keeps it up to date
    :param snapshot: the peers' networks when ``sync_interval`` > 1; None reads the live target network
    """

    own = ("wrapped", "reciprocity", "vectors", "n_updates", "snapshot")

    def __init__(
        self,
        critic: ContinuousCritic,
        reciprocity: Reciprocity,
        space: spaces.Space[Any],
        n_updates: int = 0,
        snapshot: ContinuousCritic | None = None,
    ):
        super().__init__(critic)
        self.reciprocity = reciprocity
        self.vectors = VectorPart(space)
        self.n_updates = n_updates
        self.snapshot = snapshot

    def __call__(self, obs: PyTorchObs, actions: th.Tensor) -> tuple[th.Tensor, ...]:
        """Like SB3's critic: a tuple of (n_agents * batch, 1); one entry only if ``min_over="peer"`` took the min."""
        own = self.wrapped(obs, actions)
        n = self.reciprocity.n_agents
        values = th.stack(own).view(len(own), n, -1)
        if not self.reciprocity.active:
            self.reciprocity.record_own(values)
            return own  # type: ignore[no-any-return]
        self._synchronise()
        states = self.vectors.split(obs, n)
        mixed = self.reciprocity.value(values, states, self.evaluator(obs, actions))
        return tuple(critic.reshape(-1, 1) for critic in mixed)

    def evaluator(self, obs: PyTorchObs, actions: th.Tensor) -> Evaluate:
        """The peers' view of this batch; see :data:`marl_pr_common.reciprocity.ask.Evaluate`."""
        peers = self.wrapped if self.snapshot is None else self.snapshot

        def evaluate(states: th.Tensor, peer: th.Tensor) -> th.Tensor:
            seen = self.vectors.join(states.flatten(0, 1), obs)
            return evaluate_rows(peers, seen, actions, peer)

        return evaluate

    def _synchronise(self) -> None:
        """Algorithm 2, line 3: renew what the agents know of their peers, every ``sync_interval`` gradient steps."""
        interval = self.reciprocity.config.sync_interval
        if (self.n_updates - 1) % interval == 0:
            self.reciprocity.redraw_peers()
            if self.snapshot is not None:
                self.snapshot.load_state_dict(self.wrapped.state_dict())


class CountsUpdates:
    """Mixin of a model: SB3's count of gradient steps, of which the target is told; it does not look at the model."""

    @property
    def _n_updates(self) -> int:
        count: int = self.__dict__["_n_updates"]
        return count

    @_n_updates.setter
    def _n_updates(self, count: int) -> None:
        self.__dict__["_n_updates"] = count
        target = self.__dict__.get("critic_target")
        if isinstance(target, ReciprocalTarget):
            target.n_updates = count


class ActorObjective(CriticDelegate):
    """``critic`` whose ``q1_forward``, the actor's objective, gives gradients to the actor alone.

    SB3 discards the critic's gradients of this pass; here they are not computed. With ``in_actor=True`` the objective
    is the reciprocal value: its gradient reaches the actor through its own critic and the peers' target critics.
    """

    own = ("wrapped", "target")

    def __init__(self, critic: ContinuousCritic, target: ReciprocalTarget):
        super().__init__(critic)
        self.target = target
        if target.reciprocity.config.in_actor:
            for network in (target.wrapped, target.snapshot):
                if network is not None:
                    network.requires_grad_(False)

    def __call__(self, obs: PyTorchObs, actions: th.Tensor) -> tuple[th.Tensor, ...]:
        return self.wrapped(obs, actions)  # type: ignore[no-any-return]

    def q1_forward(self, obs: Any, actions: th.Tensor) -> th.Tensor:
        """(n_agents * batch, 1): the first critic's value, or eq. 12 for it; differentiable in ``actions``."""
        with frozen(self.wrapped.q_networks[0]):
            own: th.Tensor = self.wrapped.q1_forward(obs, actions)
        reciprocity = self.target.reciprocity
        if not (reciprocity.active and reciprocity.config.in_actor):
            return own
        n = reciprocity.n_agents
        states = self.target.vectors.split(obs, n)

        def evaluate(states: th.Tensor, peer: th.Tensor) -> th.Tensor:
            return self.target.evaluator(obs, without_bad_gradients(actions))(states, peer)[:1]

        mixed = reciprocity.value(own.view(1, n, -1), states, evaluate, record=False)
        return mixed.reshape(-1, 1)


def evaluate_rows(critic: ContinuousCritic, obs: Any, actions: th.Tensor, peer: th.Tensor) -> th.Tensor:
    """Value every row with the critics of the agent that ``peer`` names.

    Rows are regrouped by peer, valued in one stacked pass (blocks padded to the longest), and put back.

    :param critic: stacked, agent-major
    :param obs: (n_agents * batch, ...)
    :param actions: (n_agents * batch, action_dim)
    :param peer: (n_agents, batch) indices
    :return: (n_critics, n_agents, batch)
    """
    groups = by_peer(peer)
    rows = groups.index.flatten()
    values = th.stack(critic(gather_rows(obs, rows), actions[rows])).view(-1, *groups.index.shape)
    return th.stack([groups.put(value.T) for value in values])


def snapshot_of(critic: ContinuousCritic) -> ContinuousCritic:
    """A copy of the target critic for the peers to be read from; it is never trained."""
    snapshot = copy.deepcopy(critic)
    snapshot.requires_grad_(False)
    snapshot.set_training_mode(False)
    return snapshot
