"""Deciding as a team: the vote of all agents' target critics over all agents' proposals."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch as th
from stable_baselines3.common.base_class import maybe_make_env

from marl_pr_common.config.mapping import suggest
from sb3_pr import checks
from sb3_pr.envs.columns import is_factory, is_team, make_columns, own_action_spaces
from sb3_pr.networks.observations import repeat, rows
from sb3_pr.returns import leader as best_leader
from sb3_pr.returns import tell_policy
from sb3_pr.saving.loading import require_same_roles
from sb3_pr.stacked_teams import one_team

TEAMS = ("leader", "vote")
"""Who answers ``predict`` for observations that do not come one per agent."""


@th.no_grad()
def elect(policy: Any, observation: Any, proposals: th.Tensor, n_sets: int = 1) -> th.Tensor:
    """For every row the proposal that the agents' target critics value most, in the mean over agents.

    A value is the minimum over an agent's critics; one that is not finite has no vote.

    :param policy: of several agents
    :param observation: n_rows observations
    :param proposals: what each agent would do, (n_agents, n_rows, action_dim)
    :param n_sets: sets of critics that each agent has, see ``own_critics``; their mean is its value
    :return: (n_rows, action_dim)
    """
    n, n_rows = proposals.shape[:2]
    values = th.stack(policy.critic_target(repeat(observation, n * n), proposals.flatten(0, 1).repeat(n, 1)))
    of_agents = values.view(n_sets, -1, n, n, n_rows).amin(1).mean(0)  # (whose critic, whose proposal, row)
    worth = of_agents.masked_fill(~th.isfinite(of_agents), th.nan).nanmean(0).nan_to_num(-th.inf)
    return proposals[worth.argmax(0), th.arange(n_rows, device=proposals.device)]


@contextmanager
def council(model: Any) -> Iterator[None]:
    """Within it the model's policy answers any number of rows by vote; a lone agent has none to ask."""
    if model.n_agents == 1:
        yield
        return
    model.policy.council = functools.partial(elect, n_sets=model.n_agents if model.own_critics else 1)
    try:
        yield
    finally:
        model.policy.council = None


class Voter:
    """What SB3's ``evaluate_policy`` asks for actions: the team by vote.

    :param model: several agents, each alone in a copy of one task
    """

    def __init__(self, model: Any):
        self.model = model

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """SB3's; every row is put to the vote."""
        with council(self.model):
            return self.model.policy.predict(*args, **kwargs)


def check(model: Any, observation: Any, team: Any) -> None:
    """
    :raises ValueError: for a team that there is not, or where there is nothing to vote on
    """
    if team not in TEAMS:
        hint = suggest(team, TEAMS) if isinstance(team, str) else ""
        raise ValueError(f"team={team!r}: expected one of {', '.join(TEAMS)}.{hint}")
    if team == "leader" or model.n_agents == 1:
        return
    one_team(model, 'predict(..., team="vote")')
    if not can_vote(model):
        raise ValueError(
            f'team="vote": the {model.n_agents} agents share one world, each with a role of its own, and none can do '
            "what another proposes. predict() with one observation per agent gives each one's action."
        )
    found = rows(model.policy.obs_to_tensor(observation)[0])
    if found == model.n_agents:
        raise ValueError(
            f'team="vote" with {found} observations for {found} agents: so many are one per agent, and each answers '
            "its own. Pass them one by one."
        )


def can_vote(model: Any) -> bool:
    """Whether the agents are alternatives to each other, not members of one world."""
    shared = model.shares_world if model.env is None else is_team(model.env)
    return model.own_action_spaces is None and not shared


class AnswersAsTeam:
    """Mixin of a model of several agents: who answers ``predict``."""

    env: Any
    n_agents: int
    n_columns: int
    n_teams: int
    n_envs: int
    verbose: int
    _wrap_env: Any
    _leader: int | None
    _check_rows: Any
    own_action_spaces: Any = None
    """Each agent's own bounds, where agents of a PettingZoo environment have different ones."""
    agent_names: list[str] | None = None
    """Who they are in a PettingZoo environment, column by column; models saved earlier don't say."""
    shares_world: bool = False
    """Whether the environment that it was last made or loaded with was one world for all: a saved model has none."""

    def _setup_model(self) -> None:
        if self.env is not None:
            require_same_roles(self, self.env)
        super()._setup_model()  # type: ignore[misc]
        if self.env is not None:
            self._take_roles(self.env)

    def _take_roles(self, env: Any) -> None:
        self.shares_world = is_team(env)
        self.agent_names = getattr(env.unwrapped, "agent_names", self.agent_names)
        if self.n_columns > 1:
            self.own_action_spaces = own_action_spaces(env) or self.own_action_spaces

    def set_env(self, env: Any, force_reset: bool = True) -> None:
        """SB3's; also takes a gymnasium id, or a function that makes an environment, and gives every agent a column.

        :raises UnfitColumns: if it has another number of columns than there are agents
        :raises OtherAgents: if agents of a PettingZoo environment are in another order, or act in other bounds
        """
        if isinstance(env, str) or is_factory(env):
            env = maybe_make_env(make_columns(env, self.n_envs), self.verbose)
        columns = self._wrap_env(env, self.verbose)
        checks.columns(self, columns.num_envs)
        require_same_roles(self, columns)
        super().set_env(columns, force_reset)  # type: ignore[misc]
        self._take_roles(columns)

    @property
    def leader(self) -> int:
        """The agent that answers ``predict`` for observations that do not come one per agent.

        By default the one with the best mean return over its last episodes (``stats_window_size``).
        """
        one_team(self, "leader")
        return best_leader(self)

    @leader.setter
    def leader(self, agent: int | None) -> None:
        one_team(self, "leader")
        checks.leader(agent, self.n_agents)
        self._leader = agent
        tell_policy(self)

    def predict(self, observation: Any, *args: Any, team: str = "leader", **kwargs: Any) -> Any:
        """SB3's ``predict``. ``n_agents`` rows are one row per agent; any other number is answered by ``team``.

        :param team: "leader": the agent ``leader``; "vote": row by row the action, of those that each agent would take
            without exploring, that all agents' target critics value most in the mean
        :raises ValueError: for a vote among agents that share one world, or over one row per agent
        """
        self._check_rows(observation)
        check(self, observation, team)
        tell_policy(self)
        with council(self) if team == "vote" else nullcontext():
            return super().predict(observation, *args, **kwargs)  # type: ignore[misc]
