"""``target_mac`` with reciprocity, for QMIX, VDN and IQL: Q* of eq. 12 instead of the agents' own target utilities.

A whole batch is valued when its first step is asked for; the host's loop over time then reads the answers.

h_ij(t)  <- memory of agent j over agent i's true history      (recurrent agents only)
s#       <- observations adjacent to what agent i saw at t
Q_j(s#, .) with h_ij(t); what the perturbed step does to the memory is thrown away
Q*_i     <- eq. 12, before the host masks unavailable actions
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch as th

from epymarl_pr.learners.shadow import EpisodeBatch, filled_rows, last_actions, pass_size, replace_rows, rows, shadow
from epymarl_pr.learners.traced import traced
from epymarl_pr.learners.units import Units
from marl_pr_common.reciprocity import Reciprocity
from marl_pr_common.reciprocity.stand_in import Delegate, by_peer
from marl_pr_common.reciprocity.statistics import NO_VALUE

FEED_FORWARD = ("rnn", "rnn_ns")
"""EPyMARL's agents that ignore their hidden state when ``use_rnn`` is off; any other agent counts as recurrent."""


@dataclass(frozen=True)
class Memory:
    """Hidden states of agent ``(i + shift) % n_agents`` before each step of agent i's true history.

    place: (n_agents,): where each shift stands in ``hidden``
    hidden: (n_shifts, batch * time, n_agents, hidden_dim), by the agent whose memory it is
    """

    place: th.Tensor
    hidden: th.Tensor

    def of(self, peer: th.Tensor, row: th.Tensor) -> th.Tensor:
        """Memories of agents ``peer`` (n_agents, k) at the rows ``row`` (k,) of batch * time: (n_agents, k, dim)."""
        n = len(peer)
        shift = (peer - th.arange(n, device=peer.device)[:, None]) % n
        return self.hidden[self.place[shift], row, peer]


class ReciprocalMac(Delegate):
    """Stands in for ``target_mac``.

    :param mac: EPyMARL's controller
    :param reciprocity: adjacency, peers and mixture
    :param peers: the controller that peers are read from: ``mac`` itself, or a snapshot
    :param units: of the agents' utilities
    """

    def __init__(self, mac: Any, reciprocity: Reciprocity, peers: Any, units: Units):
        super().__init__(mac)
        self.reciprocity = reciprocity
        self.peers = peers
        self.units = units
        self.recurrent = bool(mac.args.use_rnn) or mac.args.agent not in FEED_FORWARD
        self.had = th.zeros(mac.args.n_agents, mac.args.n_actions, dtype=th.bool)  # actions each agent ever had
        self._had_all: th.Tensor | None = None
        self._sequence: tuple[EpisodeBatch, th.Tensor] | None = None

    def init_hidden(self, batch_size: int) -> None:
        """Begin a batch of sequences, as the host's controller does."""
        self._sequence = None
        self.wrapped.init_hidden(batch_size)

    def forward(self, batch: EpisodeBatch, t: int, test_mode: bool = False) -> th.Tensor:
        """(batch, n_agents, n_actions): Q* at step ``t``; the host's own tensor where reciprocity is off."""
        if not self.reciprocity.active:
            return self.wrapped.forward(batch, t, test_mode=test_mode)  # type: ignore[no-any-return]
        if self._sequence is None or self._sequence[0] is not batch:
            self._sequence = (batch, self.answers(batch))
        return traced(self._sequence[1][:, t])

    def answers(self, batch: EpisodeBatch) -> th.Tensor:
        """What the host's loop reads of a batch, (batch, time, n_agents, n_actions): Q*."""
        return self.values(batch)

    def values(self, batch: EpisodeBatch) -> th.Tensor:
        """Q* of a whole batch, (batch, time, n_agents, n_actions); padded steps keep the agents' own values."""
        return self.mixture(batch, self.wrapped, self.peers)

    @th.no_grad()
    def mixture(self, batch: EpisodeBatch, mac: Any, peers: Any, record: bool = True) -> th.Tensor:
        """Q* of any two controllers, as from :meth:`values`.

        :param mac: whose agents' own values are mixed
        :param peers: the controller that peers are read from
        :param record: whether the batch counts in PR's statistics
        """
        self.see(batch)
        index = filled_rows(batch["filled"])
        memory, own_values = self.remember(batch, mac, peers, self.shifts)
        agent = th.arange(len(self.had), device=index.device)[:, None]

        def evaluate(states: th.Tensor, peer: th.Tensor) -> th.Tensor:
            row = index.repeat(peer.shape[1] // len(index))
            found = self.units.raw(ask(peers, batch, states, peer, row, memory), peer)
            return self.leave_out_never_had(found, peer)

        own = self.units.raw(rows(own_values, index).permute(2, 0, 1), agent)
        states = rows(batch["obs"], index)
        mixed = self.reciprocity.value(own, states, evaluate, record, pass_size(states))
        return replace_rows(own_values, index, self.units.standardised(mixed, agent))

    @property
    def had_all(self) -> bool:
        """Whether every agent has had every action: of one tensor looked at until it is so."""
        if self._had_all is not self.had and bool(self.had.all()):
            self._had_all = self.had
        return self._had_all is self.had

    def see(self, batch: EpisodeBatch) -> None:
        """Note which actions each agent has had in the rows that hold data."""
        if not self.had_all:
            index = filled_rows(batch["filled"])
            self.had = self.had.to(index.device) | rows(batch["avail_actions"], index).bool().any(1)

    def remember(
        self, batch: EpisodeBatch, mac: Any, peers: Any, shifts: Sequence[int]
    ) -> tuple[Memory | None, th.Tensor]:
        """The peers' memories, and the agents' own values (batch, time, n_agents, n_actions)."""
        if not self.recurrent:
            return None, own_values(mac, batch)
        memory, values = remember(peers, batch, shifts)
        if peers is not mac:
            _, values = remember(mac, batch, [0])
        return memory, values

    @property
    def shifts(self) -> list[int]:
        """Of the streams that networks look at: agent ``(i + shift) % n_agents`` at agent i's, its own first."""
        return sorted({0, *self.reciprocity.shifts})

    def leave_out_never_had(self, values: th.Tensor, peer: th.Tensor) -> th.Tensor:
        """Values (n_actions, ..., n_agents, k) of actions that the peer (n_agents, k or 1) never had mean nothing."""
        if self.had_all:
            return values
        never = ~self.had[peer].permute(2, 0, 1)
        return values.masked_fill(never if values.ndim == 3 else never[:, None], NO_VALUE)


def ask(
    mac: Any, batch: EpisodeBatch, states: th.Tensor, peer: th.Tensor, row: th.Tensor, memory: Memory | None
) -> th.Tensor:
    """Values of single steps, each by any agent, in one forward pass of the host's controller.

    :param states: observations, (n_agents, k, obs_dim), by the agent that saw them
    :param peer: (n_agents, k): which agent values each
    :param row: (k,): the step of batch * time that each belongs to, for last actions and memories
    :return: (n_actions, n_agents, k)
    """
    groups = by_peer(peer)
    obs = groups.take(states)
    n_rows, n_agents = obs.shape[:2]
    last = obs.new_zeros(1, 1, 1, mac.args.n_actions).expand(n_rows, 2, n_agents, -1)
    if mac.args.obs_last_action:
        last = groups.take(rows(last_actions(batch), row))[:, None].expand(-1, 2, -1, -1)
    # two equal steps, of which the second is asked for: there the host reads the first one's action as the last
    available = last.new_ones(1, 1, 1, 1, dtype=th.int).expand(last.shape)
    obs = obs[:, None].expand(-1, 2, -1, -1)
    steps = shadow(batch, n_rows, 2, obs=obs, actions_onehot=last, avail_actions=available)
    kept = mac.hidden_states
    mac.init_hidden(n_rows)
    if memory is not None:
        mac.hidden_states = groups.take(memory.of(peer, row))
    values = mac.forward(steps, 1)
    mac.hidden_states = kept
    return groups.put(values).permute(2, 0, 1)


def own_values(mac: Any, batch: EpisodeBatch) -> th.Tensor:
    """What feed-forward agents say of their own observations, (batch, time, n_agents, n_actions), in one pass."""
    every = th.arange(batch.batch_size * batch.max_seq_length, device=batch["obs"].device)
    states = rows(batch["obs"], every)
    agent = th.arange(len(states), device=states.device)[:, None].expand(-1, len(every))
    values = ask(mac, batch, states, agent, every, None)
    return values.permute(2, 1, 0).reshape(batch.batch_size, batch.max_seq_length, len(states), -1)


def remember(mac: Any, batch: EpisodeBatch, shifts: Sequence[int]) -> tuple[Memory, th.Tensor]:
    """Run every agent ``(i + shift) % n_agents`` over agent i's true history, all shifts side by side.

    :param shifts: begins with 0, the agents' own histories
    :return: the memories, and the agents' own values (batch, time, n_agents, n_actions)
    """
    size, time, n_agents = batch.batch_size, batch.max_seq_length, batch["obs"].shape[2]
    histories = streams(batch, looked_at(shifts, n_agents, batch["obs"].device), slice(0, time))
    kept = mac.hidden_states
    mac.init_hidden(histories.batch_size)
    hidden, values = [], []
    for t in range(time):
        hidden.append(mac.hidden_states.reshape(len(shifts), size, n_agents, -1))
        found = mac.forward(histories, t)
        values.append(found[:size])
    mac.hidden_states = kept
    place = places(shifts, n_agents, batch["obs"].device)
    return Memory(place, th.stack(hidden, 2).flatten(1, 2)), th.stack(values, 1)


def looked_at(shifts: Sequence[int], n_agents: int, device: th.device) -> th.Tensor:
    """(n_shifts, n_agents): whose stream the host's network j looks at: of agent ``(j - shift) % n_agents``."""
    return (th.arange(n_agents, device=device) - th.as_tensor(shifts, device=device)[:, None]) % n_agents


def streams(batch: EpisodeBatch, agents: th.Tensor, steps: slice) -> EpisodeBatch:
    """What agents saw and did at ``steps``, one block of episodes for each shift.

    :param agents: from :func:`looked_at`
    """
    seen = {key: batch[key][:, steps] for key in ("obs", "actions_onehot", "avail_actions")}
    looked = {key: value[:, :, agents].movedim(2, 0).flatten(0, 1) for key, value in seen.items()}
    return shadow(batch, batch.batch_size * len(agents), seen["obs"].shape[1], **looked)


def places(shifts: Sequence[int], n_agents: int, device: th.device) -> th.Tensor:
    """(n_agents,): where each shift stands among ``shifts``."""
    place = th.zeros(n_agents, dtype=th.long, device=device)
    place[th.as_tensor(shifts)] = th.arange(len(shifts), device=device)
    return place
