"""The state that Policy Reciprocity keeps while an algorithm trains: its generator, moments, graph and statistics.

update the running moments with the states of this batch
S#(s), w_s#  <- adjacency space of every state               (Definition 2, eq. 4)
N_i, w_j     <- neighbour sets, redrawn every sync_interval  (Algorithm 2, line 3)
Z_j(s#, a)   <- the framework evaluates its peers            (an ``Evaluate`` function)
Z*_i(s, a)   <- the mixture                                  (eq. 12)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th

from marl_pr_common.checkpoint.errors import CheckpointError
from marl_pr_common.checkpoint.rng import generator_state, set_generator_state
from marl_pr_common.reciprocity import peers
from marl_pr_common.reciprocity.adjacency import AdjacentStates, adjacent_states, fill_unseen
from marl_pr_common.reciprocity.ask import Estimators, Evaluate, JointEvaluate
from marl_pr_common.reciprocity.config import ReciprocityConfig
from marl_pr_common.reciprocity.mixture import reciprocal_value
from marl_pr_common.reciprocity.moments import RunningMoments
from marl_pr_common.reciprocity.statistics import PeerStatistics


class Reciprocity(Estimators):
    """Adjacency, peers and the mixture of eq. 12 for one group of agents.

    :param config: the options
    :param n_agents: agents in the group
    :param seed: of PR's own generators; no other generator is ever read
    :param masks: what each agent sees, (n_agents, dim) booleans; None if all see everything
    """

    def __init__(
        self, config: ReciprocityConfig, n_agents: int, seed: int | None = None, masks: np.ndarray | None = None
    ):
        self.config = config
        self.n_agents = n_agents
        self.masks = masks
        entropy = np.random.SeedSequence(seed)
        self.rng = np.random.default_rng(entropy.spawn(1)[0])
        self._seed = int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1))
        self._generator: th.Generator | None = None
        self._generator_state: tuple[str, th.Tensor] | None = None  # device type and state, while unpickled
        self._moments: RunningMoments | None = None  # of each agent's states
        self._joint_moments: RunningMoments | None = None  # of states that all agents share
        self.peer_weights = peers.peer_matrix(config, n_agents, self.rng)
        self._statistics = PeerStatistics()

    @property
    def active(self) -> bool:
        """Whether any agent's target differs from its own value."""
        return self.config.kappa > 0 and bool(self.peer_weights.any())

    def configure(self, config: ReciprocityConfig) -> None:
        """Change the options; generator and moments go on, the graph is drawn anew only if its options changed."""
        graph = ("peers", "n_peers", "peer_matrix", "normalize")
        changed = any(getattr(config, name) != getattr(self.config, name) for name in graph)
        self.config = config
        if changed:
            self.peer_weights = peers.peer_matrix(config, self.n_agents, self.rng)

    def redraw_peers(self) -> None:
        """Draw new random neighbour sets, if ``peers="random"``; other graphs stay."""
        if self.config.peers == "random":
            self.peer_weights = peers.peer_matrix(self.config, self.n_agents, self.rng)

    def value(
        self, own: th.Tensor, states: th.Tensor, evaluate: Evaluate, record: bool = True, pass_size: int = 1
    ) -> th.Tensor:
        """Z* of eq. 12 for one batch.

        :param own: Z_i(s, a), (n_critics, n_agents, batch); with ``min_over="peer"`` the minimum is taken here
        :param states: s, (n_agents, batch, dim); dim may be 0 for adjacency "same"
        :param evaluate: the framework's critics, see :data:`Evaluate`
        :param record: whether the batch counts in :meth:`pop_statistics`
        :param pass_size: every peer and adjacent state is a question about the whole batch. As many questions as fit
            into this many rows are laid one after the other along the batch axis and asked in one call of ``evaluate``
        :return: (n_critics, n_agents, batch), or (1, n_agents, batch) with ``min_over="peer"``
        """
        states = states.detach()
        adjacent = self._adjacent(states)
        if self.config.estimator == "sampled":
            return self._sampled(own, adjacent, states, evaluate, record)
        return self._full(own, adjacent, states, evaluate, record, pass_size)

    def joint_value(
        self,
        own: th.Tensor,
        states: th.Tensor,
        evaluate: JointEvaluate,
        at_states: th.Tensor | None = None,
        record: bool = True,
    ) -> th.Tensor:
        """Z* of eq. 12 where all agents value one state that they share, as centralised critics do.

        The adjacency space belongs to the state, so that one pass serves every agent. The estimators "one_state" and
        "sampled" draw one adjacent state per row and ask every peer, which costs no more than asking one.

        :param own: Z_i(s, a), (n_critics, n_agents, batch)
        :param states: s, (batch, dim)
        :param evaluate: the framework's critics, see :data:`JointEvaluate`
        :param at_states: every agent's value of s itself, like ``own``, if it is at hand: s is then not asked for
        :return: as from :meth:`value`
        """
        return self._joint(own, self._adjacent(states.detach()[None], joint=True), evaluate, at_states, record)

    def ensemble_value(self, own: th.Tensor, others: th.Tensor) -> th.Tensor:
        """Z* with further critics of the agent's own in the place of its peers', all on s itself: a control.

        :param own: Z_i(s, a), (n_critics, n_agents, batch)
        :param others: (n_others, n_critics, n_agents, batch)
        :return: as from :meth:`value`
        """
        own, values = self._minimum(own), self._minimum(others.movedim(0, 2))[:, :, :, None]
        n, (n_others, batch) = self.n_agents, (len(others), own.shape[-1])
        weights, alone = own.new_full((n, n_others), 1 / n_others), own.new_ones(n, 1, batch)
        if self.config.normalize == "sum":
            weights = weights * n_others
        itself = th.arange(n, device=own.device)[:, None, None, None]
        self._statistics.record(own, values, weights, alone, itself)
        return reciprocal_value(own, values, weights, alone, self.config)

    def _adjacent(self, states: th.Tensor, joint: bool = False) -> AdjacentStates:
        if self.config.adjacency == "same" and self.masks is None:
            return AdjacentStates(states[None], states.new_ones(1, *states.shape[:2]))
        if joint:
            moments = self._joint_moments = RunningMoments.updated(self._joint_moments, states)
        else:
            moments = self._moments = RunningMoments.updated(self._moments, states)
        changeable = moments.squares > 0
        if self.masks is not None:
            changeable = changeable & self._mask_tensor(states.device)
        return adjacent_states(self.config, states, moments, changeable, self.generator(states.device))

    def _view(self, state: th.Tensor, states: th.Tensor, peer: th.Tensor) -> th.Tensor:
        """The state as the peer sees it; the state itself where every agent sees everything."""
        if self.masks is None:
            return state
        assert self._moments is not None
        masks = self._mask_tensor(states.device)
        return fill_unseen(self.config, state, states, peer, masks, self._moments, self.generator(states.device))

    def _mask_tensor(self, device: th.device) -> th.Tensor:
        return th.as_tensor(self.masks, dtype=th.bool, device=device)

    def record_own(self, own: th.Tensor) -> None:
        """Count a batch in which the peers were not asked: own values (n_critics, n_agents, batch)."""
        self._statistics.record_own(own)

    def pop_statistics(self) -> dict[str, np.ndarray]:
        """Means over the batches recorded since the last call; see :meth:`PeerStatistics.pop`."""
        return self._statistics.pop()

    @property
    def broken_peers(self) -> set[int]:
        """Agents whose values were not finite when they were last asked."""
        return self._statistics.broken

    @property
    def masked_peer_values(self) -> int:
        """Non-finite peer values that were kept out of targets so far."""
        return self._statistics.masked

    def generator(self, device: th.device) -> th.Generator:
        """PR's own generator, made on the device of the first states."""
        if self._generator is None:
            self._generator = th.Generator(device=device)
            self._generator.manual_seed(self._seed)
            # a state only fits the kind of device that it came from; elsewhere the stream starts anew
            if self._generator_state is not None and self._generator_state[0] == device.type:
                self._generator.set_state(self._generator_state[1])
            self._generator_state = None
        return self._generator

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes while training, for a checkpoint; the options are not in it."""
        state = self._generator_state
        if self._generator is not None:
            state = (self._generator.device.type, self._generator.get_state())
        return {
            "rng": generator_state(self.rng),
            "seed": self._seed,
            "generator": state,
            "moments": self._moments and self._moments.state(),
            "joint_moments": self._joint_moments and self._joint_moments.state(),
            "peer_weights": self.peer_weights,
            "statistics": self._statistics.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`.

        :raises CheckpointError: if it is of another number of agents
        """
        if state["peer_weights"].shape != self.peer_weights.shape:
            sizes = len(state["peer_weights"]), self.n_agents
            raise CheckpointError("the state is that of {} agents, these are {}.".format(*sizes))
        set_generator_state(self.rng, state["rng"])
        self._seed, self._generator, self._generator_state = state["seed"], None, state["generator"]
        for name in ("moments", "joint_moments"):
            saved = state.get(name)
            setattr(self, f"_{name}", RunningMoments.restored(*saved) if saved is not None else None)
        self.peer_weights = state["peer_weights"]
        self._statistics.load_state_dict(state["statistics"])

    def __getstate__(self) -> dict[str, Any]:
        """Plain picklable state: the generator as its state, tensors on the CPU."""
        state = self.__dict__.copy()
        if self._generator is not None:
            state["_generator_state"] = (self._generator.device.type, self._generator.get_state())
        state["_generator"] = None
        state["_statistics"] = self._statistics.without_batches()
        for name in ("_moments", "_joint_moments"):
            state[name] = None if state[name] is None else state[name].to("cpu")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Files from before there was :class:`PeerStatistics` have a list in its place."""
        if not isinstance(state.get("_statistics"), PeerStatistics):
            state = {**state, "_statistics": PeerStatistics()}
        self.__dict__.update(state)
