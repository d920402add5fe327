"""How the double sum of eq. 12 is evaluated: which peer is asked about which adjacent state, and in how many passes.

full        every peer about every adjacent state
one_state   every peer about one adjacent state, drawn with its weight
sampled     one peer, drawn with its weight, about one adjacent state
one_voice   the agent about s itself, or one peer about one adjacent state, drawn with their weights in eq. 12

Each goes from a :class:`Question` to :class:`Answers`, and yields what the framework's critics are asked on the way, so
that several groups can be asked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch as th

from marl_pr_common.reciprocity import guards
from marl_pr_common.reciprocity.space import AdjacentStates, choose_one
from marl_pr_common.reciprocity.weights import Normalisation

Evaluate = Callable[[th.Tensor, th.Tensor], th.Tensor]
"""(states (n_agents, batch, dim), peer (n_agents, batch)) -> values (n_critics, n_agents, batch): agent i's row b,
valued by the critics of agent ``peer[i, b]``, with agent i's own actions. An answer that is not finite is left out;
:data:`~marl_pr_common.reciprocity.statistics.NO_VALUE` says that there is none."""

Asked = tuple[th.Tensor, th.Tensor]
"""Arguments of :data:`Evaluate`."""
ResultT = TypeVar("ResultT")
Asking = Generator[Asked, th.Tensor, ResultT]
"""Yields what is asked, is sent the values, and returns what it was all for."""

JointEvaluate = Callable[[th.Tensor], th.Tensor]
"""(states (n_adjacent, batch, dim)) -> values (n_critics, n_agents, n_adjacent, batch): every agent's value of every
state, with the batch's own actions."""


@dataclass(frozen=True)
class Question:
    """What the peers are asked about one batch.

    states: s, (n_agents, batch, dim)
    adjacent: the adjacency spaces of these states
    holds_itself: whether s is the first of its adjacent states
    normalisation: what all weights add up to
    shifts: distances k such that some agent i listens to agent (i + k) mod n_agents
    peer_weights: the weights w_j, (n_agents, n_agents), for "sampled" to draw by
    voices: the probabilities that row i is valued by agent j (column j), or by i itself at s (the last column),
        (n_agents, n_agents + 1), for "one_voice" to draw by
    view: (states (n_agents, batch, dim), peer (n_agents, batch)) -> the states as those peers see them
    generator: of PR's own
    pass_size: as many questions as fit into this many rows are asked in one call
    """

    states: th.Tensor
    adjacent: AdjacentStates
    holds_itself: bool
    normalisation: Normalisation
    shifts: Callable[[], Sequence[int]]
    peer_weights: Callable[[], th.Tensor]
    voices: Callable[[], th.Tensor]
    view: Callable[[th.Tensor, th.Tensor], th.Tensor]
    generator: Callable[[], th.Generator]
    pass_size: int = 1

    @property
    def n_states(self) -> int:
        """abs(S#)"""
        return len(self.adjacent.states)

    def drawn(self) -> th.Tensor:
        """A fresh adjacent state for every row, drawn with its weight: (n_agents, batch, dim)."""
        return choose_one(self.adjacent, self.generator())


@dataclass(frozen=True)
class Answers:
    """What the peers said, with j the peers asked and a the states asked about.

    values: (n_critics, i, j, a, batch)
    state_weights: w_s#, (i, a, batch)
    peers: the agent that each value comes from, (i, j, a, batch) or what expands to it
    scale: (i, 1), if one peer was drawn for all of N_i: what all weights of the double sum add up to
    spoken: (i, batch), if one voice was drawn for all of eq. 12: the rows in which a peer speaks. The others hold the
        agent's own value of s, as the critics that were asked see it
    """

    values: th.Tensor
    state_weights: th.Tensor
    peers: th.Tensor
    scale: th.Tensor | None = None
    spoken: th.Tensor | None = None


def answered(asking: Asking[ResultT], evaluate: Evaluate) -> ResultT:
    """The result of a generator whose every question ``evaluate`` answers."""
    try:
        asked = next(asking)
        while True:
            asked = asking.send(evaluate(*asked))
    except StopIteration as end:
        result: ResultT = end.value
        return result


def full(question: Question) -> Asking[Answers]:
    """Every peer about every adjacent state."""
    adjacent = question.adjacent
    return _everyone(question, adjacent.weights.transpose(0, 1), lambda a: adjacent.states[a])


def one_state(question: Question) -> Asking[Answers]:
    """Every peer about one adjacent state, drawn for each peer anew: it stands for all of S#."""
    if question.n_states == 1:
        return full(question)
    return _everyone(question, _drawn_weight(question), lambda _: question.drawn())


def sampled(question: Question) -> Asking[Answers]:
    """One random peer and one random adjacent state per row: unbiased for the double sum, one value each."""
    weights = question.peer_weights()
    n, batch = question.adjacent.weights.shape[1:]
    peer = draw_peers(weights, batch, question.generator())
    values = yield question.view(question.drawn(), peer), peer
    scale = question.normalisation.total(weights, question.n_states).to(values.dtype)
    return Answers(values[:, :, None, None], values.new_ones(n, 1, batch), peer[:, None, None], scale)


def one_voice(question: Question) -> Asking[Answers]:
    """One critic per row: the agent's own about s, or one random peer's about one random adjacent state."""
    n, batch = question.adjacent.weights.shape[1:]
    voice = draw(question.voices(), batch, question.generator())
    spoken = voice < n
    peer = th.where(spoken, voice, th.arange(n, device=voice.device)[:, None])
    states = question.drawn()
    if not (question.holds_itself and question.n_states == 1):
        states = th.where(spoken[..., None], states, question.states)
    values = yield question.view(states, peer), peer
    return Answers(values[:, :, None, None], values.new_ones(n, 1, batch), peer[:, None, None], spoken=spoken)


ESTIMATORS = {"full": full, "one_state": one_state, "sampled": sampled, "one_voice": one_voice}
"""Option ``estimator`` -> who is asked about what."""


def joint_full(question: Question, evaluate: JointEvaluate, at_states: th.Tensor | None) -> Answers:
    """Every agent about the adjacent states of one state that all share, (n_adjacent, 1, batch, dim).

    :param at_states: every agent's value of s itself, (n_critics, n_agents, batch), if it is at hand
    """
    states = question.adjacent.states[:, 0]
    if at_states is None or not question.holds_itself:
        found = evaluate(states)
    else:
        asked = [] if len(states) == 1 else [evaluate(states[1:])]
        found = th.cat([at_states[:, :, None], *asked], dim=2)
    return _shared(found, question.adjacent.weights.transpose(0, 1))


def joint_drawn(question: Question, evaluate: JointEvaluate, at_states: th.Tensor | None) -> Answers:
    """Every agent about one adjacent state of the one that they share, which costs no more than asking one agent."""
    if question.n_states == 1:
        return joint_full(question, evaluate, at_states)
    return _shared(evaluate(question.drawn()), _drawn_weight(question))


def joint_one_voice(question: Question, evaluate: JointEvaluate, at_states: th.Tensor | None) -> Answers:
    """One critic per row and agent, of those that one pass over one adjacent state gives."""
    everyone = joint_drawn(question, evaluate, at_states)
    found = everyone.values[:, 0, :, 0]  # (n_critics, j, batch), the same for every i
    n, batch = found.shape[1:]
    voice = draw(question.voices(), batch, question.generator())
    spoken = voice < n
    peer = th.where(spoken, voice, th.arange(n, device=voice.device)[:, None])
    values = found.gather(1, peer.expand(len(found), -1, -1))
    return Answers(values[:, :, None, None], values.new_ones(n, 1, batch), peer[:, None, None], spoken=spoken)


JOINT = {"full": joint_full, "one_state": joint_drawn, "sampled": joint_drawn, "one_voice": joint_one_voice}
"""The same for critics of a state that all agents share."""


def draw_peers(weights: th.Tensor, batch: int, generator: th.Generator) -> th.Tensor:
    """One peer per row, drawn with probability w_j; stratified, so that every peer gets its share of the rows.

    :param weights: (n_agents, n_agents), row i says how agent i weights each agent j
    :return: (n_agents, batch); an agent without peers gets itself (with weight 0)
    """
    peer = draw(weights, batch, generator)
    alone = (weights.sum(1, keepdim=True) == 0).expand_as(peer)
    return th.where(alone, th.arange(len(weights), device=weights.device)[:, None], peer)


def draw(weights: th.Tensor, batch: int, generator: th.Generator) -> th.Tensor:
    """One column per row of the batch, drawn in proportion to the weights; stratified over the batch.

    :param weights: (n_agents, n_columns)
    :return: (n_agents, batch)
    """
    n_agents, device = len(weights), weights.device
    order = th.rand(n_agents, batch, generator=generator, device=device)
    jitter = th.rand(n_agents, batch, generator=generator, device=device, dtype=weights.dtype)
    last = weights.shape[1] - 1
    if guards.at_hand(weights):  # many small steps, of which each takes torch several times longer
        borders = weights.numpy().cumsum(1)
        places = (order.numpy().argsort(1, kind="stable") + jitter.numpy()) / batch * borders[:, -1:]
        found = [edge.searchsorted(place, side="right") for edge, place in zip(borders, places, strict=True)]
        return th.from_numpy(np.minimum(found, last))
    edges = weights.cumsum(1)
    drawn = (order.argsort(1) + jitter) / batch * edges[:, -1:]
    return th.searchsorted(edges, drawn, right=True).clamp(max=last)


def _drawn_weight(question: Question) -> th.Tensor:
    """(n_agents, 1, batch): a drawn state stands for all of S#."""
    one = question.adjacent.weights[:1].transpose(0, 1)
    return th.full_like(one, question.normalisation.together(question.n_states))


def _everyone(question: Question, state_weights: th.Tensor, choose: Callable[[int], th.Tensor]) -> Asking[Answers]:
    """Every peer, about the states (n_agents, batch, dim) that ``choose`` gives for each column of the weights."""
    n, n_states, batch = state_weights.shape
    agent = th.arange(n, device=state_weights.device)
    peers = [((agent + shift) % n)[:, None].expand(n, batch) for shift in question.shifts()]
    asked = [(peer, a) for peer in peers for a in range(n_states)]
    answers: list[th.Tensor] = []
    at_once = max(1, question.pass_size // max(1, batch))
    for start in range(0, len(asked), at_once):
        part = asked[start : start + at_once]
        views = [question.view(choose(a), peer) for peer, a in part]
        if len(part) == 1:
            answers.append((yield views[0], part[0][0]))
            continue
        found = yield th.cat(views, 1), th.cat([peer for peer, _ in part], 1)
        answers.extend(th.split(found, batch, dim=-1))
    values = answers[0].new_zeros(len(answers[0]), n, n, n_states, batch)
    for found, (peer, a) in zip(answers, asked, strict=True):
        values[:, agent, peer[:, 0], a] = found
    return Answers(values, state_weights, agent[:, None, None])


def _shared(found: th.Tensor, state_weights: th.Tensor) -> Answers:
    """Values (n_critics, n_agents, a, batch) that every agent hears alike; weights (1, a, batch)."""
    n = found.shape[1]
    agent = th.arange(n, device=found.device)
    return Answers(found[:, None].expand(-1, n, -1, -1, -1), state_weights.expand(n, -1, -1), agent[:, None, None])
