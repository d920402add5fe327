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
from marl_pr_common.reciprocity import ask
from marl_pr_common.reciprocity.adjacency import STRATEGIES
from marl_pr_common.reciprocity.config import ReciprocityConfig
from marl_pr_common.reciprocity.mixture import reciprocal_value, sampled_reciprocal_value
from marl_pr_common.reciprocity.moments import RunningMoments
from marl_pr_common.reciprocity.space import AdjacentStates, Seen, Strategy
from marl_pr_common.reciprocity.statistics import PeerStatistics
from marl_pr_common.reciprocity.weights import NORMALISATIONS, RULES, peer_matrix


class Reciprocity:
    """Adjacency, peers and the mixture of eq. 12 for one group of agents.

    :param config: the options
    :param n_agents: agents in the group
    :param seed: of PR's own generators; no other generator is ever read
    :param masks: what each agent sees, (n_agents, dim) booleans; None if all see everything
    """

    rule = "uniform"
    """How much each peer counts in each row: a name of :data:`marl_pr_common.reciprocity.weights.RULES`."""

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
        self._generator_state: tuple[str, th.Tensor] | None = None  # device type and state, until states come
        self._moments: RunningMoments | None = None  # of each agent's states
        self._joint_moments: RunningMoments | None = None  # of states that all agents share
        self.peer_weights = peer_matrix(config, n_agents, self.rng)
        self._statistics = PeerStatistics()

    @property
    def active(self) -> bool:
        """Whether any agent's target differs from its own value."""
        return self.config.kappa > 0 and bool(self.peer_weights.any())

    @property
    def shifts(self) -> list[int]:
        """Distances k such that some agent i listens to agent (i + k) mod n_agents: at least one in active graphs."""
        agent = np.arange(self.n_agents)
        return [k for k in agent.tolist() if self.peer_weights[agent, (agent + k) % self.n_agents].any()]

    @property
    def _strategy(self) -> Strategy:
        return STRATEGIES[self.config.adjacency](self.config)

    def configure(self, config: ReciprocityConfig) -> None:
        """Change the options; generator and moments go on, the graph is drawn anew only if its options changed."""
        graph = ("peers", "n_peers", "peer_matrix", "normalize")
        changed = any(getattr(config, name) != getattr(self.config, name) for name in graph)
        self.config = config
        if changed:
            self.peer_weights = peer_matrix(config, self.n_agents, self.rng)

    def redraw_peers(self) -> None:
        """Draw new random neighbour sets, if ``peers="random"``; other graphs stay."""
        if self.config.peers == "random":
            self.peer_weights = peer_matrix(self.config, self.n_agents, self.rng)

    def value(
        self, own: th.Tensor, states: th.Tensor, evaluate: ask.Evaluate, record: bool = True, pass_size: int = 1
    ) -> th.Tensor:
        """Z* of eq. 12 for one batch.

        :param own: Z_i(s, a), (n_critics, n_agents, batch); with ``min_over="peer"`` the minimum is taken here
        :param states: s, (n_agents, batch, dim); dim may be 0 for adjacency "same"
        :param evaluate: the framework's critics, see :data:`marl_pr_common.reciprocity.ask.Evaluate`
        :param record: whether the batch counts in :meth:`pop_statistics`
        :param pass_size: every peer and adjacent state is a question about the whole batch. As many questions as fit
            into this many rows are laid one after the other along the batch axis and asked in one call of ``evaluate``
        :return: (n_critics, n_agents, batch), or (1, n_agents, batch) with ``min_over="peer"``
        """
        question = self._question(own, states.detach(), pass_size=pass_size)
        return self._mix(own, question, ask.ESTIMATORS[self.config.estimator](question, evaluate), record)

    def joint_value(
        self,
        own: th.Tensor,
        states: th.Tensor,
        evaluate: ask.JointEvaluate,
        at_states: th.Tensor | None = None,
        record: bool = True,
    ) -> th.Tensor:
        """Z* of eq. 12 where all agents value one state that they share, as centralised critics do.

        The adjacency space belongs to the state, so that one pass serves every agent. The estimators "one_state" and
        "sampled" draw one adjacent state per row and ask every peer, which costs no more than asking one.

        :param own: Z_i(s, a), (n_critics, n_agents, batch)
        :param states: s, (batch, dim)
        :param evaluate: the framework's critics, see :data:`marl_pr_common.reciprocity.ask.JointEvaluate`
        :param at_states: every agent's value of s itself, like ``own``, if it is at hand: s is then not asked for
        :return: as from :meth:`value`
        """
        question = self._question(own, states.detach()[None], joint=True)
        return self._mix(own, question, ask.JOINT[self.config.estimator](question, evaluate, at_states), record)

    def ensemble_value(self, own: th.Tensor, others: th.Tensor) -> th.Tensor:
        """Z* with further critics of the agent's own in the place of its peers', all on s itself: a control.

        :param own: Z_i(s, a), (n_critics, n_agents, batch)
        :param others: (n_others, n_critics, n_agents, batch)
        :return: as from :meth:`value`
        """
        own, values = self._minimum(own), self._minimum(others.movedim(0, 2))[:, :, :, None]
        graph = NORMALISATIONS[self.config.normalize].rows(np.ones((self.n_agents, len(others))))
        weights, alone = own.new_tensor(graph), own.new_ones(self.n_agents, 1, own.shape[-1])
        itself = th.arange(self.n_agents, device=own.device)[:, None, None, None]
        self._statistics.record(own, values, weights, alone, itself)
        return reciprocal_value(own, values, weights, alone, self.config)

    def _question(self, own: th.Tensor, states: th.Tensor, joint: bool = False, pass_size: int = 1) -> ask.Question:
        return ask.Question(
            states,
            self._adjacent(states, joint),
            self._strategy.holds_itself,
            NORMALISATIONS[self.config.normalize],
            shifts=lambda: self.shifts,
            peer_weights=lambda: self._weights(own, None, states, th.float64),
            view=lambda state, peer: self._view(state, states, peer),
            generator=lambda: self.generator(states.device),
            pass_size=pass_size,
        )

    def _mix(self, own: th.Tensor, question: ask.Question, answers: ask.Answers, record: bool) -> th.Tensor:
        own, values, scale = self._minimum(own), self._minimum(answers.values), answers.scale
        listened = None if scale is None else (scale > 0).to(own.dtype)
        weights = self._weights(own, values, question.states, own.dtype) if listened is None else listened
        state_weights = answers.state_weights.to(own.dtype)
        if record:
            self._statistics.record(own, values, weights, state_weights, answers.peers)
        if scale is None:
            return reciprocal_value(own, values, weights, state_weights, self.config)
        return sampled_reciprocal_value(own, values[:, :, 0, 0], scale, self.config)

    def _weights(self, own: th.Tensor, values: th.Tensor | None, states: th.Tensor, dtype: th.dtype) -> th.Tensor:
        """w_j of this batch, see :data:`marl_pr_common.reciprocity.weights.Rule`."""
        return RULES[self.rule](th.as_tensor(self.peer_weights, dtype=dtype, device=own.device), own, values, states)

    def _minimum(self, values: th.Tensor) -> th.Tensor:
        """Clipped double Q inside each agent, where it is asked for."""
        return values.amin(0, keepdim=True) if self.config.min_over == "peer" else values

    def _adjacent(self, states: th.Tensor, joint: bool = False) -> AdjacentStates:
        if self.masks is None and not self._strategy.needs_moments:
            return AdjacentStates(states[None], states.new_ones(1, *states.shape[:2]))
        name = "_joint_moments" if joint else "_moments"
        moments = RunningMoments.updated(getattr(self, name), states)
        setattr(self, name, moments)
        changeable = moments.squares > 0
        if self.masks is not None:
            changeable = changeable & th.as_tensor(self.masks, dtype=th.bool, device=states.device)
        return self._strategy.space(Seen(states, moments, self.generator(states.device)), changeable)

    def _view(self, state: th.Tensor, states: th.Tensor, peer: th.Tensor) -> th.Tensor:
        """The state as the peer sees it; the state itself where every agent sees everything."""
        if self.masks is None:
            return state
        assert self._moments is not None
        seen = Seen(states, self._moments, self.generator(states.device))
        return self._strategy.view(seen, state, peer, th.as_tensor(self.masks, dtype=th.bool, device=states.device))

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
        made = self._generator
        return {
            "rng": generator_state(self.rng),
            "seed": self._seed,
            "generator": self._generator_state if made is None else (made.device.type, made.get_state()),
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
            n_saved = len(state["peer_weights"])
            raise CheckpointError(f"the state is that of {n_saved} agents, these are {self.n_agents}.")
        set_generator_state(self.rng, state["rng"])
        self._seed, self._generator, self._generator_state = state["seed"], None, state["generator"]
        for name in ("moments", "joint_moments"):
            saved = state.get(name)
            setattr(self, f"_{name}", RunningMoments.restored(*saved) if saved is not None else None)
        self.peer_weights = state["peer_weights"]
        self._statistics.load_state_dict(state["statistics"])

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Models saved by version 0.1.0 hold the object itself; some, a list for :class:`PeerStatistics`."""
        known = isinstance(state.get("_statistics"), PeerStatistics)
        self.__dict__.update(state if known else {**state, "_statistics": PeerStatistics()})
