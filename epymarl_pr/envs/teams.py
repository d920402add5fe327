"""Who plays with whom, by the names of PettingZoo's agents."""

from __future__ import annotations

from typing import Any

OPPONENTS = ("adversary", "leadadversary", "eve", "red", "omnivore")
"""What environments call the agents of another team, without their numbers."""


def competing(env: Any) -> str:
    """Why agents of an environment are not all peers of one another; "" if nothing says so.

    :param env: EPyMARL's wrapper of an environment
    """
    names = agents(env)
    sides = [side(name) for name in names]
    if len(set(sides)) < 2:
        return ""
    matrix = [[int(i != j and sides[i] == sides[j]) for j in range(len(names))] for i in range(len(names))]
    written = str(matrix).replace(" ", "")
    return (
        f"its agents {', '.join(names)} play against one another, and with pr_peers=complete, ring or random they "
        "would learn from their opponents' values. Name the peers of each: "
        f"pr_peers=matrix pr_peer_matrix={written} (row i: whom agent i listens to)."
    )


def agents(env: Any) -> list[str]:
    """Names of an environment's agents; empty where it has none."""
    inner = getattr(getattr(env, "_env", None), "unwrapped", None)
    for owner in (inner, getattr(inner, "_env", None)):
        names = getattr(owner, "possible_agents", None)
        if names:
            return [str(name) for name in names]
    return []


def side(name: str) -> bool:
    """Whether an agent is one of the opponents."""
    return name.lower().rstrip("0123456789").rstrip("_-") in OPPONENTS
