"""Scores of many tasks as one number, with a stratified bootstrap interval; names and axes as in rliable.

Values of different tasks are only worth adding up if they have a common scale: normalise them first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from marl_pr_common.config.arrays import Floats
from marl_pr_common.results.stats.bootstrap import Interval, check_level, quantiles, stratified_draws
from marl_pr_common.results.stats.scores import Scores, check_scores

Statistic = Callable[[Floats], Floats]
"""(..., n_seeds, n_tasks) -> (...)."""


def mean(values: Floats) -> Floats:
    """Mean over tasks of the mean over seeds.

    :param values: (..., n_seeds, n_tasks)
    :return: (...)
    """
    return np.asarray(values.mean(axis=-2).mean(axis=-1))


def median(values: Floats) -> Floats:
    """Median over tasks of the mean over seeds.

    :param values: (..., n_seeds, n_tasks)
    :return: (...)
    """
    return np.asarray(np.median(values.mean(axis=-2), axis=-1))


def iqm(values: Floats) -> Floats:
    """Interquartile mean: the mean of the middle half of all runs of all tasks.

    A quarter of the runs, rounded down, is cut off at either end, as ``scipy.stats.trim_mean`` does.

    :param values: (..., n_seeds, n_tasks)
    :return: (...)
    """
    flat = values.reshape(*values.shape[:-2], -1)
    n = flat.shape[-1]
    k = n // 4
    return np.asarray(np.partition(flat, [k, n - k - 1], axis=-1)[..., k : n - k].mean(axis=-1))


def optimality_gap(values: Floats, optimum: float = 1.0) -> Floats:
    """How far runs stay below ``optimum`` on average; what is above it counts as having reached it.

    :param values: (..., n_seeds, n_tasks)
    :return: (...)
    """
    return np.asarray(optimum - np.minimum(values, optimum).mean(axis=(-2, -1)))


STATISTICS: dict[str, Statistic] = {"mean": mean, "median": median, "IQM": iqm}
"""Those that need no optimum."""


def aggregate(
    values: Scores | Floats,
    statistic: Statistic,
    rng: np.random.Generator,
    level: float = 0.95,
    n_resamples: int = 10_000,
) -> Interval:
    """A statistic of all runs with its stratified percentile bootstrap interval.

    The seeds of each task are drawn with replacement and independently of the other tasks, as rliable does.

    :param values: (n_seeds, n_tasks)
    :param statistic: one of this module, or any function (..., n_seeds, n_tasks) -> (...)
    :param rng: source of the resamples
    :param level: coverage of the interval, in (0, 1)
    :raises ValueError: if the shape is another, or a value is not finite
    """
    check_level(level)
    array = values.values if isinstance(values, Scores) else np.asarray(values, dtype=np.float64)
    check_scores(array)
    n_seeds, n_tasks = array.shape
    columns = np.arange(n_tasks)
    draws = stratified_draws([n_seeds], n_tasks, rng, n_resamples)
    low, high = quantiles(np.concatenate([statistic(array[rows, columns]) for (rows,) in draws]), level)
    return Interval(float(statistic(array)), float(low), float(high))
