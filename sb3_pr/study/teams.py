"""Multi-agent tasks in ``marl-pr train``: a team whose agents are the columns, ours or one of the user's own.

``--env CooperativeNavigation-3`` has three agents in one world, where ``--env Hopper-v5`` has each agent
in a copy of the task. So the team acts together in evaluation too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from marl_pr_common.config.mapping import suggest
from marl_pr_common.envs.factories import find_factory, look, make_own
from marl_pr_common.envs.registry import FAMILIES, find, is_ours, parse
from sb3_pr.algorithms.spec import said as algorithms
from sb3_pr.study.config import TrainConfig

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

_CONTINUOUS = sorted(family.shown for family in FAMILIES if family.continuous)
TEAM_TASKS = f"{', '.join(_CONTINUOUS[:-1])} and {_CONTINUOUS[-1]}"
"""Families that take continuous actions."""
_EXAMPLES = tuple(family.name.format(size) for family in FAMILIES if family.continuous for size in family.sizes)


def require_named(env_id: str) -> None:
    """Whether there is a task of that name. It is not made: what a typo costs is the import of gymnasium.

    :raises ValueError: if gymnasium knows no such id, the family of ours has no such size, or the user's module is not
        there; the nearest name is suggested
    """
    if is_ours(env_id):
        try:
            parse(env_id)
        except ValueError as error:
            raise ValueError(f"env={env_id!r} cannot be made: {error}") from error
    elif ":" in env_id:
        find_factory(env_id)
    else:
        import gymnasium as gym

        try:
            gym.spec(env_id)
        except gym.error.UnregisteredEnv as error:
            raise unmade(env_id, error) from error
        except gym.error.Error:  # a name without a version, which make() takes
            return


def versioned(env_id: str) -> str:
    """The id that gymnasium means by a name without a version, such as HalfCheetah; any other name as it is."""
    if is_ours(env_id) or ":" in env_id:
        return env_id
    from gymnasium.envs.registration import find_highest_version, parse_env_id, registry

    if env_id in registry:
        return env_id
    namespace, name, version = parse_env_id(env_id)
    latest = find_highest_version(namespace, name) if version is None else None
    return env_id if latest is None else f"{env_id}-v{latest}"


def unmade(env_id: str, error: Exception) -> ValueError:
    """What to say where gymnasium has no such task, or a package is missing that it needs."""
    import gymnasium as gym

    said = str(error).rstrip(".")
    near = "" if "Did you mean" in said else suggest(env_id, [*gym.registry, *_EXAMPLES])
    said = f"env={env_id!r} cannot be made: {said}{'' if said.endswith('?') else '.'}{near}"
    return ValueError(
        f"{said} Tasks with a team are {TEAM_TASKS}; one of your own is package.module:factory, a function that "
        "returns an environment. `marl-pr list environments` shows all."
    )


def team_env(name: str, seed: int | None = None, options: Mapping[str, Any] = MappingProxyType({})) -> VecEnv:
    """The environment with continuous actions as a VecEnv, one column per agent.

    :raises ImportError: without PettingZoo or mpe2; says what to install
    :raises ValueError: if it cannot be made
    """
    from marl_pr_common.envs import make
    from sb3_pr.envs.columns import parallel_to_vec_env

    factory = find_factory(name)
    env: Any = make(name, continuous_actions=True, **options) if factory is None else make_own(name, factory)
    venv = parallel_to_vec_env(env)
    venv.seed(seed)
    return venv


def check_team_task(name: str, options: Mapping[str, Any]) -> None:
    """Whether there is such an environment of ours, with continuous actions.

    :raises ValueError: if not
    """
    named = find(name)
    if named is None or not named.family.continuous:
        raise ValueError(
            f"env={name!r} has discrete actions; {algorithms()} need continuous ones. Of the multi-agent tasks, "
            f"{TEAM_TASKS} have them."
        )
    try:
        team_env(name, options=options).close()
    except (ImportError, ValueError, TypeError) as error:
        given = f" with env_kwargs {dict(options)}" if options else ""
        raise ValueError(f"env={name!r} cannot be made{given}: {error}") from error


def fitted(config: TrainConfig) -> TrainConfig:
    """The run with the team's number of agents, where it was left at its default; as it is for tasks without a team.

    :raises ValueError: for one of upstream's algorithms, or another number of agents than the environment has
    """
    if not config.multi_agent:
        return config
    if not config.reciprocal:
        raise ValueError(
            f"algo={config.algo} on {config.env}: upstream's algorithm is one agent, and a team is several. Use "
            f"algo={config.algo}_pr with pr.kappa=0, which is that algorithm for every agent by itself; in studies the "
            f"arm {config.algo}_independent."
        )
    found = _size(config.env)
    if config.n_agents not in (found, TrainConfig.n_agents):
        raise ValueError(f"n_agents={config.n_agents}, but {config.env} has {found} agents. Set n_agents={found}.")
    return config if config.n_agents == found else replace(config, n_agents=found)


def _size(name: str) -> int:
    seen = look(name)
    if seen is not None and seen.agents is not None:
        return len(seen.agents)
    named = find(name)
    assert named is not None
    return int(named.said)
