"""``target_critic`` with reciprocity, for the on-policy learners: V* of eq. 12 instead of the own target value.

Critics of the state (``cv_critic``) value something that all agents share: one pass gives every peer's answer, and
the own pass is already the peers' answer at s itself. Critics of the observation (``ac_critic``) are asked like
utilities: peer j looks at what agent i saw.
"""

from __future__ import annotations

from typing import Any

import torch as th

from epymarl_pr.launch.options import CRITICS_OF_OBSERVATIONS
from epymarl_pr.learners.shadow import EpisodeBatch, filled_rows, pass_size, replace_rows, rows, shadow
from epymarl_pr.learners.units import Units
from marl_pr_common.reciprocity import Reciprocity
from marl_pr_common.reciprocity.ask import Evaluate
from marl_pr_common.reciprocity.stand_in import Delegate, by_peer


class ReciprocalCritic(Delegate):
    """Stands in for ``target_critic``.

    PPO asks once per epoch with frozen target networks: the answer to a batch is kept until :meth:`forget`. With
    standardised returns it is kept in the units of the first epoch.

    :param critic: EPyMARL's critic
    :param reciprocity: adjacency, peers and mixture
    :param peers: the critic that peers are read from: ``critic`` itself, or a snapshot
    :param units: of the agents' values
    :param in_target: whether the bootstrap value is reciprocal; off for Z = A, which reads :meth:`values` itself
    """

    def __init__(self, critic: Any, reciprocity: Reciprocity, peers: Any, units: Units, in_target: bool = True):
        super().__init__(critic)
        self.reciprocity = reciprocity
        self.peers = peers
        self.units = units
        self.in_target = in_target
        self._kept: tuple[EpisodeBatch, th.Tensor, th.Tensor] | None = None

    def forget(self) -> None:
        """Drop the kept answer: the target network has changed, or is about to."""
        self._kept = None

    def __call__(self, batch: EpisodeBatch, t: int | None = None) -> th.Tensor:
        """(batch, time, n_agents, 1): V*; the host's own tensor where reciprocity is off."""
        if not self.reciprocity.active or t is not None:
            return self.wrapped(batch, t)  # type: ignore[no-any-return]
        own, mixed = self.values(batch)
        return mixed if self.in_target else own

    @th.no_grad()
    def values(self, batch: EpisodeBatch) -> tuple[th.Tensor, th.Tensor]:
        """The own values and V*, each (batch, time, n_agents, 1); padded steps keep the own value."""
        if self._kept is None or self._kept[0] is not batch:
            own = self.wrapped(batch)
            mix = self._by_observation if self.wrapped.args.critic_type in CRITICS_OF_OBSERVATIONS else self._by_state
            self._kept = (batch, own, mix(batch, own))
        return self._kept[1:]

    def own(self, batch: EpisodeBatch, index: th.Tensor) -> th.Tensor:
        """The own values at rows of batch * time, raw: (n_agents, row)."""
        values = rows(self.values(batch)[0], index)[..., 0]
        return self.units.raw(values, th.arange(len(values), device=values.device)[:, None])

    def judge(self, batch: EpisodeBatch, index: th.Tensor, own: th.Tensor) -> Evaluate:
        """Any peer's values of what agents saw at rows of batch * time, where their own are ``own``."""
        if self.wrapped.args.critic_type in CRITICS_OF_OBSERVATIONS:
            return self._evaluator(batch)
        said = own
        if self.peers is not self.wrapped:
            agent = th.arange(len(own), device=own.device)[:, None]
            said = self.units.raw(rows(self.peers(batch), index)[..., 0], agent)
        return lambda states, peer: said.gather(0, peer)[None]

    def _evaluator(self, batch: EpisodeBatch) -> Evaluate:
        def evaluate(states: th.Tensor, peer: th.Tensor) -> th.Tensor:
            groups = by_peer(peer)
            obs = groups.take(states)[:, None]
            values = self.peers(shadow(batch, len(obs), 1, obs=obs))[:, 0, :, 0]
            return self.units.raw(groups.put(values), peer)[None]

        return evaluate

    def _by_observation(self, batch: EpisodeBatch, own: th.Tensor) -> th.Tensor:
        index = filled_rows(batch["filled"])
        agent = th.arange(own.shape[2], device=own.device)[:, None]
        raw = self.units.raw(rows(own, index).permute(2, 0, 1), agent)
        states = rows(batch["obs"], index)
        mixed = self.reciprocity.value(raw, states, self._evaluator(batch), pass_size=pass_size(states))
        return replace_rows(own, index, self.units.standardised(mixed, agent))

    def _by_state(self, batch: EpisodeBatch, own: th.Tensor) -> th.Tensor:
        index = filled_rows(batch["filled"])
        agent = th.arange(own.shape[2], device=own.device)[:, None]
        states = joint_states(batch, self.wrapped.args).flatten(0, 1)

        def evaluate(adjacent: th.Tensor) -> th.Tensor:
            seen = states.expand(len(adjacent), -1, -1).index_copy(1, index, adjacent)
            values = self.peers(with_joint_states(batch, seen, self.wrapped.args))
            found = values.view(len(adjacent), -1, own.shape[2])[:, index].permute(2, 0, 1)
            return self.units.raw(found, agent[:, None])[None]

        raw = self.units.raw(rows(own, index).permute(2, 0, 1), agent)
        known = raw if self.peers is self.wrapped else None
        mixed = self.reciprocity.joint_value(raw, states[index], evaluate, at_states=known)
        return replace_rows(own, index, self.units.standardised(mixed, agent))


def joint_states(batch: EpisodeBatch, args: Any) -> th.Tensor:
    """What a critic of states sees that may be perturbed: (batch, time, dim). Identities and last actions may not."""
    if not args.obs_individual_obs:
        return batch["state"]  # type: ignore[no-any-return]
    return th.cat([batch["state"], batch["obs"].flatten(2)], dim=-1)


def with_joint_states(batch: EpisodeBatch, states: th.Tensor, args: Any) -> EpisodeBatch:
    """The batch repeated, with other joint states: ``states`` (n, batch * time, dim) make n * batch episodes."""
    n_rows, n_steps = len(states) * batch.batch_size, batch.max_seq_length
    dim = batch["state"].shape[-1]
    flat = states.view(n_rows, n_steps, -1)
    data = {"state": flat[..., :dim]}
    if args.obs_individual_obs:
        data["obs"] = flat[..., dim:].reshape(n_rows, n_steps, *batch["obs"].shape[2:])
    if args.obs_last_action:
        data["actions_onehot"] = batch["actions_onehot"].repeat(len(states), 1, 1, 1)
    return shadow(batch, n_rows, n_steps, **data)
