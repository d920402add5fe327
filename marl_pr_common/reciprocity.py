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
from marl_pr_common.target import peer_statistics, reciprocal_value, sampled_reciprocal_value

Evaluate = Callable[[th.Tensor, th.Tensor], th.Tensor]
"""(states (n_agents, batch, dim), peer (n_agents, batch)) -> values (n_critics, n_agents, batch): agent i's row b,
valued by the critics of agent ``peer[i, b]``, with agent i's own actions."""

JointEvaluate = Callable[[th.Tensor], th.Tensor]
"""(states (n_adjacent, batch, dim)) -> values (n_critics, n_agents, n_adjacent, batch): every agent's value of every
state, with the batch's own actions."""

RECORD_EVERY = 10
"""Batches between two that count in the statistics: measuring every one would cost as much as forming the target."""


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
        self._masked: int | th.Tensor = 0
        self._batches = 0
        self._statistics: list[tuple[th.Tensor, ...]] = []

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
        adjacent = self._adjacent(states.detach()[None])
        weights = self._state_weights(adjacent, own)
        chosen = adjacent.states[:, 0]
        if self._draws(adjacent):
            chosen, at_states = self._chosen(adjacent, 0), None
        holds_itself = self.config.adjacency == "same" or self.config.include_self  # and then s comes first
        if at_states is not None and holds_itself:
            asked = [] if len(chosen) == 1 else [evaluate(chosen[1:])]
            found = th.cat([at_states[:, :, None], *asked], dim=2)
        else:
            found = evaluate(chosen)
        n = self.n_agents
        values = found[:, None].expand(-1, n, -1, -1, -1)
        return self._mix(own, values, weights.expand(n, -1, -1), record)

    def _adjacent(self, states: th.Tensor) -> AdjacentStates:
        if self.config.adjacency == "same" and self.masks is None:
            return AdjacentStates(states[None], states.new_ones(1, *states.shape[:2]))
        if self._moments is None:
            self._moments = RunningMoments(len(states), states.shape[-1])
        self._moments = self._moments.to(states.device)
        self._moments.update(states)
        changeable = self._moments.squares > 0
        if self.masks is not None:
            changeable = changeable & self._mask_tensor(states.device)
        return adjacent_states(self.config, states, self._moments, changeable, self.generator(states.device))

    @property
    def shifts(self) -> list[int]:
        """Distances k such that some agent i listens to agent (i + k) mod n_agents: at least one in active graphs."""
        agent = np.arange(self.n_agents)
        return [k for k in agent.tolist() if self.peer_weights[agent, (agent + k) % self.n_agents].any()]

    def _full(
        self,
        own: th.Tensor,
        adjacent: AdjacentStates,
        states: th.Tensor,
        evaluate: Evaluate,
        record: bool,
        pass_size: int,
    ) -> th.Tensor:
        """Every peer on every adjacent state, or on one of them: values (n_critics, i, j, n_states, batch)."""
        n, batch = states.shape[:2]
        agent = th.arange(n, device=states.device)
        weights = self._state_weights(adjacent, own)
        peers = [((agent + shift) % n)[:, None].expand(n, batch) for shift in self.shifts]
        asked = [(peer, a) for peer in peers for a in range(weights.shape[1])]
        answers: list[th.Tensor] = []
        for start in range(0, len(asked), max(1, pass_size // batch)):
            part = asked[start : start + max(1, pass_size // batch)]
            views = [self._view(self._chosen(adjacent, a), states, peer) for peer, a in part]
            if len(part) == 1:
                answers.append(evaluate(views[0], part[0][0]))
                continue
            found = evaluate(th.cat(views, 1), th.cat([peer for peer, _ in part], 1))
            answers.extend(found.split(batch, dim=-1))
        values = answers[0].new_zeros(len(answers[0]), n, n, weights.shape[1], batch)
        for found, (peer, a) in zip(answers, asked, strict=True):
            values[:, agent, peer[:, 0], a] = found
        return self._mix(own, values, weights, record)

    def _draws(self, adjacent: AdjacentStates) -> bool:
        """Whether one adjacent state stands for all of them."""
        return self.config.estimator != "full" and len(adjacent.states) > 1

    def _chosen(self, adjacent: AdjacentStates, a: int) -> th.Tensor:
        """The a-th adjacent states, or freshly drawn ones: (n_agents, batch, dim)."""
        if self._draws(adjacent):
            return choose_one(adjacent, self.generator(adjacent.states.device))
        return adjacent.states[a]

    def _state_weights(self, adjacent: AdjacentStates, own: th.Tensor) -> th.Tensor:
        """w_s# of the states that are asked about: (n_agents, n_states, batch)."""
        weights = adjacent.weights.transpose(0, 1).to(own.dtype)
        if not self._draws(adjacent):
            return weights
        # with literal sums the drawn state stands for all of S#
        scale = len(adjacent.states) if self.config.normalize == "sum" else 1
        return weights.new_full((len(weights), 1, weights.shape[-1]), scale)

    def _mix(self, own: th.Tensor, values: th.Tensor, adjacent_weights: th.Tensor, record: bool) -> th.Tensor:
        own, values = self._minimum(own), self._minimum(values)
        peer_weights = th.as_tensor(self.peer_weights, dtype=own.dtype, device=own.device)
        if record:
            self._record(own, values, peer_weights, adjacent_weights)
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
            self._record(own, values[:, :, None, None], listens, own.new_ones(self.n_agents, 1, values.shape[-1]))
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

    def _record(self, own: th.Tensor, values: th.Tensor, peer_weights: th.Tensor, adjacent_weights: th.Tensor) -> None:
        with th.no_grad():
            if not th.isfinite(values.sum()):
                self._masked = self._masked + (~th.isfinite(values)).sum()
            if self._batches % RECORD_EVERY == 0:
                peer, gap, disagreement = peer_statistics(own, values, peer_weights, adjacent_weights)
                self._statistics.append(tuple(t.mean(0) for t in (own.mean(-1), peer, gap, disagreement)))
        self._batches += 1

    def record_own(self, own: th.Tensor) -> None:
        """Count a batch in which the peers were not asked: own values (n_critics, n_agents, batch)."""
        if self._batches % RECORD_EVERY == 0:
            nothing = th.full_like(own[0, :, 0], th.nan)
            self._statistics.append((own.amin(0).mean(-1), nothing, nothing, nothing))
        self._batches += 1

    def pop_statistics(self) -> dict[str, np.ndarray]:
        """Means over the batches recorded since the last call, every tenth: own_value, peer_value, value_gap and
        critic_disagreement, each (n_agents,); NaN where no peer was asked. Empty if there was none."""
        if not self._statistics:
            return {}
        device = self._statistics[-1][0].device  # those of a checkpoint come from the CPU
        batches = th.stack([th.stack(batch).to(device) for batch in self._statistics]).double().cpu().numpy()
        self._statistics = []
        names = ("own_value", "peer_value", "value_gap", "critic_disagreement")
        return dict(zip(names, batches.mean(0), strict=True))

    @property
    def masked_peer_values(self) -> int:
        """Non-finite peer values that were kept out of targets so far."""
        return int(self._masked)

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
            "masked": self.masked_peer_values,
            "batches": self._batches,
            "statistics": self._statistics,
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
        self.peer_weights, self._masked, self._batches = state["peer_weights"], state["masked"], state["batches"]
        self._statistics = list(state["statistics"])

    def __getstate__(self) -> dict[str, Any]:
        """Plain picklable state: the generator as its state, tensors on the CPU."""
        state = self.__dict__.copy()
        if self._generator is not None:
            state["_generator_state"] = (self._generator.device.type, self._generator.get_state())
        state["_generator"] = None
        state["_statistics"] = []
        state["_masked"] = self.masked_peer_values
        if self._moments is not None:
            state["_moments"] = self._moments.to("cpu")
        return state
