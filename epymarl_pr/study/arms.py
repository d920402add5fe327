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
TRANSFER = {"maptf": "MAPTF", "maptf_mappo": "MAPTF over MAPPO", "dvm": "DVM"}
"""Transfer between agents with separate networks."""
OWN_CRITICS = {"pr_own_critics": True, "pr_adjacency": "same", "pr_peers": "complete", "pr_sync_interval": 1}
"""As many critics of the agent's own as it has peers, in their place."""
TEAM_REWARD = {"common_reward": True, "reward_scalarisation": "mean"}
"""What every agent is paid is the mean over agents, on the scale of one agent's own reward."""


def arms() -> dict[str, Arm]:
    """Name -> arm. Nothing is read from a checkout: these are the names of the tested commit."""
    return dict(_all())


def _all() -> Iterator[tuple[str, Arm]]:
    for base, label in (MIXING | OTHERS).items():
        for suffix, networks in (("", ""), ("_ns", ", separate networks")):
            yield from _family(base + suffix, label, networks, own_rewards=base in OTHERS)
    for name, networks in (("maddpg", ""), ("maddpg_ns", ", separate networks")):
        yield _arm(f"{name}_own_critics", f"MADDPG, own critics{networks}", f"{name}_pr", OWN_CRITICS)
    for base, label in TRANSFER.items():
        yield _arm(base, label, base)
        yield _arm(f"{base}_pr", f"{label}+PR", f"{base}_pr")


def _family(name: str, label: str, networks: str, own_rewards: bool) -> Iterator[tuple[str, Arm]]:
    yield _arm(name, f"{label}{networks}", name)
    yield _arm(f"{name}_pr", f"{label}+PR{networks}", f"{name}_pr")
    yield _arm(f"{name}_independent", f"{label}+PR, kappa = 0{networks}", f"{name}_pr", {"pr_kappa": 0.0})
    if own_rewards:
        yield _arm(f"{name}_team_reward", f"{label}{networks}, team's reward", name, TEAM_REWARD)
        yield _arm(f"{name}_pr_team_reward", f"{label}+PR{networks}, team's reward", f"{name}_pr", TEAM_REWARD)


def _arm(name: str, label: str, config: str, settings: Mapping[str, Any] | None = None) -> tuple[str, Arm]:
    return name, Arm(label, {"config": config, **(settings or {})})
