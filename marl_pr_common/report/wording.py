"""The results in plain words: what came out, on which seeds and budgets, and what it does not show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from marl_pr_common.report import verdicts
from marl_pr_common.report.context import ReportContext
from marl_pr_common.report.measure import ArmResult, Measured, TaskResult
from marl_pr_common.report.numbers import plural, span, verdict
from marl_pr_common.report.scoring import DIFFERENCES, DIFFERENCES_ALONE
from marl_pr_common.report.sharing import EqualBudget
from marl_pr_common.results.stats import MIN_SEEDS_FOR_DIFFERENCE, TeamCurves

COUNTS = {"env_steps_per_agent": "env steps per agent", "total_env_steps": "env steps of all agents together"}
HOW_DECIDED = (
    "A difference is taken seed by seed. A paired sign-flip permutation test decides, at 5 %; the interval holds the "
    "shifts that it does not reject. Where several differences stand together p is adjusted by Holm's procedure, and "
    "each interval has the level at which it was tested, so it is wider than a 95 % one."
)
CENSORED = (
    " In steps to the threshold a seed that never reaches it counts with its whole budget; arms whose steps per agent "
    "differ are not compared in it."
)


def every_arm(measured: Measured) -> list[ArmResult]:
    """All arms of all tasks."""
    return [arm for task in measured.tasks.values() for arm in task.arms.values()]


def budgets(measured: Measured) -> str:
    """Env steps per agent and in total."""
    data = [arm.data for arm in every_arm(measured)]
    per_agent = span(int(item.env_steps_per_agent[-1]) for item in data)
    return f"{per_agent} env steps" + ("" if measured.alone else f" per agent, {_totals(data)} in total")


def _totals(data: Iterable[TeamCurves]) -> str:
    return span(total for item in data for total in item.last_totals)


def heading(measured: Measured) -> str:
    """Engine, number of seeds and budgets, for the title of a figure."""
    seeds = _seeds(arm.data for arm in every_arm(measured))
    return f"{', '.join(measured.engines)}  ·  {seeds}  ·  {budgets(measured)}"


def _seeds(data: Iterable[TeamCurves]) -> str:
    counts = span(len(item.seeds) for item in data)
    return f"{counts} seed{'' if counts == '1' else 's'}"


def setting(measured: Measured) -> list[str]:
    """What was run, in lines."""
    lines = [f"Engine: {', '.join(measured.engines)}. Tasks: {', '.join(measured.tasks)}."]
    if measured.evaluations:
        lines.append(f"Evaluation: {'; '.join(measured.evaluations)}.")
    for arm, label in measured.labels.items():
        data = [task.arms[arm].data for task in measured.tasks.values() if arm in task.arms]
        role = " (reference)" if arm == measured.reference else ""
        steps = span(int(item.env_steps_per_agent[-1]) for item in data)
        line = f"{label.text}{role}: {_seeds(data)}; {steps} env steps"
        if not measured.alone:
            line += f" per agent, {_totals(data)} of all its agents together, "
            line += "depending on the run" if _runs_differ(data) else "in each run"
        lines.append(f"{line}.")
    return lines


def _runs_differ(data: Iterable[TeamCurves]) -> bool:
    return any(item.total_of_seeds is not None for item in data)


def conclusion(measured: Measured, context: ReportContext) -> list[str]:
    """What came out: whether anything can be concluded, the verdicts, and what is not in them."""
    failed, passed = verdicts.baselines(measured)
    if len(measured.labels) < 2:
        lines = ["One arm alone compares nothing: its numbers are below."]
    else:
        lines = [*failed, *verdicts.headlines(measured, context)]
        if not any(task.differences for task in measured.tasks.values()):
            lines.append(_too_few(measured))
        lines += unlike_steps(measured)
    return [*lines, *verdicts.fallen(measured), *verdicts.absent(measured, context), *passed]


def _too_few(measured: Measured) -> str:
    """Why no arm is ranked."""
    data = [arm.data for arm in every_arm(measured)]
    seeds, need = _seeds(data), MIN_SEEDS_FOR_DIFFERENCE
    if min(len(item.seeds) for item in data) < need:
        return (
            f"{seeds}: too few to rank the arms. The numbers say how far each arm came and how much seeds differ, not "
            f"which arm is ahead; that is told from {need} seeds on."
        )
    return (
        f"{seeds} of each arm, but fewer than {need} that two arms have in common: a difference is taken seed by seed. "
        "Run the arms with the same seeds."
    )


def unlike_steps(measured: Measured) -> list[str]:
    """Which arms have the reference's steps in total and others per agent: what differences to them are at."""
    lines = []
    for task in measured.tasks.values():
        for arm in task.equal_in_total:
            text = measured.labels[arm].text
            lines.append(f"{task.task}, {text}: {at_other_steps(task, arm)}. Differences to it are at equal data.")
    return lines


def at_other_steps(task: TaskResult, arm: str) -> str:
    """The steps per agent of an arm and of the reference, where they are not the same."""
    assert task.reference is not None
    mine, theirs = (task.arms[name].data for name in (arm, task.reference))
    return (
        f"{mine.env_steps_per_agent[-1]:,} env steps per agent against {theirs.env_steps_per_agent[-1]:,}, equal in "
        f"total ({_totals([mine, theirs])})"
    )


def _how_far_5_percent_hold(n_tasks: int) -> str:
    if n_tasks == 1:
        return "The 5 % of the test hold for this task and this budget."
    return (
        f"The 5 % of the test hold for each of the {n_tasks} tasks, and for each budget, on its own: among the "
        "differences of many tasks some are called different by chance."
    )


def differences(measured: Measured) -> list[str]:
    """Every difference to the reference in words, task by task; nothing if no pair of arms has seeds enough."""
    if not any(task.differences for task in measured.tasks.values()):
        return []
    return [line for task in measured.tasks.values() for line in _of_task(task, measured)]


def _of_task(task: TaskResult, measured: Measured) -> list[str]:
    if task.reference is None:
        return [f"{task.task}: the reference was not run there, so nothing is compared."]
    reference, names = task.arms[task.reference], DIFFERENCES_ALONE if measured.alone else DIFFERENCES
    lines = []
    for arm, result in task.arms.items():
        if arm == task.reference:
            continue
        told = [(text, task.differences[arm, k]) for k, text in names.items() if (arm, k) in task.differences]
        pair = f"{result.label.text} minus {reference.label.text}"
        if arm in task.equal_in_total:
            pair += f" ({at_other_steps(task, arm)})"
        if not told:
            lines.append(f"{task.task}, {pair}: fewer than {MIN_SEEDS_FOR_DIFFERENCE} common seeds, not compared.")
        lines += [f"{task.task}, {name}, {pair}, {d.n_seeds} seeds: {verdict(d)}" for name, d in told]
    return lines


def limits(measured: Measured, context: ReportContext) -> list[str]:
    """What a reader must not take from the numbers."""
    arms = every_arm(measured)
    lines = [
        f"Nothing is said about other tasks, longer training or other settings: these are "
        f"{plural(len(measured.tasks), 'task')}, {budgets(measured)}.",
    ]
    if any(task.differences for task in measured.tasks.values()):
        lines += [
            "An interval that contains 0 does not show that two arms are equal, only that these seeds do not tell them "
            "apart.",
            _how_far_5_percent_hold(len(measured.tasks)),
        ]
    if any(len({arm.data.n_agents for arm in task.arms.values()}) > 1 for task in measured.tasks.values()):
        lines.append(
            "The arms do not have the same number of agents: equal steps per agent are more data for a team, and equal "
            "steps in total are more steps, and more updates, for one agent. "
            "Read the section on sharing the budget before any conclusion about the method."
        )
    if _runs_differ(arm.data for arm in arms):
        lines.append(
            "Agents that have finished take no more steps, so the env steps of all agents together differ from run to "
            "run: they are given as a range over seeds, and cut and drawn at their mean."
        )
    lines += _lined_up(measured)
    if any(arm.data.interpolated for arm in arms):
        lines.append("Some seeds were evaluated at different steps; their curves are read off at common ones.")
    if context.failed or context.exclude:
        lines.append(
            "Runs that failed or were excluded are not in the numbers. An arm that loses runs this way looks steadier "
            "than it is."
        )
    return lines


def _lined_up(measured: Measured) -> Iterator[str]:
    """Where arms of a task were evaluated at different steps."""
    for task in measured.tasks.values():
        if task.lined_up is None or not task.lined_up.differs:
            continue
        base = task.arms[task.lined_up.arm]
        steps = base.data.env_steps_per_agent
        yield (
            f"{task.task}: the arms were evaluated at different steps. All are compared at the {len(steps)} from "
            f"{steps[0]:,} to {steps[-1]:,}{'' if measured.alone else ' of each agent'}, where {base.label.text} was; "
            "learning curves are drawn as every arm was evaluated."
        )


def sharing(measured: Measured, equal: Mapping[str, Sequence[EqualBudget]]) -> list[str]:
    """What the two counts of the budget are; nothing where every arm is one agent."""
    if measured.alone:
        return []
    if any(equal.values()):
        return [
            "A team of N agents takes up to N times the steps of one agent while each agent takes as many (fewer where "
            "agents that have finished wait; the steps in total are then a mean over seeds). Below, all arms of a "
            "task are cut at equal steps per agent, and then at equal steps of all agents together; the last "
            "point is read off there, linearly between two evaluations.",
            *([HOW_DECIDED] if any(budget.differences for pair in equal.values() for budget in pair) else []),
        ]
    agents = {arm.data.n_agents for arm in every_arm(measured)}
    if len(agents) > 1:
        return ["Within each task equal steps per agent are equal steps in total: both counts are one."]
    return [f"All arms have {plural(agents.pop(), 'agent')}: equal steps per agent are equal steps in total."]


def sharing_differences(measured: Measured, equal: Mapping[str, Sequence[EqualBudget]]) -> list[str]:
    """Every difference at equal budgets in words."""
    return [line for task, pair in equal.items() for budget in pair for line in _equal(task, budget, measured)]


def _equal(task: str, budget: EqualBudget, measured: Measured) -> list[str]:
    where = f"{task}, {budget.budget:,} {COUNTS[budget.axis]}"
    reference = measured.labels[measured.reference].text
    return [
        f"{where}, {DIFFERENCES[name]}, {measured.labels[arm].text} minus {reference}: {verdict(difference)}"
        for (arm, name), difference in budget.differences.items()
    ]


def left_out(measured: Measured, context: ReportContext) -> list[str]:
    """Cells that failed or are missing, and what was done to runs before they were compared."""
    lines = [f"{cell} failed; its log is {log}." for cell, log in context.failed]
    lines += [f"{cell} was not run to its end." for cell in context.missing]
    return list(dict.fromkeys([*lines, *context.stopped, *measured.remarks]))
