"""MAPPO, IPPO, MAA2C and IA2C with reciprocity: V* of eq. 12 as bootstrap value, or A* as the actor's advantage.

With Z = A the critic learns from its own values, and the actor from

    A*_i = (1 - kappa) A_i + kappa sum_j sum_{s#} w_j w_{s#} (G_i(V_j) - V_j(s#))

where G_i(V_j) is agent i's n-step return bootstrapped with peer j's value at states adjacent to those on the way. The
return is linear in values and rewards, so that one evaluation of the mixture gives the whole sum.
"""

from __future__ import annotations

from typing import Any

import torch as th
from learners.actor_critic_learner import ActorCriticLearner
from learners.ppo_learner import PPOLearner

from epymarl_pr.learners.critics import ReciprocalCritic
from epymarl_pr.learners.reciprocal import ReciprocalLearner
from epymarl_pr.learners.shadow import EpisodeBatch
from epymarl_pr.learners.trust import of_state_values
from epymarl_pr.learners.units import Units
from marl_pr_common.reciprocity import adjacency
from marl_pr_common.reciprocity.weights import NORMALISATIONS


class _OnPolicy(ReciprocalLearner):
    """What both learners share."""

    target_critic: Any

    def __init__(self, mac: Any, scheme: Any, logger: Any, args: Any):
        super().__init__(mac, scheme, logger, args)  # type: ignore[call-arg]
        self.set_up_reciprocity(args, scheme)
        units = Units((lambda: self.ret_ms) if args.standardise_returns else None)  # type: ignore[attr-defined]
        self.pr_peers = self.peers_of(self.target_critic)
        in_target = self.pr_options.z != "A"
        self.target_critic = ReciprocalCritic(self.target_critic, self.reciprocity, self.pr_peers, units, in_target)
        self.pr_judged: EpisodeBatch | None = None  # a batch whose targets the host is about to form

    def train(self, batch: EpisodeBatch, t_env: int, episode_num: int) -> None:
        """The host's ``train``."""
        self.synchronise(lambda: self.pr_peers.load_state_dict(self.target_critic.state_dict()))
        self.target_critic.forget()
        self.pr_judged = batch if self.reciprocity.watches_errors else None
        super().train(batch, t_env, episode_num)
        self.pr_judged = None
        self.target_critic.forget()

    def nstep_returns(self, rewards: th.Tensor, mask: th.Tensor, values: th.Tensor, nsteps: int) -> th.Tensor:
        """The host's, (batch, time - 1, n_agents), raw: with trust, what its peers predict of the first epoch's."""
        returns: th.Tensor = super().nstep_returns(rewards, mask, values, nsteps)  # type: ignore[misc]
        if self.pr_judged is not None:
            batch, self.pr_judged = self.pr_judged, None
            self.reciprocity.observe_errors(of_state_values(self.target_critic, batch, returns))
        return returns

    def train_critic_sequential(
        self, critic: Any, target_critic: Any, batch: EpisodeBatch, rewards: th.Tensor, mask: th.Tensor
    ) -> tuple[th.Tensor, dict[str, list[float]]]:
        """The host's update of the critic; with Z = A the advantages it returns are reciprocal.

        :return: masked advantages (batch, time - 1, n_agents), and the host's log
        """
        if self.pr_options.z != "A" or not self.reciprocity.active:
            return super().train_critic_sequential(critic, target_critic, batch, rewards, mask)  # type: ignore[misc,no-any-return]
        agent = th.arange(self.reciprocity.n_agents, device=rewards.device)
        units = target_critic.units
        own, mixed = (units.raw(values[..., 0], agent) for values in target_critic.values(batch))
        advantages, log = super().train_critic_sequential(critic, target_critic, batch, rewards, mask)  # type: ignore[misc]
        return self.reciprocal_advantages(advantages, own, mixed, rewards, mask, units), log

    def reciprocal_advantages(
        self,
        advantages: th.Tensor,
        own: th.Tensor,
        mixed: th.Tensor,
        rewards: th.Tensor,
        mask: th.Tensor,
        units: Units,
    ) -> th.Tensor:
        """A* of eq. 12 with Z = A.

        :param advantages: A_i, (batch, time - 1, n_agents), in the learner's units
        :param own: V_i of the target critic, (batch, time, n_agents), raw
        :param mixed: V*_i, (batch, time, n_agents), raw
        """
        config = self.reciprocity.config
        peer_weights = th.as_tensor(self.reciprocity.peer_weights)
        total = NORMALISATIONS[config.normalize].total(peer_weights, adjacency.size(config))[:, 0].to(own)
        listens = (total > 0).to(own.dtype)
        kappa = config.kappa * listens
        theirs = mixed - (1 - kappa) * own  # kappa times the sum over peers and adjacent states of V_j
        theirs = th.where(listens > 0, theirs, th.zeros_like(theirs))
        returns = self.nstep_returns(kappa * total * rewards, mask, theirs, self.args.q_nstep)
        agent = th.arange(len(total), device=own.device)
        gained = (returns - theirs[:, :-1]) / units.std(returns, agent)
        result: th.Tensor = (1 - kappa) * advantages + gained * mask
        return result


class PRPPOLearner(_OnPolicy, PPOLearner):
    """``PPOLearner`` with reciprocity; constructor and methods are the host's."""


class PRActorCriticLearner(_OnPolicy, ActorCriticLearner):
    """``ActorCriticLearner`` with reciprocity; constructor and methods are the host's."""
