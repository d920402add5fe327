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

from marl_pr_common.checkpoint.errors import CheckpointError
from marl_pr_common.reciprocity import ask
from marl_pr_common.reciprocity.adjacency import STRATEGIES
from marl_pr_common.reciprocity.at_hand import AtHand
from marl_pr_common.reciprocity.config import ReciprocityConfig
from marl_pr_common.reciprocity.draws import Draws
from marl_pr_common.reciprocity.judging import Judging
from marl_pr_common.reciprocity.listening import Listening
from marl_pr_common.reciprocity.mixture import (
    one_voice_value,
    reciprocal_value,
    sampled_reciprocal_value,
    with_itself,
)
from marl_pr_common.reciprocity.moments import RunningMoments
from marl_pr_common.reciprocity.space import AdjacentStates, Seen, Strategy
from marl_pr_common.reciprocity.statistics import Measured, PeerStatistics
from marl_pr_common.reciprocity.weights import NORMALISATIONS


class Reciprocity(Draws, Judging, Measured, AtHand):
    """Adjacency, peers and the mixture of eq. 12 for one group of agents.

    :param config: the options
    :param n_agents: agents in the group
    :param seed: of PR's own generators; no other generator is ever read
    :param masks: what each agent sees, (n_agents, dim) booleans; None if all see everything
    """

    def __init__(
        self, config: ReciprocityConfig, n_agents: int, seed: int | None = None, masks: np.ndarray | None = None
    ):
        self.masks = masks
        Draws.__init__(self, seed)
        Listening.__init__(self, config, n_agents, self.rng)
        self._moments: RunningMoments | None = None  # of each agent's states
        self._joint_moments: RunningMoments | None = None  # of states that all agents share
        self._statistics = PeerStatistics()

    @property
    def _strategy(self) -> Strategy:
        return STRATEGIES[self.config.adjacency](self.config)

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
        states = states.detach()
        return self._ask(lambda one, its: one._valuing(own[:, its], states[its], record, pass_size), evaluate)

    def _valuing(self, own: th.Tensor, states: th.Tensor, record: bool, pass_size: int = 1) -> ask.Asking[th.Tensor]:
        question = self._question(own, states, pass_size=pass_size)
        answers = yield from ask.ESTIMATORS[self.config.estimator](question)
        return self._mix(own, question.states, answers, record)

    def one_voice(
        self, states: th.Tensor, evaluate: ask.Evaluate, own: Callable[[], th.Tensor], record: bool = True
    ) -> th.Tensor:
        """Z* estimated by one voice per row, for hosts whose ``evaluate`` asks the networks of ``own`` values, too: one
        pass over the batch instead of one for the agents and one for their peers.

        :param states: s, (n_agents, batch, dim)
        :param own: Z_i(s, a), (n_critics, n_agents, batch); asked for only where a peer's value is not finite
        :return: as from :meth:`value`
        """
        if self.rule != "uniform":  # reads the own values
            return self.value(own(), states, evaluate, record)
        states = states.detach()
        return self._ask(lambda one, its: one._speaking(states[its], lambda: own()[:, its], record), evaluate)

    def _speaking(self, states: th.Tensor, own: Callable[[], th.Tensor], record: bool) -> ask.Asking[th.Tensor]:
        answers = yield from ask.one_voice(self._question(None, states))
        assert answers.spoken is not None
        values = self._minimum(answers.values)[:, :, 0, 0]
        finite = bool(th.isfinite(values.sum()))
        if record:
            self._statistics.record_voices(values, answers.spoken, answers.peers[:, 0, 0], finite)
        if not finite:
            values = one_voice_value(self._minimum(own()), values, answers.spoken)
        return values

    def _ask(self, begin: Begin, evaluate: ask.Evaluate) -> th.Tensor:
        """What the agents ask, answered: (n_critics, n_agents, batch)."""
        return ask.answered(begin(self, slice(None)), evaluate)

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
        answers = ask.JOINT[self.config.estimator](question, evaluate, at_states)
        return self._mix(own, question.states, answers, record)

    def _question(
        self, own: th.Tensor | None, states: th.Tensor, joint: bool = False, pass_size: int = 1
    ) -> ask.Question:
        return ask.Question(
            states,
            self.adjacent(states, joint),
            self._strategy.holds_itself,
            NORMALISATIONS[self.config.normalize],
            shifts=lambda: self.shifts,
            peer_weights=lambda: self._weights(own, None, states, th.float64)[0],
            voices=lambda: self._voices(own, states),
            view=lambda state, peer: self._view(state, states, peer),
            generator=lambda: self.generator(states.device),
            pass_size=pass_size,
        )

    def _voices(self, own: th.Tensor | None, states: th.Tensor) -> th.Tensor:
        """How likely each row is valued by each agent, and by the agent itself at s: (n_agents, n_agents + 1)."""
        if self.rule == "uniform":
            peers = self.config.kappa * self.peers_and_itself()[0]
        else:
            peers = self.config.kappa * self._weights(own, None, states, th.float64)[0].cpu().numpy()
        voices = np.concatenate([peers, 1 - peers.sum(1, keepdims=True)], 1)
        return th.as_tensor(voices, device=states.device)

    def _mix(self, own: th.Tensor, states: th.Tensor, answers: ask.Answers, record: bool) -> th.Tensor:
        own, values, scale = self._minimum(own), self._minimum(answers.values), answers.scale
        one = values[:, :, 0, 0]
        if answers.spoken is not None:
            if record:
                self._statistics.record_voices(one, answers.spoken, answers.peers[:, 0, 0])
            return one_voice_value(own, one, answers.spoken)
        weights, kept = self._weights(own, values if scale is None else None, states, own.dtype)
        weights = weights if scale is None else (scale > 0).to(own.dtype)
        state_weights = answers.state_weights.to(own.dtype)
        if record:
            self._statistics.record(own, values, weights, state_weights, answers.peers)
        if scale is not None:
            return sampled_reciprocal_value(own, one, scale, self.config, kept)
        if kept is not None:
            values, weights = with_itself(own, values, weights, kept)
        return reciprocal_value(own, values, weights, state_weights, self.config)

    def _minimum(self, values: th.Tensor) -> th.Tensor:
        """Clipped double Q inside each agent, where it is asked for."""
        return values.amin(0, keepdim=True) if self.config.min_over == "peer" else values

    def adjacent(self, states: th.Tensor, joint: bool = False) -> AdjacentStates:
        """S#(s) of states, (n_agents, batch, dim), drawn and weighted by eq. 4; ``joint``: all agents share them."""
        if self.masks is None and not self._strategy.needs_moments:
            return AdjacentStates(states[None], states.new_ones(1, *states.shape[:2]))
        name = "_joint_moments" if joint else "_moments"
        moments = RunningMoments.updated(getattr(self, name), states)
        setattr(self, name, moments)
        masks = True if self.masks is None else th.as_tensor(self.masks, dtype=th.bool, device=states.device)
        return self._strategy.space(Seen(states, moments, self.generator(states.device)), (moments.squares > 0) & masks)

    def _view(self, state: th.Tensor, states: th.Tensor, peer: th.Tensor) -> th.Tensor:
        """The state as the peer sees it; the state itself where every agent sees everything."""
        if self.masks is None:
            return state
        assert self._moments is not None
        seen = Seen(states, self._moments, self.generator(states.device))
        return self._strategy.view(seen, state, peer, th.as_tensor(self.masks, dtype=th.bool, device=states.device))

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes while training, for a checkpoint; the options are not in it."""
        return {
            **self._draws_state(),
            **self._listening_state(),
            "moments": self._moments and self._moments.state(),
            "joint_moments": self._joint_moments and self._joint_moments.state(),
            "statistics": self._statistics.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`.

        :raises CheckpointError: if it is of another number of agents
        """
        if state["peer_weights"].shape != self.peer_weights.shape:
            raise CheckpointError(f"the state is of {len(state['peer_weights'])} agents, these are {self.n_agents}.")
        self._restore_draws(state)
        for name in ("moments", "joint_moments"):
            saved = state.get(name)
            setattr(self, f"_{name}", RunningMoments.restored(*saved) if saved is not None else None)
        self._restore_listening(state)
        self._statistics.load_state_dict(state["statistics"])

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Models saved by version 0.1.0 hold the object itself; some, a list for :class:`PeerStatistics`."""
        known = isinstance(state.get("_statistics"), PeerStatistics)
        self.__dict__.update(state if known else {**state, "_statistics": PeerStatistics()})
        self.__dict__.setdefault("team_size", self.n_agents)


Begin = Callable[[Reciprocity, slice], ask.Asking[th.Tensor]]
"""What a group, whose agents these are of all, begins to ask."""
