"""The other engines of StarCraft's battles: SMAClite, and SMAC and SMACv2 with the game itself.

EPyMARL's own ``sc2.yaml`` reaches all of SMAC's maps. What it lacks is derived here:

    --env-config=smaclite_3s_vs_5z   SMAClite with SMAC's limit of 250 steps
    --env-config=smaclite_5m_vs_6m   SMAClite with this package's map file, 70 steps
    --env-config=smacv2              SMACv2's package on SMAC's maps: with env_args.map_name=3s_vs_5z or 5m_vs_6m
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from epymarl_pr.launch.errors import UsageError
from marl_pr_common.envs import starcraft
from marl_pr_common.envs.simulators import ENGINES, missing
from marl_pr_common.envs.smax.maps import LIMITS

SMACV2 = "smacv2"
MAPS = Path(__file__).with_name("maps")
GAMES = ("sc2", "sc2v2", SMACV2)
"""Environments that start the game."""
ENGINE = {"smaclite": "SMAClite", "sc2": "SMAC", "sc2v2": "SMACv2", SMACV2: "SMACv2"}
"""``env`` of EPyMARL -> the engine that it needs."""
UNKNOWN_TO_SMACV2 = ("heuristic_rest",)


def smaclite(map_name: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A configuration of one of SMAC's maps, from the checkout's ``smaclite.yaml``."""
    file = MAPS / f"{map_name}.json"
    place = {"map_name": "custom", "map_file": str(file)} if file.is_file() else {"map_name": map_name}

    def derived(host: Mapping[str, Any]) -> dict[str, Any]:
        return {**host, "env_args": {**host["env_args"], **place, "time_limit": LIMITS[map_name]}}

    return derived


def smacv2(host: Mapping[str, Any]) -> dict[str, Any]:
    """SMACv2's package with SMAC's battles and settings, from the checkout's ``sc2.yaml``."""
    env_args = {key: value for key, value in host["env_args"].items() if key not in UNKNOWN_TO_SMACV2}
    return {**host, "env": SMACV2, "env_args": {**env_args, "map_name": None}}


def check(config: Mapping[str, Any]) -> None:
    """Whether the package and the game are there that ``env`` needs; asked before EPyMARL's runner waits for ever for
    dead workers. What is missing is said at once.

    :raises UsageError: saying what to install and which variable to set
    """
    env = config.get("env")
    if env not in ENGINE:
        return
    (engine,) = (engine for engine in ENGINES if engine.name == ENGINE[env])
    map_name = (config.get("env_args") or {}).get("map_name")
    if map_name is None:
        raise UsageError("env_args.map_name is missing: ... with env_args.map_name=3s_vs_5z")
    if env == "smaclite" and (MAPS / f"{map_name}.json").is_file():
        raise UsageError(
            f"env_args.map_name={map_name}: SMAClite has no such map. Use --env-config=smaclite_{map_name}"
        )
    problems = [
        f"the package {name} is not installed, or does not import. Run: {engine.advice}" for name in missing(engine)
    ]
    if env in GAMES:
        problem = starcraft.problem(None if env == "sc2v2" else str(map_name))
        problems += [problem] if problem else []
    if problems:
        raise UsageError(f"env={env}: {'. And '.join(problems)}.")
    if env in GAMES:
        os.environ[starcraft.VARIABLE] = str(starcraft.find())  # EPyMARL would look in the current folder


def make_smacv2(**arguments: Any) -> Any:
    """What EPyMARL's ``envs.REGISTRY["smacv2"]`` is: its own wrapper around a battle of SMAC's in SMACv2's package."""
    from envs.smacv2_wrapper import SMACv2Wrapper
    from smacv2.env.starcraft2.maps import get_map_params
    from smacv2.env.starcraft2.wrapper import StarCraftCapabilityEnvWrapper

    class Battle(SMACv2Wrapper):  # type: ignore[misc]
        def __init__(self, map_name: str, common_reward: bool, reward_scalarisation: str, **more: Any) -> None:
            if not common_reward:
                raise ValueError("SMAC has one reward for the team. Use common_reward=True")
            size = get_map_params(map_name)
            team = {"n_units": size["n_agents"], "n_enemies": size["n_enemies"]}
            self.env = StarCraftCapabilityEnvWrapper(map_name=map_name, capability_config=team, **more)
            self.episode_limit = self.env.episode_limit
            self.n_agents = self.env.n_agents

    return Battle(**arguments)
