"""A comparison in words: what was run on what budget, what came out, and no claim that the seeds cannot carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marl_pr_common.stats import (
    MIN_SEEDS_FOR_DIFFERENCE,
    MIN_SEEDS_FOR_INTERVAL,
    Difference,
    Floats,
    Interval,
    TeamCurves,
    area_under_curve,
    compare_pairs,
    scalar_interval,
    team_curves,
)


@dataclass(frozen=True)
class ArmScores:
    """The numbers of one arm on one task."""

    arm: str
    label: str
    curves: TeamCurves
    final: Floats
    """(n_seeds,) return at the last evaluation, mean over the team's agents"""
    area: Floats
    """(n_seeds,) mean height of the learning curve over training"""


def score(
    results: pd.DataFrame, arm: str, task: str, label: str | None = None, metric: str = "eval/return"
) -> ArmScores:
    """Final return and area under the curve of every seed of one arm."""
    curves = team_curves(results, arm, task, metric)
    label = label or f"{arm}, {curves.n_agents} agent{'s' if curves.n_agents > 1 else ''}"
    area = area_under_curve(curves.env_steps_per_agent, curves.curves)
    return ArmScores(arm, label, curves, curves.curves[:, -1], area)


def summarise(
    results: pd.DataFrame,
    rng: np.random.Generator,
    labels: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    metric: str = "eval/return",
) -> str:
    """Markdown text about every task in ``results``.

    :param results: table in the schema of ``runs``; an arm's order is that of its first row, the first arm is the
        reference of the differences
    :param rng: source of the bootstrap resamples
    :param labels: arm -> what it is, in a few words
    :param notes: lines for the end, for instance cells that failed
    """
    parts: list[str] = []
    for task in dict.fromkeys(results["task"]):
        here = results[results["task"] == task]
        arms = [score(here, arm, task, (labels or {}).get(arm), metric) for arm in dict.fromkeys(here["arm"])]
        parts += [f"# {' / '.join(arm.arm for arm in arms)} on {task}", ""]
        parts += [*_setting(here, task, arms), "", *_table(arms, rng), "", *_conclusion(arms, rng), ""]
    if notes:
        parts += ["## Notes", "", *(f"- {note}" for note in notes), ""]
    return "\n".join(parts)


def _setting(results: pd.DataFrame, task: str, arms: Sequence[ArmScores]) -> list[str]:
    lines = [f"- Task: {task}. Engine: {', '.join(dict.fromkeys(results['engine']))}."]
    if known := [words for words in dict.fromkeys(results["evaluation"]) if words]:
        lines.append(f"- Evaluation: {'; '.join(known)}.")
    for arm in arms:
        seeds = ", ".join(str(seed) for seed in arm.curves.seeds)
        per_agent, total = arm.curves.env_steps_per_agent[-1], span(arm.curves.last_totals)
        lines.append(
            f"- `{arm.arm}`: {arm.label}; {per_agent:,} env steps per agent, {total} in total per seed; "
            f"{_seeds(len(arm.curves.seeds))} ({seeds})."
        )
    totals = {int(arm.curves.total_env_steps[-1]) for arm in arms}
    if len(totals) > 1:
        lines.append(
            "- The arms do not have the same total budget: equal steps per agent are more steps for a team. "
            "Read both panels of the figure."
        )
    return lines


def _table(arms: Sequence[ArmScores], rng: np.random.Generator) -> list[str]:
    lines = ["| arm | env steps per agent | in total | final return | area under the curve |", "|---|---|---|---|---|"]
    for arm in arms:
        steps = f"{arm.curves.env_steps_per_agent[-1]:,} | {span(arm.curves.last_totals)}"
        lines.append(f"| `{arm.arm}` | {steps} | {_cell(arm.final, rng)} | {_cell(arm.area, rng)} |")
    enough = min(len(arm.final) for arm in arms) >= MIN_SEEDS_FOR_INTERVAL
    numbers = (
        "mean over seeds [95 % percentile bootstrap interval of the mean]"
        if enough
        else f"one value per seed where there are fewer than {MIN_SEEDS_FOR_INTERVAL} seeds, else mean [95 % interval]"
    )
    return [
        *lines,
        "",
        f"Numbers: {numbers}. The unit is the seed: agents of a team are averaged first. Final return: the last "
        "evaluation. Area under the curve: over env steps per agent, divided by their number, so it is the mean "
        "return over training.",
    ]


def _cell(scores: Floats, rng: np.random.Generator) -> str:
    if len(scores) < MIN_SEEDS_FOR_INTERVAL:
        return ", ".join(number(value) for value in scores)
    return _text(scalar_interval(scores, rng))


def _conclusion(arms: Sequence[ArmScores], rng: np.random.Generator) -> list[str]:
    lines = ["## What this shows", ""]
    if len(arms) < 2:
        return [*lines, "One arm alone compares nothing."]
    fewest = min(len(arm.final) for arm in arms)
    if fewest < MIN_SEEDS_FOR_DIFFERENCE:
        return [
            *lines,
            f"{_seeds(fewest)}: too few to rank the arms. The numbers above say how far each arm came and how much "
            f"seeds differ, not which arm is ahead. From {MIN_SEEDS_FOR_DIFFERENCE} seeds on this text gives the "
            "difference of the arms, seed by seed, with its interval.",
        ]
    reference = arms[0]
    for arm in arms[1:]:
        lines += _pairing(arm, reference)
    pairs = {key: pair for arm in arms[1:] for key, pair in _pairs(arm, reference).items()}
    found = compare_pairs(pairs, rng)
    for (name, which), difference in found.items():
        lines.append(f"- {which}, `{name}` minus `{reference.arm}`, {difference.n_seeds} seeds: {verdict(difference)}")
    for arm in arms[1:]:
        lines += _budgets(arm, reference)
    return [*lines, "", _how_decided(len(found))] if found else lines


def _pairs(arm: ArmScores, reference: ArmScores) -> dict[tuple[str, str], tuple[Floats, Floats]]:
    """(arm, score) -> the scores of both, over the seeds that both have; nothing if these are too few."""
    common, mine, theirs = np.intersect1d(arm.curves.seeds, reference.curves.seeds, return_indices=True)
    if len(common) < MIN_SEEDS_FOR_DIFFERENCE:
        return {}
    return {
        (arm.arm, "final return"): (arm.final[mine], reference.final[theirs]),
        (arm.arm, "area under the curve"): (arm.area[mine], reference.area[theirs]),
    }


def _pairing(arm: ArmScores, reference: ArmScores) -> list[str]:
    common = np.intersect1d(arm.curves.seeds, reference.curves.seeds)
    if len(common) >= MIN_SEEDS_FOR_DIFFERENCE:
        return []
    return [
        f"- `{arm.arm}` and `{reference.arm}` share {_seeds(len(common))}, fewer than {MIN_SEEDS_FOR_DIFFERENCE}: "
        "no difference is computed."
    ]


def _budgets(arm: ArmScores, reference: ArmScores) -> list[str]:
    ours, theirs = span(arm.curves.last_totals), span(reference.curves.last_totals)
    if ours == theirs:
        return []
    return [f"- (`{arm.arm}` used {ours} env steps in total, `{reference.arm}` {theirs}.)"]


def span(values: Iterable[int]) -> str:
    """Numbers as one number, or as a range: 600, or 600 to 1,800."""
    found = sorted({int(value) for value in values})
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


def _how_decided(n_comparisons: int) -> str:
    text = (
        "Each difference is taken seed by seed. A paired sign-flip permutation test decides (exact up to 16 seeds), at "
        "5 %; the interval holds the shifts that it does not reject."
    )
    if n_comparisons > 1:
        text += (
            f" {n_comparisons} differences are told here: p is adjusted for that by Holm's procedure, and each "
            "interval has the level at which Holm's procedure tested it, so they are wider than 95 % ones."
        )
    return text


def verdict(difference: Difference) -> str:
    """A paired difference in words, stated plainly either way."""
    text = f"{difference.value:+.4g} [{difference.low:+.4g}, {difference.high:+.4g}], p = {difference.p_holm:.2g}"
    if not difference.different:
        return f"{text}: interval contains 0, no difference shown."
    return f"{text}: {'higher' if difference.low > 0.0 else 'lower'}, interval does not contain 0."


def number(value: float) -> str:
    """A return with the digits that a reader can use: -1203, -123.4, 0.567."""
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _text(interval: Interval) -> str:
    return f"{number(interval.value)} [{number(interval.low)}, {number(interval.high)}]"


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"
