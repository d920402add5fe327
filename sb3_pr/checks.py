"""Checks of what a user passes, with errors that say what was wrong, what was expected and what to do."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.type_aliases import TrainFrequencyUnit

from marl_pr_common.config import from_mapping
from marl_pr_common.config.mapping import suggest
from marl_pr_common.reciprocity import Reciprocity, ReciprocityConfig, adjacency
from marl_pr_common.reciprocity.weights import check_gain
from sb3_pr import own_critics, unfit
from sb3_pr.networks.observations import VectorPart
from sb3_pr.replay.buffers import AgentMajor

PR_OPTIONS = tuple(field.name for field in dataclasses.fields(ReciprocityConfig))
GROUP_OPTIONS = (
    *("n_agents", "n_teams", "seeds", "leader"),
    *("shared_replay", "observation_masks", "fast", "guards", "own_critics"),
)
"""What the constructor takes beside PR's options and upstream's parameters."""
OTHER_NUMBER = "For another number of agents: from_agents([model.agent(i) for i in ...], env)."


class UnknownOption(TypeError, ValueError):
    """A keyword that neither SB3 nor PR knows. A TypeError, as Python raises for unexpected keywords."""


def named(args: tuple[Any, ...], kwargs: dict[str, Any], upstream: type[Any]) -> dict[str, Any]:
    """SB3's positional parameters, those after ``policy`` and ``env``, by name.

    :raises TypeError: if there are too many, or one is given twice
    """
    by_name = inspect.signature(upstream.__init__).bind(None, None, None, *args).arguments
    given = {name: value for name, value in by_name.items() if name not in ("self", "policy", "env")}
    for name in given.keys() & kwargs.keys():
        raise TypeError(f"{name} is given twice, by position ({given[name]!r}) and by name ({kwargs[name]!r}).")
    return {**given, **kwargs}


def flags(**given: Any) -> None:
    """:raises ValueError: for what is neither True nor False"""
    for name, value in given.items():
        if not isinstance(value, (int, np.bool_)) or value not in (0, 1):
            raise ValueError(f"{name}={value!r}: expected True or False.")


def pr_options(kwargs: dict[str, Any], upstream: type[Any]) -> dict[str, Any]:
    """Move PR's options out of a constructor's keyword arguments.

    ``peers`` may be a matrix itself; it then becomes ``peers="matrix"`` with ``peer_matrix``.

    :raises UnknownOption: for a keyword that is neither an option of PR nor a parameter of ``upstream``
    """
    known = [name for name in inspect.signature(upstream.__init__).parameters if name not in ("self", "policy", "env")]
    for name in kwargs:
        if name not in known and name not in PR_OPTIONS:
            hint = suggest(name, [*known, *PR_OPTIONS, *GROUP_OPTIONS])
            raise UnknownOption(
                f"unknown option {name}={kwargs[name]!r}.{hint} Options of PR: {', '.join(PR_OPTIONS)}; "
                f"every other keyword must be one of {upstream.__name__}'s: {', '.join(known)}."
            )
    return with_matrix({name: kwargs.pop(name) for name in PR_OPTIONS if name in kwargs})


def with_matrix(options: dict[str, Any]) -> dict[str, Any]:
    """A peer matrix as nested tuples, so that the configuration stays hashable and can be written to YAML."""
    if not isinstance(options.get("peers", ""), str):
        options = {**options, "peers": "matrix", "peer_matrix": options["peers"]}
    if options.get("peer_matrix") is not None:
        rows = np.atleast_2d(np.asarray(options["peer_matrix"], dtype=np.float64)).tolist()
        options = {**options, "peer_matrix": tuple(tuple(row) for row in rows)}
    return options


def replace(config: ReciprocityConfig, changes: Mapping[str, Any]) -> ReciprocityConfig:
    """The configuration with some options changed, checked again."""
    if not changes:
        return config
    return from_mapping(ReciprocityConfig, {**dataclasses.asdict(config), **with_matrix(dict(changes))})


def gain(config: ReciprocityConfig, gamma: float, reciprocity: Reciprocity) -> None:
    """:raises ValueError: for literal sums that diverge on this group's graph"""
    check_gain(config, gamma, float(reciprocity.peer_weights.sum(1).max()), adjacency.size(config))


class UnfitColumns(AssertionError, ValueError):
    """An environment of another number of columns than the model has agents. An AssertionError, as SB3's
    ``set_env`` raises."""


def columns(model: Any, n_envs: int) -> None:
    """:raises UnfitColumns: unless every agent has its column. One agent may be trained on any number, as in SB3."""
    if model.n_columns not in (1, n_envs):
        teams = f", n_teams={model.n_teams}" if model.n_teams > 1 else ""
        raise UnfitColumns(
            f"the model has n_agents={model.n_agents}{teams}, but the environment has {n_envs} column(s): column i is "
            f"agent i{', team after team' if teams else ''}. Pass a VecEnv with {model.n_columns} environments. "
            f"{OTHER_NUMBER}"
        )


def replay_buffer(loaded: Any, before: Any, model: Any) -> None:
    """:raises ValueError: unless ``model`` can go on with a loaded buffer as it would with the one it was made with

    :param before: the model's own, None if it has none yet
    """
    found = getattr(loaded, "n_envs", 1)
    if found != model.n_envs:
        raise ValueError(
            f"the replay buffer is of {found} environment(s) and the model has {model.n_envs}: a column of the buffer "
            f"is an environment{' and an agent' if model.n_columns > 1 else ''}. Load it into a model with {found}."
        )
    for name in ("observation_space", "action_space"):
        theirs, ours = getattr(loaded, name), getattr(model, name)
        if theirs != ours:
            raise ValueError(f"the replay buffer has the {name} {theirs}, the model's is {ours}.")
    if before is None:
        return
    theirs, ours = _upstream_class(loaded), _upstream_class(before)
    if theirs is not ours:
        raise ValueError(
            f"the replay buffer is a {theirs.__name__}, the model's is a {ours.__name__}. Make the model with the "
            "replay_buffer_class and n_steps of the one that the buffer was saved from."
        )
    for name in ("n_steps", "gamma"):  # of n-step returns, which the buffer computes
        was, now = getattr(loaded, name, None), getattr(before, name, None)
        if was != now:
            raise ValueError(f"the replay buffer has {name}={was!r}, the model's has {now!r}. Make the model with it.")


def _upstream_class(buffer: Any) -> type[Any]:
    return buffer.upstream_class() if isinstance(buffer, AgentMajor) else type(buffer)


def settings(model: Any) -> None:
    """What cannot be right; with one agent only what upstream does not run with.

    :raises ValueError: no count or seed, episodic ``train_freq``, adjacency without coordinates, no such leader
    """
    leader(model._leader, model.n_agents)
    numbers(model)
    unfit.check(model)
    if model.own_critics:
        own_critics.check(model.pr, model.n_agents)
    if model.n_columns == 1:
        return
    frequency = model.train_freq  # an int, a (number, unit) tuple, or after a load SB3's TrainFreq
    several = f", n_teams={model.n_teams}" if model.n_teams > 1 else ""
    if isinstance(frequency, tuple) and frequency[1] in ("episode", TrainFrequencyUnit.EPISODE):
        raise ValueError(
            f"train_freq={frequency!r} with n_agents={model.n_agents}{several}: the agents' episodes end at different "
            'steps, and SB3 trains episode by episode with one env only. Use train_freq=(k, "step").'
        )
    one_voice(model.pr)
    if model.n_agents > 1 and model.pr.adjacency != "same" and not VectorPart(model.observation_space).keys:
        raise ValueError(
            f"adjacency={model.pr.adjacency!r} changes single coordinates, but the observation space "
            f'{model.observation_space} has no real-valued vector. Use adjacency="same".'
        )


def numbers(model: Any) -> None:
    """:raises ValueError: for a ``batch_size``, ``policy_delay`` or ``seed`` that no update can be made with"""
    delay = getattr(model, "policy_delay", 1)
    if model.n_columns == 1 and isinstance(delay, (int, float)) and delay != 0:
        delay = 1  # 1.5 and -1 run upstream
    smallest = 1 if model.n_columns > 1 or model.guards else 0  # upstream goes on with NaN losses
    for name, value, least in (("batch_size", model.batch_size, smallest), ("policy_delay", delay, 1)):
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name}={value!r}: expected an integer >= 1. Leave it out for SB3's default.")
    seed = model.seed
    if seed is not None and not (isinstance(seed, int) and 0 <= seed < 2**32):
        raise ValueError(f"seed={seed!r}: expected an integer from 0 to {2**32 - 1}, or None for a fresh one.")


def one_voice(config: ReciprocityConfig) -> None:
    """:raises ValueError: if several voices would be needed"""
    if config.estimator == "one_voice" and config.min_over == "mixture":
        raise ValueError(
            'estimator="one_voice" with min_over="mixture": the minimum over critics is taken inside the agent that '
            'values a row. Use min_over="peer".'
        )


def snapshot_change(before: ReciprocityConfig, after: ReciprocityConfig) -> None:
    """:raises ValueError: if loading would add or drop the peers' snapshot, which is part of the saved file."""
    if (before.sync_interval == 1) != (after.sync_interval == 1):
        raise ValueError(
            f"sync_interval={after.sync_interval}, but the model was saved with {before.sync_interval}: a model saved "
            "with 1 has no snapshot of the peers, and another has one. Keep it 1, or keep it above 1."
        )


def leader(agent: int | None, n_agents: int, name: str = "leader", what: str = "an agent") -> None:
    """:raises ValueError: unless ``agent`` is None or one of the agents, or of what else there is ``n_agents``"""
    if agent is None and name == "leader":
        return
    if not isinstance(agent, (int, np.integer)) or isinstance(agent, bool) or not 0 <= agent < n_agents:
        raise ValueError(f"{name}={agent!r}: expected {what} from 0 to {n_agents - 1}.")


def masks(value: Any, n_agents: int, space: spaces.Space[Any]) -> np.ndarray | None:
    """Observation masks Pi_i, checked: (n_agents, obs_dim) booleans; None stays None.

    :raises ValueError: for another shape, other values than booleans, an agent that sees nothing, or observations
        that are not one real-valued vector
    """
    if value is None:
        return None
    if not isinstance(space, spaces.Box) or is_image_space(space):
        raise ValueError(f"observation_masks need a Box observation of real numbers, but the space is {space}.")
    result = np.asarray(value)
    expected = (n_agents, int(np.prod(space.shape)))
    if result.shape != expected:
        raise ValueError(
            f"observation_masks has shape {result.shape}: expected (n_agents, obs_dim) = {expected}, one row per agent "
            "that says which coordinates it sees."
        )
    if not np.isin(result, (0, 1)).all():
        raise ValueError(f"observation_masks={result.tolist()}: expected booleans.")
    result = result.astype(bool)
    if not result.any(axis=1).all():
        agent = int(np.argmin(result.any(axis=1)))
        raise ValueError(f"observation_masks: agent {agent} sees no coordinate. Give it at least one.")
    return result


class TemperatureError(RuntimeError, ValueError):
    """Parameters with or without a learnt temperature for a model of the other kind. A RuntimeError, as torch's for
    other networks, for SB3's ``load`` takes a ValueError for one of DQN's."""
