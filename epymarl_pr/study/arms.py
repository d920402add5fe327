"""The arms: EPyMARL's algorithms, each with reciprocity, and the controls that tell why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from marl_pr_common.study.hosts import Arm

MIXING = {"qmix": "QMIX", "vdn": "VDN"}
"""Algorithms that learn from one reward for the team, whatever the task pays."""
OTHERS = {
    "iql": "IQL",
    "mappo": "MAPPO",
    "ippo": "IPPO",
    "maa2c": "MAA2C",
    "ia2c": "IA2C",
    "maddpg": "MADDPG",
}
TEAM_REWARD = {"common_reward": True, "reward_scalarisation": "mean"}
"""What every agent is paid is the mean over agents, on the scale of one agent's own reward."""


def arms() -> dict[str, Arm]:
    """Name -> arm. Nothing is read from a checkout: these are the names of the tested commit."""
    return dict(_all())


def _all() -> Iterator[tuple[str, Arm]]:
    for base, label in (MIXING | OTHERS).items():
        for suffix, networks in (("", ""), ("_ns", ", separate networks")):
            yield from _family(base + suffix, label, networks, own_rewards=base in OTHERS)


def _family(name: str, label: str, networks: str, own_rewards: bool) -> Iterator[tuple[str, Arm]]:
    yield _arm(name, f"{label}{networks}", name)
    yield _arm(f"{name}_pr", f"{label}+PR{networks}", f"{name}_pr")
    yield _arm(f"{name}_independent", f"{label}+PR, kappa = 0{networks}", f"{name}_pr", {"pr_kappa": 0.0})
    if own_rewards:
        yield _arm(f"{name}_team_reward", f"{label}{networks}, team's reward", name, TEAM_REWARD)
        yield _arm(f"{name}_pr_team_reward", f"{label}+PR{networks}, team's reward", f"{name}_pr", TEAM_REWARD)


def _arm(name: str, label: str, config: str, settings: Mapping[str, Any] | None = None) -> tuple[str, Arm]:
    return name, Arm(label, {"config": config, **(settings or {})})
