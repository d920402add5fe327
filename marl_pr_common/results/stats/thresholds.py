"""Steps until a learning curve reaches a level. Seeds that never reach it are censored at the budget, not dropped.

Dropping them would favour the arm that fails more often. Counted per agent and for all agents together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import CensoredData, binomtest, ecdf

from marl_pr_common.config.arrays import Flags, Floats
from marl_pr_common.results.stats.bootstrap import Interval, check_level
from marl_pr_common.results.stats.curves import TeamCurves


@dataclass(frozen=True)
class Reached:
    """When each seed first was at the level or above."""

    threshold: float
    seeds: npt.NDArray[np.int64]
    """(n_seeds,)"""
    reached: Flags
    """(n_seeds,) False: censored, the steps are those of the last evaluation."""
    env_steps_per_agent: Floats
    """(n_seeds,)"""
    total_env_steps: Floats
    """(n_seeds,)"""


def steps_to_threshold(curves: TeamCurves, threshold: float) -> Reached:
    """The first evaluation of each seed that is not below ``threshold``, in steps of one agent and of all.

    :raises ValueError: if ``threshold`` is not finite
    """
    if not np.isfinite(threshold):
        raise ValueError(f"threshold={threshold!r}: expected a finite return.")
    hit = curves.curves >= threshold
    reached = np.asarray(hit.any(axis=1))
    first = np.where(reached, hit.argmax(axis=1), curves.curves.shape[1] - 1)
    totals = curves.total_env_steps[first]
    if curves.total_of_seeds is not None:
        totals = curves.total_of_seeds[np.arange(len(first)), first]
    per_agent, total = curves.env_steps_per_agent[first].astype(np.float64), totals.astype(np.float64)
    return Reached(threshold, curves.seeds, reached, per_agent, total)


def median_steps(
    steps: Floats, reached: Flags, rng: np.random.Generator, level: float = 0.95, n_resamples: int = 10_000
) -> Interval:
    """Kaplan-Meier median of the steps with its percentile bootstrap interval over seeds.

    :param steps: (n_seeds,) steps to the threshold, or, where not reached, those that were watched in vain
    :param reached: (n_seeds,)
    :return: the smallest number of steps by which half of the seeds have reached it; infinite where fewer ever do
    :raises ValueError: if shapes differ or there is no seed
    """
    check_level(level)
    if steps.ndim != 1 or steps.shape != reached.shape or len(steps) == 0:
        raise ValueError(f"steps {steps.shape}, reached {reached.shape}: expected two of (n_seeds,), at least one.")
    curve = ecdf(CensoredData(uncensored=steps[reached], right=steps[~reached])).sf
    below = curve.probabilities <= 0.5 + _EPSILON
    value = float(curve.quantiles[below.argmax()]) if below.any() else np.inf
    n = len(steps)
    counts = rng.multinomial(n, np.full(n, 1.0 / n), size=n_resamples)
    medians = np.sort(_weighted_medians(steps, reached, counts))
    # method="nearest" does not interpolate, which between a number and infinity would give NaN
    low, high = np.quantile(medians, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], method="nearest")
    return Interval(value, float(low), float(high))


_EPSILON = 1e-12


def _weighted_medians(steps: Floats, reached: Flags, counts: npt.NDArray[np.integer]) -> Floats:
    """The same median with seeds counted several times; of many resamples at once, for which ``ecdf`` is too slow.

    :param counts: (n_resamples, n_seeds)
    :return: (n_resamples,)
    """
    order = np.lexsort((~reached, steps))  # of equal steps those that reached it come first: they were at risk
    steps, events, weights = steps[order], reached[order], counts[:, order].astype(np.float64)
    at_risk = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    survival = np.cumprod(1.0 - np.where(events, weights, 0.0) / np.maximum(at_risk, 1.0), axis=1)
    below = (survival <= 0.5 + _EPSILON) & events
    return np.where(below.any(axis=1), steps[below.argmax(axis=1)], np.inf)


def fraction_reached(reached: Flags, level: float = 0.95) -> Interval:
    """Which part of the seeds reached the threshold within the budget, with Wilson's interval.

    :param reached: (n_seeds,)
    """
    check_level(level)
    low, high = binomtest(int(reached.sum()), len(reached)).proportion_ci(level, method="wilson")
    return Interval(float(reached.mean()), float(low), float(high))
