"""The arms: EPyMARL's algorithms, each with reciprocity, and the controls that tell why; from the learners' records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from epymarl_pr.learners import table
from epymarl_pr.transfer import table as transfer
from marl_pr_common.study.hosts import Arm

OWN_CRITICS = {"pr_own_critics": True, "pr_adjacency": "same", "pr_peers": "complete", "pr_sync_interval": 1}
"""As many critics of the agent's own as it has peers, in their place."""
TEAM_REWARD = {"common_reward": True, "reward_scalarisation": "mean"}
"""What every agent is paid is the mean over agents, on the scale of one agent's own reward."""
DECIDING = {"pr_act": True, "pr_kappa": None, "pr_adjacency": "same", "pr_estimator": "one_state"}
"""Every agent acts and bootstraps on Q*, one equal voice for every network."""
TRUST = {"pr_trust": "td"}
SHARED = {"pr_shared_experience": True}


def arms() -> dict[str, Arm]:
    """Name -> arm. Nothing is read from a checkout: these are the names of the tested commit."""
    return dict(_all())


def _all() -> Iterator[tuple[str, Arm]]:
    for record in table.LEARNERS.values():
        for base, label in record.algorithms.items():
            for suffix, networks in (("", ""), ("_ns", ", separate networks")):
                own_rewards = base not in record.one_reward
                yield from _family(base + suffix, label, networks, own_rewards)
                yield from _controls(base + suffix, label, networks, record, separate=bool(suffix))
    for base, found in transfer.ALGORITHMS.items():
        yield _arm(base, found.label, base)
        yield _arm(f"{base}_pr", f"{found.label}+PR", f"{base}_pr")


def _family(name: str, label: str, networks: str, own_rewards: bool) -> Iterator[tuple[str, Arm]]:
    yield _arm(name, f"{label}{networks}", name)
    yield _arm(f"{name}_pr", f"{label}+PR{networks}", f"{name}_pr")
    yield _arm(f"{name}_independent", f"{label}+PR, kappa = 0{networks}", f"{name}_pr", {"pr_kappa": 0.0})
    if own_rewards:
        yield _arm(f"{name}_team_reward", f"{label}{networks}, team's reward", name, TEAM_REWARD)
        yield _arm(f"{name}_pr_team_reward", f"{label}+PR{networks}, team's reward", f"{name}_pr", TEAM_REWARD)


def _controls(name: str, label: str, networks: str, record: table.Record, separate: bool) -> Iterator[tuple[str, Arm]]:
    """Arms of options that not every learner has."""

    def arm(suffix: str, what: str, *settings: Mapping[str, Any]) -> tuple[str, Arm]:
        merged = {key: value for layer in settings for key, value in layer.items()}
        return _arm(f"{name}_{suffix}", f"{label}{what}{networks}", f"{name}_pr", merged)

    if "own_critics" in record.has and not name.startswith("qmix"):
        yield arm("own_critics", ", own critics", OWN_CRITICS)
    yield arm("pr_trust", "+PR, trust", TRUST)
    if "act" in record.has and separate:
        yield arm("deciding", ", deciding", DECIDING)
        yield arm("deciding_trust", ", deciding, trust", DECIDING, TRUST)
        if not name.startswith("qmix"):
            yield arm("deciding_own_critics", ", deciding on own critics", OWN_CRITICS, DECIDING)
    if "shared_experience" in record.has and separate:
        yield arm("shared_experience", ", shared experience", SHARED, {"pr_kappa": 0.0})
        yield arm("deciding_shared_experience", ", deciding, shared experience", DECIDING, SHARED)


def _arm(name: str, label: str, config: str, settings: Mapping[str, Any] | None = None) -> tuple[str, Arm]:
    return name, Arm(label, {"config": config, **(settings or {})})
