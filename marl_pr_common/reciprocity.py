"""The state that Policy Reciprocity keeps while an algorithm trains: its generator, moments, graph and statistics.

update the running moments with the states of this batch
S#(s), w_s#  <- adjacency space of every state               (Definition 2, eq. 4)
N_i, w_j     <- neighbour sets, redrawn every sync_interval  (Algorithm 2, line 3)
Z_j(s#, a)   <- the framework evaluates its peers            (an ``Evaluate`` function)
Z*_i(s, a)   <- the mixture                                  (eq. 12)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th

from marl_pr_common import peers
from marl_pr_common.adjacency import AdjacentStates, adjacent_states, choose_one, fill_unseen
from marl_pr_common.checkpoint.errors import CheckpointError
from marl_pr_common.checkpoint.rng import generator_state, set_generator_state
from marl_pr_common.config import ReciprocityConfig
from marl_pr_common.moments import RunningMoments
from marl_pr_common.peer_statistics import PeerStatistics
from marl_pr_common.target import reciprocal_value, sampled_reciprocal_value

Evaluate = Callable[[th.Tensor, th.Tensor], th.Tensor]
"""(states (n_agents, batch, dim), peer (n_agents, batch)) -> values (n_critics, n_agents, batch): agent i's row b,
valued by the critics of agent ``peer[i, b]``, with agent i's own actions."""


class Reciprocity:
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
        self._moments: RunningMoments | None = None
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

    def value(self, own: th.Tensor, states: th.Tensor, evaluate: Evaluate, record: bool = True) -> th.Tensor:
        """Z* of eq. 12 for one batch.

        :param own: Z_i(s, a), (n_critics, n_agents, batch); with ``min_over="peer"`` the minimum is taken here
        :param states: s, (n_agents, batch, dim); dim may be 0 for adjacency "same"
        :param evaluate: the framework's critics, see :data:`Evaluate`
        :param record: whether the batch counts in :meth:`pop_statistics`
        :return: (n_critics, n_agents, batch), or (1, n_agents, batch) with ``min_over="peer"``
        """
        states = states.detach()
        adjacent = self._adjacent(states)
        mix = self._sampled if self.config.estimator == "sampled" else self._full
        return mix(own, adjacent, states, evaluate, record)

    def _adjacent(self, states: th.Tensor) -> AdjacentStates:
        if self.config.adjacency == "same" and self.masks is None:
            return AdjacentStates(states[None], states.new_ones(1, *states.shape[:2]))
        if self._moments is None:
            self._moments = RunningMoments(self.n_agents, states.shape[-1])
        self._moments = self._moments.to(states.device)
        self._moments.update(states)
        changeable = self._moments.squares > 0
        if self.masks is not None:
            changeable = changeable & self._mask_tensor(states.device)
        return adjacent_states(self.config, states, self._moments, changeable, self.generator(states.device))

    def _full(
        self, own: th.Tensor, adjacent: AdjacentStates, states: th.Tensor, evaluate: Evaluate, record: bool
    ) -> th.Tensor:
        """Every peer on every adjacent state: values (n_critics, i, j, n_adjacent, batch)."""
        n, batch = states.shape[:2]
        agent = th.arange(n, device=states.device)
        values: th.Tensor | None = None
        for shift in range(n):
            j = (np.arange(n) + shift) % n
            if not self.peer_weights[np.arange(n), j].any():
                continue  # nobody listens to the agent this far away
            peer = ((agent + shift) % n)[:, None].expand(n, batch)
            for a, state in enumerate(adjacent.states):
                found = evaluate(self._view(state, states, peer), peer)
                if values is None:
                    values = found.new_zeros(len(found), n, n, len(adjacent.states), batch)
                values[:, agent, peer[:, 0], a] = found
        assert values is not None  # active graphs have at least one peer
        own, values = self._minimum(own), self._minimum(values)
        peer_weights = th.as_tensor(self.peer_weights, dtype=own.dtype, device=own.device)
        adjacent_weights = adjacent.weights.transpose(0, 1).to(own.dtype)
        if record:
            asked = th.arange(n, device=values.device)[:, None, None].expand(values.shape[1:])
            self._statistics.record(own, values, peer_weights, adjacent_weights, asked)
        return reciprocal_value(own, values, peer_weights, adjacent_weights, self.config)

    def _sampled(
        self, own: th.Tensor, adjacent: AdjacentStates, states: th.Tensor, evaluate: Evaluate, record: bool
    ) -> th.Tensor:
        """One random peer and one random adjacent state per row: unbiased for the double sum, one value each."""
        generator = self.generator(states.device)
        peer = peers.draw_peers(self.peer_weights, states.shape[1], generator, states.device)
        values = evaluate(self._view(choose_one(adjacent, generator), states, peer), peer)
        own, values = self._minimum(own), self._minimum(values)
        scale = th.as_tensor(self.peer_weights.sum(1, keepdims=True), dtype=own.dtype, device=own.device)
        if record:
            listens = (scale > 0).to(own.dtype)
            alone = own.new_ones(self.n_agents, 1, values.shape[-1])
            self._statistics.record(own, values[:, :, None, None], listens, alone, peer[:, None, None])
        if self.config.normalize == "sum":
            scale = scale * len(adjacent.states)
        return sampled_reciprocal_value(own, values, scale, self.config)

    def _minimum(self, values: th.Tensor) -> th.Tensor:
        """Clipped double Q inside each agent, where it is asked for."""
        return values.amin(0, keepdim=True) if self.config.min_over == "peer" else values

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
        moments, state = self._moments, self._generator_state
        if self._generator is not None:
            state = (self._generator.device.type, self._generator.get_state())
        return {
            "rng": generator_state(self.rng),
            "seed": self._seed,
            "generator": state,
            "moments": None if moments is None else (moments.count, moments.mean, moments.squares),
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
        self._moments = RunningMoments.restored(*state["moments"]) if state["moments"] is not None else None
        self.peer_weights = state["peer_weights"]
        self._statistics.load_state_dict(state["statistics"])

    def __getstate__(self) -> dict[str, Any]:
        """Plain picklable state: the generator as its state, tensors on the CPU."""
        state = self.__dict__.copy()
        if self._generator is not None:
            state["_generator_state"] = (self._generator.device.type, self._generator.get_state())
        state["_generator"] = None
        state["_statistics"] = self._statistics.without_batches()
        if self._moments is not None:
            state["_moments"] = self._moments.to("cpu")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Files from before there was :class:`PeerStatistics` have a list in its place."""
        if not isinstance(state.get("_statistics"), PeerStatistics):
            state = {**state, "_statistics": PeerStatistics()}
        self.__dict__.update(state)
