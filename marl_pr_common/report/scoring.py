"""One number per seed, and what is estimated from it: the rules of how many seeds a statement needs, applied."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from marl_pr_common.config.arrays import Floats
from marl_pr_common.results.stats import (
    MIN_SEEDS_FOR_DIFFERENCE,
    MIN_SEEDS_FOR_INTERVAL,
    Difference,
    Interval,
    TeamCurves,
    area_under_curve,
    compare_pairs,
    iqm,
    mean,
    probability_of_improvement,
)
from marl_pr_common.results.stats.bootstrap import quantiles, stratified_draws

SCORES = {"final": "final return", "area": "area under the curve"}
STEPS = "steps"
DIFFERENCES = {**SCORES, STEPS: "env steps per agent to the threshold"}
"""What arms are told apart by. A seed that never reaches the threshold counts with its whole budget."""
DIFFERENCES_ALONE = {**SCORES, STEPS: "env steps to the threshold"}
"""The same where no run has more than one agent."""
N_RESAMPLES = 10_000
"""Of single numbers."""
NO_INTERVAL = (float("nan"), float("nan"))
"""Ends of an interval that too few seeds carry."""
Scored = Mapping[str, Floats]
"""final, area -> (n_seeds,); no area with a single evaluation."""


def median_of_seeds(values: Floats) -> Floats:
    """Mean over tasks of the median over seeds. (``stats.median`` is rliable's, the median over tasks.)

    :param values: (..., n_seeds, n_tasks)
    """
    return np.asarray(np.median(values, axis=-2).mean(axis=-1))


ESTIMATES = {"mean": mean, "median over seeds": median_of_seeds, "IQM": iqm}


def scores_of(data: TeamCurves) -> Scored:
    """Final return and area under the curve of every seed; the area needs two evaluations."""
    scored = {"final": data.curves[:, -1]}
    if len(data.env_steps_per_agent) > 1:
        scored["area"] = area_under_curve(data.env_steps_per_agent, data.curves)
    return scored


def equal_per_agent(one: TeamCurves, other: TeamCurves) -> bool:
    """Whether agents of two arms took the same number of steps, but for less than an evaluation's distance; arms that
    may be compared and did not took the same number in total."""
    ends = [int(curves.env_steps_per_agent[-1]) for curves in (one, other)]
    gaps = [np.median(np.diff(curves.env_steps_per_agent, prepend=0)) for curves in (one, other)]
    return bool(abs(ends[0] - ends[1]) < max(1.0, min(gaps)))


def estimates(scores: Floats, rng: np.random.Generator) -> dict[str, Interval]:
    """Mean, median and IQM with intervals; nothing below five seeds.

    :param scores: (n_seeds,)
    """
    if len(scores) < MIN_SEEDS_FOR_INTERVAL:
        return {}
    table = scores[:, None]
    # the same resamples for all three, and sorted: medians of sorted rows cost little
    resampled = np.concatenate(
        [np.sort(scores[rows], axis=1) for (rows,) in stratified_draws([len(scores)], 1, rng, N_RESAMPLES)]
    )
    found = {}
    for name, statistic in ESTIMATES.items():
        low, high = quantiles(statistic(resampled), 0.95)
        found[name] = Interval(float(statistic(table)), float(low), float(high))
    return found


def improvement(scores: Floats, reference: Floats, rng: np.random.Generator) -> Interval:
    """:func:`probability_of_improvement`, without ends below five seeds.

    :param scores: (n_seeds, n_tasks)
    :param reference: (m_seeds, n_tasks)
    """
    interval = probability_of_improvement(scores, reference, rng)
    enough = min(len(scores), len(reference)) >= MIN_SEEDS_FOR_INTERVAL
    return interval if enough else Interval(interval.value, *NO_INTERVAL)


def differences(
    arms: Mapping[str, tuple[TeamCurves, Scored]], reference: str | None, rng: np.random.Generator
) -> dict[tuple[str, str], Difference]:
    """Every arm minus the reference, seed by seed, where they share ten seeds or more; one family for Holm.

    :param arms: with the keys of ``DIFFERENCES`` that are known
    """
    if reference is None:
        return {}
    pairs = {}
    base, base_scores = arms[reference]
    for arm, (data, scored) in arms.items():
        common, mine, theirs = np.intersect1d(data.seeds, base.seeds, return_indices=True)
        if arm != reference and len(common) >= MIN_SEEDS_FOR_DIFFERENCE:
            for name in (key for key in DIFFERENCES if key in scored and key in base_scores):
                pairs[arm, name] = (scored[name][mine], base_scores[name][theirs])
    return compare_pairs(pairs, rng) if pairs else {}
