"""Who plays with whom, by the names of PettingZoo's agents."""

from __future__ import annotations

from typing import Any

from epymarl_pr.envs.spaces import is_gymma

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


def unshareable(env: Any) -> str:
    """Why an agent can't learn from what another one of an environment lived through; "" if nothing says so.

    :param env: EPyMARL's wrapper of an environment
    """
    names = agents(env)
    if len({side(name) for name in names}) > 1:
        why = f"its agents {', '.join(names)} play against one another, and are paid for opposite things"
    elif is_gymma(env) and (different := _different_spaces(env._env)):
        why = f"its agents have different {different}; EPyMARL pads them, and what is padded means something else"
    else:
        return ""
    return f"{why}: with pr_shared_experience=True each would learn from the others' rows. Use False."


def _different_spaces(env: Any) -> str:
    sizes = {
        "observations": [space.shape for space in env.observation_space],
        "actions": [space.n for space in env.action_space],
    }
    return " and ".join(f"{kind} ({', '.join(map(str, own))})" for kind, own in sizes.items() if len(set(own)) > 1)


def agents(env: Any) -> list[str]:
    """Names of an environment's agents, without those that one of EPyMARL's pretrained wrappers plays; empty where it
    has none."""
    inner = getattr(getattr(env, "_env", None), "unwrapped", None)
    for owner in (inner, getattr(inner, "_env", None)):
        names = getattr(owner, "possible_agents", None)
        if names:
            known = [str(name) for name in names]
            teams = [[name for name in known if side(name) is opponent] for opponent in (True, False)]
            played = [team for team in teams if len(team) == getattr(env, "n_agents", 0) < len(known)]
            return played[0] if played else known
    return []


def side(name: str) -> bool:
    """Whether an agent is one of the opponents."""
    return name.lower().rstrip("0123456789").rstrip("_-") in OPPONENTS
