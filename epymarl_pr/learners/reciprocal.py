"""What the learners have in common: options, reciprocity, snapshots of the peers, logs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch as th

from epymarl_pr.launch import options
from epymarl_pr.launch.errors import UsageError, refused
from epymarl_pr.learners.guards import Guards
from epymarl_pr.learners.shadow import EpisodeBatch
from epymarl_pr.learners.traced import watching
from epymarl_pr.learners.trust import EVERY
from epymarl_pr.resume.session import loop_variables, publish, session, stage
from marl_pr_common.reciprocity import Reciprocity, ReciprocityConfig, adjacency
from marl_pr_common.reciprocity.weights import check_gain

STATISTICS = {
    "own_value": "pr_own_value",
    "peer_value": "pr_peer_value",
    "value_gap": "pr_value_gap",
    "critic_disagreement": "pr_critic_disagreement",
}
"""Statistics of :class:`~marl_pr_common.reciprocity.Reciprocity` and their names in the logs, as means over agents."""

PAIRS_UP_TO = 8
"""Agents in a team whose trust is logged pair by pair; a log has no room for the pairs of more."""


class ReciprocalLearner:
    """Mixin for EPyMARL's learners, put before the learner itself."""

    args: Any
    logger: Any
    log_stats_t: int
    reciprocity: Reciprocity
    pr_options: options.Options
    pr_seed: int
    pr_updates: int
    pr_guards: Guards
    pr_peers: Any

    def set_up_reciprocity(self, args: Any, scheme: Any) -> None:
        """Make the reciprocity that ``args`` ask for. Draws nothing from a global generator.

        :raises SacredError: for options that do not fit the learner or the number of agents; sacred prints it
            without a stack trace
        """
        try:
            self.pr_options = options.parse(vars(args), n_agents=args.n_agents)
            options.check_learner(self.pr_options, args)
            masks = self._masks(args, scheme["obs"]["vshape"])
            # one critic per agent: there is no minimum to take
            config = replace(self.pr_options.reciprocity, min_over="mixture")
            self.pr_seed = args.seed if self.pr_options.seed is None else self.pr_options.seed
            self.reciprocity = Reciprocity(config, args.n_agents, self.pr_seed, masks)
            widest = float(self.reciprocity.peer_weights.sum(1).max())
            check_gain(config, args.gamma, widest, adjacency.size(config))
        except (UsageError, ValueError) as error:
            raise refused(options.prefixed(str(error), asdict(ReciprocityConfig()))) from error
        self.pr_updates = 0
        self.pr_guards = Guards(self)

    def _masks(self, args: Any, obs_dim: int) -> np.ndarray | None:
        given = self.pr_options.observation_masks
        if given is None:
            return None
        shape = (args.n_agents, obs_dim)
        if len({len(row) for row in given}) != 1 or (len(given), len(given[0])) != shape:
            rows = [len(row) for row in given]
            raise UsageError(
                f"pr_observation_masks has rows of {rows} entries: expected (n_agents, obs_dim) = {shape}."
            )
        return np.asarray(given, dtype=bool)

    def peers_of(self, target: Any) -> Any:
        """What peers are read from: the live target, or with ``pr_sync_interval`` > 1 a copy of it."""
        return target if self.reciprocity.config.sync_interval == 1 else copy.deepcopy(target)

    def synchronise(self, renew: Callable[[], None]) -> None:
        """Algorithm 2, line 3: before every ``pr_sync_interval``-th update, renew what agents know of their peers.

        :param renew: copies the target network into the snapshot
        """
        if self.pr_updates % self.reciprocity.config.sync_interval == 0:
            self.reciprocity.redraw_peers()
            if self.reciprocity.config.sync_interval > 1:
                renew()
        self.pr_updates += 1

    def judging(self, judge: Callable[[th.Tensor], None]) -> AbstractContextManager[None]:
        """The context of an update. With trust, ``judge`` sees in every tenth what the host regresses on."""
        due = self.reciprocity.watches_errors and (self.pr_updates - 1) % EVERY == 0
        return watching(judge) if due else nullcontext()

    def save_models(self, path: str) -> None:
        """The host's files, as upstream reads them; with ``pr_full_checkpoint`` everything else beside them."""
        running, loop = session(), loop_variables()
        if not self.pr_options.full_checkpoint or running is None or loop is None:
            self.save_networks(path)
            return
        staged = stage(path)
        self.save_networks(staged)
        publish(staged, path)
        running.save(self, path, loop)

    def save_networks(self, path: str) -> None:
        """What evaluation needs: the host's files."""
        super().save_models(path)  # type: ignore[misc]

    def load_models(self, path: str) -> None:
        """The host's networks; with ``pr_full_checkpoint``, everything, unless the run only evaluates."""
        running, loop = session(), loop_variables()
        if running is None or loop is None or running.found is None:
            self.load_networks(path)
        else:
            running.load(self, loop)

    def load_networks(self, path: str) -> None:
        """Read what :meth:`save_networks` wrote, or upstream."""
        super().load_models(path)  # type: ignore[misc]

    def cuda(self) -> None:
        """The host's networks, and a snapshot of the peers that it does not know of."""
        super().cuda()  # type: ignore[misc]
        if self.reciprocity.config.sync_interval > 1:
            self.pr_peers.cuda()

    def train(self, batch: EpisodeBatch, t_env: int, episode_num: int) -> None:
        """The host's ``train``, and PR's statistics whenever the host logs its own."""
        logged = self.log_stats_t
        self.pr_guards.check_batch(batch, t_env)
        super().train(batch, t_env, episode_num)  # type: ignore[misc]
        if self.log_stats_t != logged and self.reciprocity.active:
            self._log_statistics(self.reciprocity.pop_statistics(), t_env)

    def _log_statistics(self, statistics: dict[str, np.ndarray], t_env: int) -> None:
        if "own_value" in statistics:
            self.pr_guards.check_values(statistics["own_value"])
        for name, value in statistics.items():
            if np.isfinite(value).any():
                self.logger.log_stat(STATISTICS[name], float(np.nanmean(value)), t_env)
        self.logger.log_stat("pr_masked_peer_values", self.reciprocity.masked_peer_values, t_env)
        self._log_trust(t_env)

    def _log_trust(self, t_env: int) -> None:
        """``pr_trust``: the part of the peers' weight that the peers have, mean over agents; and W_ij, pair by pair."""
        weights = self.reciprocity.pop_trust()
        if weights is None:
            return
        self.logger.log_stat("pr_trust", float((weights.sum(1) - weights.diagonal()).mean()), t_env)
        if len(weights) <= PAIRS_UP_TO:
            for i, j in np.ndindex(*weights.shape):
                self.logger.log_stat(f"pr_trust_{i}_{j}", float(weights[i, j]), t_env)
