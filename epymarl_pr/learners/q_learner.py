"""QMIX, VDN and IQL with reciprocity: EPyMARL's ``QLearner`` whose ``target_mac`` answers with Q* of eq. 12. With
``pr_act`` agents also act on it.

Availability masks, double Q-learning and the mixers stay the host's. Utilities below a mixer have no common unit
when agents have separate networks: the mixer absorbs each one's scale.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from controllers import REGISTRY as controllers
from learners.q_learner import QLearner

from epymarl_pr.launch.errors import refused
from epymarl_pr.learners.deciding import DecidingMac
from epymarl_pr.learners.experience import everyones
from epymarl_pr.learners.mac import ReciprocalMac
from epymarl_pr.learners.own_networks import OtherNetworks, OwnNetworks
from epymarl_pr.learners.reciprocal import ReciprocalLearner
from epymarl_pr.learners.shadow import EpisodeBatch, filled_rows, rows
from epymarl_pr.learners.trust import EVERY, squared_errors
from epymarl_pr.learners.units import Units

FILE = "deciding.th"
"""Beside EPyMARL's files in a folder of saved networks."""


class PRQLearner(ReciprocalLearner, QLearner):
    """``QLearner`` with reciprocity; constructor and methods are the host's."""

    target_mac: Any

    def __init__(self, mac: Any, scheme: Any, logger: Any, args: Any):
        super().__init__(mac, scheme, logger, args)
        self.set_up_reciprocity(args, scheme)
        standardised = args.standardise_returns and self.mixer is None
        units = Units((lambda: self.ret_ms) if standardised else None)
        self.pr_peers = self.peers_of(self.target_mac)
        self.pr_others: OtherNetworks | None = None
        options = self.pr_options
        if (options.act or options.shared_experience) and len(getattr(mac.agent, "agents", ())) != args.n_agents:
            key = "pr_act" if options.act else "pr_shared_experience"
            raise refused(f"{key}=True with agent={args.agent}: it has not one network for each agent in `agents`.")
        if options.own_critics and self.reciprocity.active:
            self._have_own_networks(scheme)
        elif options.act:
            self.target_mac = DecidingMac(self.target_mac, self.reciprocity, self.pr_peers, units, mac)
        else:
            self.target_mac = ReciprocalMac(self.target_mac, self.reciprocity, self.pr_peers, units)

    def _have_own_networks(self, scheme: Any) -> None:
        """The control: further networks of each agent's own in the place of its peers'."""
        args, groups = self.args, {"agents": self.args.n_agents}
        make = functools.partial(controllers[args.mac], scheme, groups, args)
        self.pr_others = OtherNetworks(make, args.n_agents - 1, scheme, self.logger, args)
        self.target_mac = OwnNetworks(
            self.target_mac, self.reciprocity, self.mac, self.pr_others, acts=self.pr_options.act
        )
        self.pr_others.follow(self.target_mac)

    def train(self, batch: EpisodeBatch, t_env: int, episode_num: int) -> None:
        """The host's ``train``; warns before the first update if agents have different action sets."""
        if self.pr_updates == 0 and self.reciprocity.active:
            self._compare_action_sets(batch)
        self.synchronise(lambda: self.pr_peers.load_state(self.target_mac))
        given = everyones(batch, self.args.n_agents) if self.pr_options.shared_experience else batch
        with self.judging(functools.partial(self._judge, batch)):
            super().train(given, t_env, episode_num)
        if self.pr_others is not None:
            self.pr_others.train(given, t_env, episode_num)

    def cuda(self) -> None:
        """The host's networks, and further ones."""
        super().cuda()
        if self.pr_others is not None:
            self.pr_others.cuda()

    def _judge(self, batch: EpisodeBatch, target: th.Tensor) -> None:
        """Take in how well the peers predict the targets of this update.

        :param batch: of the agents' own experience
        :param target: (episodes, time - 1, n_agents or 1), the batch's own episodes first
        """
        if self.args.standardise_returns:
            for name, value in vars(self.ret_ms).items():  # made of what was traced
                setattr(self.ret_ms, name, value.as_subclass(th.Tensor) if isinstance(value, th.Tensor) else value)
        mixer = None if self.mixer is None else self.target_mixer
        own = target[: batch.batch_size]
        self.reciprocity.observe_errors(squared_errors(self.target_mac, mixer, batch, own), EVERY)

    def save_networks(self, path: str) -> None:
        """The host's files, and beside them what deciding needs."""
        super().save_networks(path)
        if self._decides:
            th.save(self.target_mac.known(), Path(path) / FILE)

    def load_networks(self, path: str) -> None:
        """The host's networks, and what deciding needs, if it was saved.

        :raises SacredError: if an agent's further networks were not
        """
        super().load_networks(path)
        if not self._decides:
            return
        file = Path(path) / FILE
        known = th.load(file, map_location="cpu") if file.is_file() else None
        if self.pr_others is not None and not (known and known.get("others")):
            raise refused(
                f"pr_own_critics=True, but {path} holds no further networks of the agents. Evaluate "
                "a team that was trained with this setting."
            )
        if known is not None:
            self.target_mac.recall(known)
            return
        self.target_mac.had[:] = True
        self.logger.console_logger.warning(
            f"epymarl_pr: pr_act=True, but {path} holds no {FILE}: these agents did not decide together when they were "
            "trained. Every network counts for every action, in the units that it has."
        )

    @property
    def _decides(self) -> bool:
        """Whether there is more to a saved team than the host's files."""
        return isinstance(self.target_mac, DecidingMac) and self.reciprocity.active

    def _compare_action_sets(self, batch: EpisodeBatch) -> None:
        """Agents whose available actions never change but are not the same ones are of different kinds."""
        available = rows(batch["avail_actions"], filled_rows(batch["filled"])).bool().cpu().numpy()
        fixed = bool((available == available[:, :1]).all())
        if not fixed or bool((available == available[:1]).all()):
            return
        sets = ", ".join(f"agent {i}: {np.flatnonzero(actions).tolist()}" for i, actions in enumerate(available[:, 0]))
        self.logger.console_logger.warning(
            f"epymarl_pr: the agents have different action sets ({sets}). A peer's value of an action that it does "
            "not have is left out; such a value is the mean over the peers that have the action."
        )
