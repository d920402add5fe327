"""The control "as many own networks" for value learners: is it the other agents' knowledge, or an ensemble's averaging?

Every agent has n_agents - 1 further networks of its own, which stand where the peers stand in eq. 12. Each belongs to
one more of EPyMARL's ``QLearner``, whose own ``train`` trains it: on the same batch and values of the next step as the
first, with an optimiser of its own. With double Q-learning each reads them at the action that it likes best itself,
unless agents act on the mixture, which then says the action. They differ by their first weights alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch as th
from learners.q_learner import QLearner

from epymarl_pr.learners.deciding import DecidingMac
from epymarl_pr.learners.mac import own_values, remember
from epymarl_pr.learners.shadow import EpisodeBatch, filled_rows, replace_rows, rows
from epymarl_pr.learners.units import Units
from epymarl_pr.resume.state import parts, plain
from marl_pr_common.reciprocity import Reciprocity
from marl_pr_common.reciprocity.stand_in import Delegate


class Silent(Delegate):
    """A logger that logs no statistics: those of the first learner are there."""

    def log_stat(self, key: str, value: float, t: int) -> None:
        """Nothing."""


class SameAnswer(Delegate):
    """Stands in for ``target_mac`` of a further learner: it answers what the first learner's has answered."""

    def __init__(self, mac: Any, first: DecidingMac):
        super().__init__(mac)
        self.first = first

    def init_hidden(self, batch_size: int) -> None:
        """Nothing: the batch has been valued."""

    def forward(self, batch: EpisodeBatch, t: int, test_mode: bool = False) -> th.Tensor:
        """(batch, n_agents, n_actions)."""
        return self.first.forward(batch, t, test_mode)


class OtherNetworks:
    """The further learners, each for one more network of every agent.

    :param make: makes one of EPyMARL's controllers
    :param number: how many
    """

    def __init__(self, make: Callable[[], Any], number: int, scheme: Any, logger: Any, args: Any):
        self.learners = [QLearner(make(), scheme, Silent(logger), args) for _ in range(number)]
        self.macs = [learner.mac for learner in self.learners]
        self.targets = [learner.target_mac for learner in self.learners]

    def follow(self, first: DecidingMac) -> None:
        """Let all regress on the answers of the first learner's target."""
        for learner, target in zip(self.learners, self.targets, strict=True):
            learner.target_mac = SameAnswer(target, first)

    def train(self, batch: EpisodeBatch, t_env: int, episode_num: int) -> None:
        """The host's ``train`` of each, after that of the first learner."""
        for learner in self.learners:
            learner.train(batch, t_env, episode_num)

    def cuda(self) -> None:
        """All networks."""
        for learner in self.learners:
            learner.cuda()

    def networks(self) -> list[Any]:
        """What a saved team needs of them."""
        return [plain(mac.agent.state_dict()) for mac in self.macs]

    def load_networks(self, saved: list[Any]) -> None:
        """Go on from :meth:`networks`; targets too, as the host does."""
        for mac, target, state in zip(self.macs, self.targets, saved, strict=True):
            mac.agent.load_state_dict(state)
            target.agent.load_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a complete checkpoint."""
        return {
            str(index): {
                **{name: save() for name, save, _ in parts(learner)},
                "counters": {name: value for name, value in vars(learner).items() if type(value) in (int, float)},
            }
            for index, learner in enumerate(self.learners)
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        for index, learner in enumerate(self.learners):
            saved = state[str(index)]
            for name, _, load in parts(learner):
                load(saved[name])
            vars(learner).update(saved["counters"])


class OwnNetworks(DecidingMac):
    """Stands in for ``target_mac``: the mixture of an agent's own networks, all on its own observation.

    :param others: the further ones
    :param acts: whether agents also act on the mixture; else the first network acts
    """

    def __init__(self, mac: Any, reciprocity: Reciprocity, live: Any, others: OtherNetworks, acts: bool):
        super().__init__(mac, reciprocity, mac, Units(), live, acts)
        self.others = others
        self._hiddens: list[Any] = []  # of the live networks, the first among them

    @th.no_grad()
    def mixture(self, batch: EpisodeBatch, mac: Any, peers: Any, record: bool = True) -> th.Tensor:
        """The ensemble's value, (batch, time, n_agents, n_actions), of live or target networks."""
        macs = [mac, *(self.others.macs if mac is self.live else self.others.targets)]
        index = filled_rows(batch["filled"])
        everyone = [remember(one, batch, [0])[1] if self.recurrent else own_values(one, batch) for one in macs]
        own, *others = (rows(values, index).permute(2, 0, 1) for values in everyone)
        return replace_rows(everyone[0], index, self.reciprocity.ensemble_value(own, th.stack(others), record))

    @th.no_grad()
    def decide(self, batch: EpisodeBatch, t: int) -> th.Tensor:
        """The live ensemble's value at step ``t`` of episodes that are being played: (batch, n_agents, n_actions)."""
        macs = [self.live, *self.others.macs]
        if not self._hiddens:
            self._begin(batch.batch_size)
            self._hiddens = [self.live.hidden_states] * len(macs)
        said = []
        for k, mac in enumerate(macs):
            kept, mac.hidden_states = mac.hidden_states, self._hiddens[k]
            said.append(mac.forward(batch, t).permute(2, 1, 0))
            self._hiddens[k], mac.hidden_states = mac.hidden_states, kept
        return self.reciprocity.ensemble_value(said[0], th.stack(said[1:]), record=False).permute(2, 1, 0)

    def known(self) -> dict[str, Any]:
        """What a saved team needs beside its first networks."""
        return {**super().known(), "others": self.others.networks()}

    def recall(self, known: dict[str, Any]) -> None:
        """Go on from :meth:`known`."""
        super().recall(known)
        self.others.load_networks(known["others"])

    def _begin_episodes(self, batch_size: int) -> None:
        super()._begin_episodes(batch_size)
        self._hiddens = []
