"""What playing a run again asks of everybody: which episodes, and who was best at the end."""

from __future__ import annotations

from pathlib import Path

from marl_pr_common.runs.table import RESULTS, read_results


def check(episodes: int, seed: int | None) -> None:
    """:raises ValueError: for no episode, or a seed that none is"""
    if episodes < 1:
        raise ValueError(f"episodes={episodes}: expected a number >= 1.")
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed}: expected an integer in [0, 2**32 - 1].")


def best_agent(run: Path) -> tuple[int, float] | None:
    """The agent with the best mean return in the run's last evaluation, and that return; None without any."""
    found = last_returns(run)
    return max(found.items(), key=lambda item: item[1]) if found else None


def evaluation(run: Path) -> str:
    """How the run was evaluated, in words; empty if it is not known."""
    return str(read_results([run])["evaluation"].iloc[-1]) if (run / RESULTS).is_file() else ""


def last_returns(run: Path) -> dict[int, float]:
    """Agent -> mean return in the run's last evaluation."""
    if not (run / RESULTS).is_file():
        return {}
    table = read_results([run])
    table = table[table["metric"] == "eval/return"]
    last = table[table["total_env_steps"] == table["total_env_steps"].max()].sort_values("agent")
    return {int(agent): float(value) for agent, value in zip(last["agent"], last["value"], strict=True)}


def chosen_agent(run: Path, agent: int | None, n_agents: int) -> tuple[int, str]:
    """Whom to show of agents with a copy each: the one that is asked for, or the best of the last evaluation.

    :return: its number, and words for it
    :raises ValueError: if there is no such agent
    """
    best = best_agent(run) if agent is None else None
    chosen = agent if agent is not None else best[0] if best else 0
    if not 0 <= chosen < n_agents:
        raise ValueError(f"agent={chosen}: expected a number from 0 to {n_agents - 1}, an agent of the run.")
    return chosen, f"agent {chosen}" + (", the best of the last evaluation" if agent is None and n_agents > 1 else "")


def together(agent: int | None, n_agents: int) -> str:
    """Words for agents in one world.

    :raises ValueError: if one alone is asked for
    """
    if agent is not None:
        raise ValueError(f"agent={agent}: the {n_agents} agents act together in one world. Leave it out.")
    return f"all {n_agents} agents"
