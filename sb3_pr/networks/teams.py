"""One team of a stack as a model of its own."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections import deque
from typing import Any

import numpy as np
import torch as th

from sb3_pr.networks.extraction import lone_agent
from sb3_pr.networks.stacking import agent_state_dict, load_agent
from sb3_pr.replay import views
from sb3_pr.returns import tell_policy

SAME = ("shared_replay", "fast", "guards", "own_critics")


def lone_team(model: Any, number: int, replay: bool = True) -> Any:
    """Team ``number`` as a model of the same class: networks, targets, optimisers, reciprocity, episodes.

    :param replay: whether it gets a copy of its transitions; without, its replay buffer is empty
    :raises ValueError: if it has ended
    """
    if number in model.ended:
        raise ValueError(f"team {number} has ended, and its networks are wiped: {model.ended[number]}")
    first, n = number * model.n_agents, model.n_agents
    columns = range(first, first + n)
    options = {name: getattr(model, name) for name in SAME}
    options |= {**dataclasses.asdict(model.pr), "observation_masks": model.observation_masks}
    agents = [lone_agent(model, column) for column in columns]
    with warnings.catch_warnings():  # these agents have been drawn together from the beginning
        warnings.filterwarnings("ignore", message="consensus=")
        team = type(model).from_agents(agents, **options)
    for name in model.spec.networks if n > 1 else ():  # a lone agent's hidden coordinates have weight 0
        _load(getattr(team.policy, name), getattr(model.policy, name), columns)
    if getattr(model, "peer_critics", None) is not None and n > 1:
        _load(team.peer_critics, model.peer_critics, columns)
    team.seed = model.seed if model.seeds is None else model.seeds[number]
    team.num_timesteps = model.num_timesteps // model.n_teams
    team._total_timesteps = model._total_timesteps // model.n_teams
    team._current_progress_remaining = model._current_progress_remaining
    _copy_replay(model, team, columns, replay)
    _copy_episodes(model, team, columns)
    if n > 1:
        own = model.reciprocity.teams[number] if model.n_teams > 1 else model.reciprocity
        team.reciprocity.load_state_dict(copy.deepcopy(own.state_dict()))
    team.watch.alarm.largest_reward = float(np.atleast_1d(model.watch.alarm.largest_reward)[number])
    return team


@th.no_grad()
def _load(target: Any, source: Any, columns: range) -> None:
    for agent, column in enumerate(columns):
        load_agent(target, agent, agent_state_dict(source, column))


def _copy_replay(model: Any, team: Any, columns: range, replay: bool) -> None:
    for name in ("replay_buffer_class", "replay_buffer_kwargs", "n_steps"):
        setattr(team, name, copy.copy(getattr(model, name)))
    if replay and model.replay_buffer is not None:
        if model.n_columns == 1:
            team.replay_buffer = copy.deepcopy(model.replay_buffer)
            return
        kind = model.replay_buffer.upstream_class()
        team.replay_buffer = views.copied(model.replay_buffer, kind, slice(columns.start, columns.stop))
        if len(columns) > 1:
            team._take_columns()


def _copy_episodes(model: Any, team: Any, columns: range) -> None:
    team._stats_window_size = model._stats_window_size
    if model._agent_episodes:
        team._agent_episodes = [model._agent_episodes[column].copy() for column in columns]
        team.ep_info_buffer = deque(
            (episode for played in team._agent_episodes for episode in played), maxlen=model._stats_window_size
        )
        team.ep_success_buffer = deque(maxlen=model._stats_window_size)
    tell_policy(team)
