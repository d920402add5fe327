"""Many teams at once: each has a state of its own, and what all of them ask the critics is asked in one pass.

Agents are numbered through: agent i of team t is number t * team_size + i. A team is exactly what it would be alone,
with graph, trust, moments, adjacency spaces and draws of its own; the graph of all is block-diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch as th

from marl_pr_common.checkpoint.errors import CheckpointError
from marl_pr_common.reciprocity import ask
from marl_pr_common.reciprocity.config import ReciprocityConfig
from marl_pr_common.reciprocity.peers import Matrix
from marl_pr_common.reciprocity.state import Begin, Reciprocity


class Teams(Reciprocity):
    """Reciprocity within each of several teams of one size.

    :param config: the options, the same for all teams; ``peer_matrix`` is a team's, (team_size, team_size)
    :param team_size: agents in a team
    :param seeds: each team's
    :param masks: what each agent of a team sees, (team_size, dim) booleans; None if all see everything
    """

    teams: list[Reciprocity]

    def __init__(
        self, config: ReciprocityConfig, team_size: int, seeds: Sequence[int | None], masks: np.ndarray | None = None
    ):
        self.teams = [Reciprocity(config, team_size, seed, masks) for seed in seeds]
        for number, team in enumerate(self.teams):
            team._statistics.whose = f" of team {number}"
        self.team_size = team_size
        self.n_agents = team_size * len(self.teams)
        self._take_over()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy; there are no files of earlier releases."""
        self.__dict__.update(state)

    def _take_over(self) -> None:
        """What is read of all teams together, after a change."""
        first = self.teams[0]
        self.config, self.rule = first.config, first.rule
        self.peer_weights = self._diagonal([team.peer_weights for team in self.teams])

    def _its(self, number: int) -> slice:
        return slice(number * self.team_size, (number + 1) * self.team_size)

    def _diagonal(self, blocks: Sequence[Any], outside: float = 0.0) -> Matrix:
        found: Matrix = np.full((self.n_agents, self.n_agents), outside)
        for number, block in enumerate(blocks):
            found[self._its(number), self._its(number)] = block
        return found

    def _ask(self, begin: Begin, evaluate: ask.Evaluate) -> th.Tensor:
        return th.cat(self._each(begin, evaluate), 1)

    def _each(self, begin: Begin, evaluate: ask.Evaluate) -> list[th.Tensor]:
        return together([begin(team, self._its(number)) for number, team in enumerate(self.teams)], evaluate)

    def squared_errors(self, own: th.Tensor, states: th.Tensor, target: th.Tensor, evaluate: ask.Evaluate) -> th.Tensor:
        """As of one team; NaN where two agents are of different teams."""
        found = self._each(lambda one, its: one._judging(own[:, its], states[its], target[its]), evaluate)
        whole = own.new_full((self.n_agents, self.n_agents), th.nan)
        for number, block in enumerate(found):
            whole[self._its(number), self._its(number)] = block
        return whole

    def ensemble_value(self, own: th.Tensor, others: th.Tensor, record: bool = True) -> th.Tensor:
        """As of one team."""
        found = [
            team.ensemble_value(own[:, self._its(number)], others[:, :, self._its(number)], record)
            for number, team in enumerate(self.teams)
        ]
        return th.cat(found, 1)

    def joint_value(self, *args: Any, **kwargs: Any) -> th.Tensor:
        """:raises NotImplementedError: always"""
        raise NotImplementedError("several teams share no state: centralised critics are one team's.")

    @property
    def shifts_to_judge(self) -> list[int]:
        """Within a team."""
        return max((team.shifts_to_judge for team in self.teams), key=len)

    @property
    def errors(self) -> Matrix | None:  # type: ignore[override]
        """D_ij; NaN where two agents are of different teams."""
        found = [team.errors for team in self.teams]
        return None if all(one is None for one in found) else self._diagonal([_known(one) for one in found], np.nan)

    @property
    def weights(self) -> Matrix:
        """W_ij of all teams; 0 where two agents are of different teams."""
        return self._diagonal([team.weights for team in self.teams])

    def observe_errors(self, errors: np.ndarray | th.Tensor, updates: int = 1) -> None:
        """As of one team, (n_agents, n_agents); what is outside the teams is not read."""
        for number, team in enumerate(self.teams):
            team.observe_errors(errors[self._its(number), self._its(number)], updates)

    def pop_trust(self) -> Matrix | None:
        """As of one team."""
        found = [team.pop_trust() for team in self.teams]
        return None if all(one is None for one in found) else self.weights

    def peers_and_itself(self) -> tuple[Matrix, Matrix | None]:
        """As of one team."""
        weights, kept = zip(*(team.peers_and_itself() for team in self.teams), strict=True)
        return self._diagonal(weights), None if kept[0] is None else np.concatenate(kept)

    def redraw_peers(self) -> None:
        """New random neighbour sets, each team's from its own generator."""
        if self.config.peers == "random":
            for team in self.teams:
                team.redraw_peers()
            self._take_over()

    def configure(self, config: ReciprocityConfig) -> None:
        """As of one team."""
        for team in self.teams:
            team.configure(config)
        self._take_over()

    def record_own(self, own: th.Tensor) -> None:
        """As of one team."""
        for team, part in zip(self.teams, th.split(own, self.team_size, 1), strict=True):
            team.record_own(part)

    def pop_statistics(self) -> dict[str, np.ndarray]:
        """As of one team: arrays (n_agents,)."""
        found = [team.pop_statistics() for team in self.teams]
        if not any(found):
            return {}
        names = next(one for one in found if one)
        nothing = np.full(self.team_size, np.nan)
        return {name: np.concatenate([one.get(name, nothing) for one in found]) for name in names}

    @property
    def broken_peers(self) -> set[int]:
        """Numbers of agents, of all teams, whose values were not finite when they were last asked."""
        return {n * self.team_size + agent for n, team in enumerate(self.teams) for agent in team.broken_peers}

    @property
    def masked_peer_values(self) -> int:
        """Of all teams."""
        return sum(team.masked_peer_values for team in self.teams)

    @property
    def masks(self) -> np.ndarray | None:
        """What each agent of a team sees, (team_size, dim)."""
        return self.teams[0].masks

    @masks.setter
    def masks(self, masks: np.ndarray | None) -> None:
        for team in self.teams:
            team.masks = masks

    def state_dict(self) -> dict[str, Any]:
        """Every team's."""
        return {"teams": [team.state_dict() for team in self.teams]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`.

        :raises CheckpointError: if it is of another number of teams or agents
        """
        saved = state.get("teams", [state])
        if len(saved) != len(self.teams):
            raise CheckpointError(f"the state is that of {len(saved)} team(s), these are {len(self.teams)}.")
        for team, its in zip(self.teams, saved, strict=True):
            team.load_state_dict(its)
        self._take_over()


def together(askings: Sequence[ask.Asking[th.Tensor]], evaluate: ask.Evaluate) -> list[th.Tensor]:
    """The results of several groups' generators, of which each round of questions is one call of ``evaluate``.

    :param askings: of groups of one size, about batches of one size
    :param evaluate: of all groups' agents, which are numbered through
    """
    results: dict[int, th.Tensor] = {}
    asked: dict[int, ask.Asked] = {}
    answers: dict[int, Any] = dict.fromkeys(range(len(askings)))  # who is sent nothing begins
    while answers:
        asked.clear()
        for number, values in answers.items():
            try:
                asked[number] = askings[number].send(values)
            except StopIteration as end:
                results[number] = end.value
        found = _all_at_once(asked, len(askings), evaluate) if asked else []
        answers = {number: found[number] for number in asked}
    return [results[number] for number in range(len(askings))]


def _all_at_once(asked: dict[int, ask.Asked], n_groups: int, evaluate: ask.Evaluate) -> list[th.Tensor]:
    """What the critics say to every group; a group that asks nothing has its agents look at any rows."""
    some_states, some_peer = next(iter(asked.values()))
    size = len(some_peer)
    itself = th.arange(size, device=some_peer.device)[:, None].expand_as(some_peer)
    requests = [asked.get(number, (some_states, itself)) for number in range(n_groups)]
    states = th.cat([states for states, _ in requests])
    one_for_all = all(peer.stride(1) == 0 for _, peer in requests)  # then a column says it all, and it is looked for
    columns = th.cat([(peer[:, :1] if one_for_all else peer) + n * size for n, (_, peer) in enumerate(requests)])
    peers = columns.expand(-1, some_peer.shape[1]) if one_for_all else columns
    return list(th.split(evaluate(states, peers), size, 1))


def _known(errors: Matrix | None) -> Any:
    return np.nan if errors is None else errors
