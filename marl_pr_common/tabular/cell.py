"""The settings of one tabular run in a study: how a learner learns, for how long, and how often it is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

from marl_pr_common.config.mapping import Count, Must, check_count, check_literals, from_mapping, suggest
from marl_pr_common.envs.registry import Family, find
from marl_pr_common.tabular.config import TabularConfig
from marl_pr_common.tabular.parallel import EVAL_MAX_STEPS
from marl_pr_common.tabular.schedules import Constant, Power, Shrink, check_steps, pull_schedule

SCHEDULES = ("alpha", "beta", "kappa")
PAPER = "paper"
"""Value of ``beta``: the paper's step size, which depends on the environment (section V.A)."""


@dataclass(frozen=True)
class Budget:
    """How long to train and how often to evaluate. Every count of steps is per agent."""

    steps_per_agent: Count = 20_000
    """Environment steps of each agent."""
    eval_every: Count = 500
    """Steps between two evaluations; one more comes before the first step and one after the last."""
    eval_episodes: Count = 20
    """Greedy episodes per evaluation, in an environment of their own."""
    eval_max_steps: Count = EVAL_MAX_STEPS
    """Steps after which a greedy episode of an environment without a time limit is cut, with a warning."""
    checkpoint_every: Count = 10_000
    """Steps after which the next evaluation is followed by a checkpoint."""
    epsilon: Annotated[float, Must("a number in [0, 1)", lambda x: 0 <= x < 1)] = 0.1
    """Probability of a random action while training, in [0, 1)."""
    gamma: Annotated[float, Must("a number in [0, 1)", lambda x: 0 <= x < 1)] = 0.99
    """Discount factor, in [0, 1)."""
    n_agents: int | None = None
    """Agents on a task for one, each in a copy of its own, 3 by default. A team's is that of the environment."""

    def __post_init__(self) -> None:
        check_literals(self)
        if self.n_agents is not None:
            check_count("n_agents", self.n_agents)


def parse(settings: Mapping[str, Any], task: str) -> tuple[Budget, TabularConfig]:
    """Budget and learner that a study's settings ask for.

    :param settings: fields of :class:`Budget` and of ``TabularConfig``; a step size is a number, or
        ``{power: [c, tau]}`` for c / (k + 1)^tau; kappa also ``{shrink: m}`` for 1 - kappa = m / (m + n)
    :param task: the environment, on which ``beta: paper`` depends
    :raises ValueError: for an unknown key or a refused value; the message names it
    """
    where = f"tabular {task}"
    in_budget, in_learner = ({field.name for field in fields(cls)} for cls in (Budget, TabularConfig))
    for key in settings:
        if key not in in_budget | in_learner:
            known = sorted(in_budget | in_learner)
            raise ValueError(f"{where}: unknown key {key!r}. Known keys: {', '.join(known)}.{suggest(key, known)}")
    schedules = {name: _schedule(name, settings[name], task) for name in SCHEDULES if name in settings}
    plain = {key: value for key, value in settings.items() if key in in_learner and key not in SCHEDULES}
    budget = from_mapping(Budget, {key: value for key, value in settings.items() if key in in_budget}, where)
    config = replace(from_mapping(TabularConfig, plain, where), **schedules)
    check_steps(config.alpha, config.beta)
    pull_schedule(config.kappa)
    return budget, config


def _schedule(name: str, value: Any, task: str) -> Any:
    if name == "beta" and value == PAPER:
        named = find(task)
        return Power(named.family.beta if named else Family.beta, 0.35)
    kinds: dict[str, int] = {"power": 2} | ({"shrink": 1} if name == "kappa" else {})
    if isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in kinds:
        kind, numbers = next(iter(value.items()))
        found = [float(number) for number in (numbers if isinstance(numbers, (list, tuple)) else [numbers])]
        if len(found) == kinds[kind]:
            return Power(*found) if kind == "power" else Shrink(*found)
    elif isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return Constant(float(value))
        except ValueError:
            pass
    also = " or {shrink: m}" if name == "kappa" else ""
    raise ValueError(f"{name}={value!r}: expected a number, or {{power: [c, tau]}}{also}.")
