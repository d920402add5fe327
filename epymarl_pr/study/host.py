"""EPyMARL as host of a study: its algorithms, each with reciprocity, and the controls that tell why.

Importing it needs no checkout; planning and running do. See :mod:`epymarl_pr.study` and docs/studies.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from epymarl_pr.study.arms import arms
from epymarl_pr.study.plan import plan
from epymarl_pr.study.run import run
from marl_pr_common.study.hosts import Arm, Cost, Plan

ARMS: Mapping[str, Arm] = arms()


def cost(task: str, plan: Plan) -> Cost:
    """By the studies in docs/results, of which an agent's step took .5 to 2 ms and with own critics of four agents 6;
    StarCraft takes longer. See ``Host``."""
    n_agents = max(1, round(plan.total_env_steps / max(1, plan.env_steps_per_agent)))
    networks = 1 + 0.7 * (n_agents - 1) if plan.settings.get("pr_own_critics") else 1
    return Cost(15.0 + 1e-3 * networks * plan.total_env_steps)


def completed(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was given is all that a plan holds. See :class:`marl_pr_common.study.hosts.Host`."""
    return settings


def may_share(task: str, plan: Plan) -> bool:
    """Never: a cell is EPyMARL's own process. See :class:`marl_pr_common.study.hosts.Host`."""
    return False


__all__ = ["ARMS", "completed", "cost", "may_share", "plan", "run"]
