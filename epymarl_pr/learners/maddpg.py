"""MADDPG with reciprocity: EPyMARL's ``MADDPGLearner`` whose ``target_critic`` answers with Q* of eq. 12."""

from __future__ import annotations

import functools
from typing import Any

import torch as th
from learners.maddpg_learner import MADDPGLearner

from epymarl_pr.learners.action_critics import ActorCritic, ReciprocalActionCritic
from epymarl_pr.learners.own_critics import OthersOfTheOwn, OwnCritics
from epymarl_pr.learners.reciprocal import ReciprocalLearner
from epymarl_pr.learners.shadow import EpisodeBatch
from epymarl_pr.learners.trust import EVERY, of_action_values


class PRMADDPGLearner(ReciprocalLearner, MADDPGLearner):
    """``MADDPGLearner`` with reciprocity; constructor and methods are the host's."""

    critic: Any
    target_critic: Any

    def __init__(self, mac: Any, scheme: Any, logger: Any, args: Any):
        super().__init__(mac, scheme, logger, args)
        self.set_up_reciprocity(args, scheme)
        dims = scheme["state"]["vshape"], scheme["obs"]["vshape"]
        self.pr_others: OthersOfTheOwn | None = None
        if self.pr_options.own_critics:
            self.pr_others = OthersOfTheOwn(lambda: MADDPGLearner(mac, scheme, logger, args), args.n_agents - 1)
            self.target_critic = OwnCritics(self.target_critic, self.reciprocity, self.pr_others, *dims)
            self.pr_others.follow(self.target_critic)
        else:
            self.pr_peers = self.peers_of(self.target_critic)
            self.target_critic = ReciprocalActionCritic(self.target_critic, self.reciprocity, self.pr_peers, *dims)
        if self.reciprocity.active and self.reciprocity.config.in_actor:
            self.critic = ActorCritic(self.critic, self.target_critic)

    def train(self, batch: EpisodeBatch, t_env: int, episode_num: int) -> None:
        """The host's ``train``."""
        self.synchronise(lambda: self.pr_peers.load_state_dict(self.target_critic.state_dict()))
        # the target is asked for the steps from the second on, the actor's objective for those up to the last but one
        self.target_critic.filled = batch["filled"][:, 1:]
        if isinstance(self.critic, ActorCritic):
            self.critic.filled = batch["filled"][:, :-1]
        if self.pr_others is not None:
            self.pr_others.train(batch, t_env, episode_num)
        with self.judging(functools.partial(self._judge, batch)):
            super().train(batch, t_env, episode_num)

    def _judge(self, batch: EpisodeBatch, target: th.Tensor) -> None:
        """Take in how well the peers predict the targets of this update, (batch * (time - 1) * n_agents, 1)."""
        by_agent = target.view(batch.batch_size, -1, self.n_agents)
        errors = of_action_values(self.target_critic, batch, self._build_inputs(batch), by_agent)
        self.reciprocity.observe_errors(errors, EVERY)

    def cuda(self) -> None:
        """The host's networks, and further critics."""
        super().cuda()
        if self.pr_others is not None:
            self.pr_others.each("cuda")

    def _update_targets_hard(self) -> None:
        super()._update_targets_hard()
        if self.pr_others is not None:
            self.pr_others.each("_update_targets_hard")

    def _update_targets_soft(self, tau: float) -> None:
        super()._update_targets_soft(tau)
        if self.pr_others is not None:
            self.pr_others.each("_update_targets_soft", tau)
