"""The figures of a report, each with the words that explain its statistic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from marl_pr_common.report import figures as plots
from marl_pr_common.report.context import ReportContext
from marl_pr_common.report.document import Drawing
from marl_pr_common.report.figures import Estimates, Panel, SweepLine, Watched
from marl_pr_common.report.measure import Measured, TaskResult
from marl_pr_common.report.numbers import number
from marl_pr_common.report.scoring import SCORES
from marl_pr_common.report.wording import heading
from marl_pr_common.results.budget import EPISODES

SWEEP_AXES = {"kappa": "kappa, weight of the peers", "n_peers": "Number of peers |N_i|"}
SHOWN = {"eval/return": "Return without exploration noise", EPISODES: "Return of training episodes, with exploration"}
"""What a figure says of a metric."""
_SOURCE = 'Agarwal et al. 2021, "Deep RL at the Edge of the Statistical Precipice"'


def draw(measured: Measured, context: ReportContext) -> list[Drawing]:
    """All figures for which there are numbers; those that take some reading come last."""
    title = heading(measured)
    found = [_curves(measured, title, context.metric), _intervals(measured, title)]
    if any(task.improvement for task in measured.tasks.values()):
        found.append(_improvement(measured, title))
    found += [_sweep(measured, key, dict(values), title) for key, values in context.sweep.items()]
    if any(found.reached.any() for task in measured.tasks.values() for found in task.reached.values()):
        found.append(_thresholds(measured, title))
    if measured.trust:
        found.append(_trust(measured, title))
    known = [name for name, task in measured.tasks.items() if all(a.curve.cpu is not None for a in task.arms.values())]
    if timed := {name: measured.tasks[name] for name in known}:
        found.append(_times(measured, timed, title))
    return [*found, _profiles(measured, title)]


def never_reached(measured: Measured) -> list[str]:
    """A sentence for every task on which nobody reached the threshold, in the place of an empty panel."""
    return [
        f"{name}: no seed of any arm reached a return of {number(task.threshold or 0.0)}, so there are no steps to it."
        for name, task in measured.tasks.items()
        if task.reached and not any(found.reached.any() for found in task.reached.values())
    ]


def _named(task: TaskResult) -> str:
    return ", ".join(arm.label.text for arm in task.arms.values())


def _alt(kind: str, measured: Measured) -> str:
    tasks = "; ".join(f"{task.task}: {_named(task)}" for task in measured.tasks.values())
    return f"{kind}. {tasks}. The numbers are in the tables below."


def _panels(tasks: Mapping[str, TaskResult]) -> dict[str, plots.curves.Arms]:
    return {name: {arm.label: arm.curve for arm in task.arms.values()} for name, task in tasks.items()}


def _curves(measured: Measured, title: str, metric: str) -> Drawing:
    panels = _panels(measured.tasks)
    tasks = ", ".join(measured.tasks) if len(measured.tasks) == 1 else f"{len(measured.tasks)} tasks"
    team = "" if measured.alone else ", mean over a team's agents"
    both = (
        " An arm of another number of agents than the reference has a second panel, against the steps of all agents: "
        "both are needed to judge a team."
    )
    reference = measured.labels[measured.reference]
    sizes = [len({arm.data.n_agents for arm in task.arms.values()}) for task in measured.tasks.values()]
    return Drawing(
        "learning_curves",
        "Learning curves",
        _alt("Learning curves of every arm beside the reference", measured),
        f"{SHOWN.get(metric, metric)}{team}: each arm in colour, the reference in grey. Line: mean over seeds; "
        "band: 95 % percentile bootstrap interval of that mean, each point on its own; below 5 seeds one thin line per "
        f"seed, below 3 evaluations points alone.{both * (max(sizes) > 1)}",
        plots.small_multiples(panels, reference, plots.step_axes, "Return", f"{tasks}  ·  {title}"),
    )


def _intervals(measured: Measured, title: str) -> Drawing:
    panels = []
    for task in measured.tasks.values():
        names = [name for name in SCORES if all(name in arm.scores for arm in task.arms.values())]
        panels.append([_interval_panel(task, name) for name in names])
    columns = min(len(line) for line in panels)
    return Drawing(
        "intervals",
        "Scores with intervals",
        _alt("Mean, median and interquartile mean of every arm with intervals", measured),
        "Final return is the last point of a learning curve; the area under the curve is its mean height over env "
        "steps. Mean, median and IQM over seeds with 95 % bootstrap intervals; below 5 seeds the seeds "
        f"themselves. IQM: mean of the middle half of the seeds, less moved by single runs than the mean ({_SOURCE}).",
        plots.interval_plot([line[:columns] for line in panels], title),
    )


def _interval_panel(task: TaskResult, name: str) -> Panel:
    arms = {arm.label: Estimates(arm.scores[name], arm.intervals[name]) for arm in task.arms.values()}
    return Panel(task.task, SCORES[name].capitalize(), arms)


def _improvement(measured: Measured, title: str) -> Drawing:
    panels = {
        name: {task.arms[arm].label: interval for arm, interval in task.improvement.items()}
        for name, task in measured.tasks.items()
        if task.improvement
    }
    if measured.across:
        label = f"Mean over all {len(measured.tasks)} tasks"
        panels[label] = {measured.labels[arm]: interval for arm, interval in measured.across.items()}
    reference = measured.labels[measured.reference].text
    return Drawing(
        "probability_of_improvement",
        "Probability of improvement",
        _alt(f"Probability of improvement over {reference}", measured),
        f"How often a run of the arm has a final return above that of a run of {reference}, over all pairs of runs; a "
        "tie counts one half. 0.5 (dashed): neither is ahead. Interval: 95 % bootstrap, from 5 seeds on. It says how "
        f"often, not by how much ({_SOURCE}).",
        plots.improvement_plot(panels, f"P(run above {reference})", title),
    )


def _profiles(measured: Measured, title: str) -> Drawing:
    panels = {
        name: {task.arms[arm].label: profile for arm, profile in task.profiles.items()}
        for name, task in measured.tasks.items()
    }
    return Drawing(
        "performance_profiles",
        "Performance profiles",
        _alt("Share of the runs above every return", measured),
        "For every return, the share of an arm's runs whose final return is above it. The whole distribution over "
        "seeds is seen: where a line drops, runs ended. Band: 95 % bootstrap interval at each return on its own, from "
        f"5 seeds on ({_SOURCE}).",
        plots.performance_profiles(panels, "Final return", title),
        more=True,
    )


def _sweep(measured: Measured, key: str, values: Mapping[str, float], title: str) -> Drawing:
    panels = {}
    for name, task in measured.tasks.items():
        arms = [arm for arm in values if arm in task.arms]
        if arms:
            results = [task.arms[arm] for arm in arms]
            intervals = [result.intervals["final"].get("mean") for result in results]
            x = np.array([values[arm] for arm in arms], dtype=np.float64)
            panels[name] = SweepLine(x, [result.scores["final"] for result in results], intervals)
    unknown = [arm for arm in values if arm not in measured.labels]
    if not panels:
        raise ValueError(f"sweep over {key!r}: none of {', '.join(unknown)} is an arm with results.")
    return Drawing(
        f"sweep_{key}",
        f"Final return against {key}",
        _alt(f"Final return against {key}", measured),
        f"Mean final return over seeds with its 95 % bootstrap interval, for arms that differ in {key}; below 5 seeds "
        "the seeds themselves, not joined.",
        plots.sweep_plot(panels, SWEEP_AXES.get(key, key), "Final return", title),
    )


def _thresholds(measured: Measured, title: str) -> Drawing:
    panels = {
        f"{name}: a return of {number(task.threshold or 0.0)}": {
            task.arms[arm].label: Watched(reached, int(task.arms[arm].data.env_steps_per_agent[-1]))
            for arm, reached in task.reached.items()
        }
        for name, task in measured.tasks.items()
        if any(reached.reached.any() for reached in task.reached.values())
    }
    return Drawing(
        "steps_to_threshold",
        "Steps to a threshold",
        _alt("Share of the seeds that reached a return, against steps", measured),
        "Share of the seeds whose evaluation had reached the return by then (Kaplan-Meier). Seeds that never reach it "
        "are kept: they count as not yet there, and the line ends below 1.",
        plots.threshold_plot(panels, title, measured.alone),
    )


def _trust(measured: Measured, title: str) -> Drawing:
    panels = {
        f"{task}: {measured.labels[arm].text}": weights
        for task, arms in measured.trust.items()
        for arm, weights in arms.items()
    }
    return Drawing(
        "trust",
        "Whom agents trust",
        f"Weights that agents give to each other at the end of training. {'; '.join(panels)}.",
        "Row i: how agent i divides a weight of 1 among the values of all agents, its own on the diagonal, by how well "
        "they predict its targets (trust by TD error). The last weights of each run, mean over seeds. What the whole "
        "counts beside the agent's own value is kappa.",
        plots.trust_plot(panels, title),
    )


def _times(measured: Measured, tasks: Mapping[str, TaskResult], title: str) -> Drawing:
    curves = [arm.curve for task in tasks.values() for arm in task.arms.values()]
    longest = max(curve.cpu[-1] for curve in curves if curve.cpu is not None)
    unit, seconds = next(((u, s) for u, s in (("h", 3600.0), ("min", 60.0)) if longest >= 3 * s), ("s", 1.0))
    axes: plots.curves.Axes = {f"CPU time of training [{unit}]": lambda curve: np.asarray(curve.cpu) / seconds}
    return Drawing(
        "return_against_time",
        "Return against CPU time",
        f"Return against CPU time of a run. {', '.join(tasks)}.",
        "The learning curves again, against the mean CPU time over seeds at which an evaluation came. Evaluations are "
        "not counted. A team trains on more data per step. Time on the clock depends on what else the machine did, and "
        "is in the tables only.",
        plots.small_multiples(_panels(tasks), measured.labels[measured.reference], lambda arms: axes, "Return", title),
        more=True,
    )
