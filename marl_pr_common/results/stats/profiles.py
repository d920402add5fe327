"""Performance profiles: which fraction of the runs scores above a level, for every level at once.

rliable's "score distribution": it shows the whole distribution over runs and tasks, where a mean shows one number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marl_pr_common.config.arrays import Floats
from marl_pr_common.results.stats.bootstrap import check_level, counted, quantiles, stratified_draws
from marl_pr_common.results.stats.scores import Scores, check_scores


class Profile(NamedTuple):
    """A profile with its pointwise bootstrap band; all arrays (n_levels,)."""

    taus: Floats
    value: Floats
    """Fraction of the runs with a score above ``taus``."""
    low: Floats
    high: Floats


def levels(*arms: Scores | Floats, n_levels: int = 101) -> Floats:
    """Evenly spaced levels from the lowest to the highest score of any arm: (n_levels,)."""
    arrays = [_values(arm) for arm in arms]
    return np.linspace(min(array.min() for array in arrays), max(array.max() for array in arrays), n_levels)


def performance_profile(
    values: Scores | Floats,
    taus: npt.ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
    n_resamples: int = 2_000,
) -> Profile:
    """Fraction of runs above each of ``taus``, with a stratified percentile bootstrap band.

    :param values: (n_seeds, n_tasks)
    :param taus: (n_levels,)
    :param level: coverage of the band at each level on its own, in (0, 1)
    :raises ValueError: if the shape is another, or a value is not finite
    """
    check_level(level)
    array, at = _values(values), np.atleast_1d(np.asarray(taus, dtype=np.float64))
    n_seeds, n_tasks = array.shape
    above = (array[:, :, None] > at).reshape(array.size, -1).astype(np.float64)
    draws = stratified_draws([n_seeds], n_tasks, rng, n_resamples)
    resampled = np.concatenate([counted(rows).reshape(len(rows), -1) @ above for (rows,) in draws])
    low, high = quantiles(resampled / array.size, level)
    return Profile(at, above.mean(axis=0), low, high)


def _values(values: Scores | Floats) -> Floats:
    array = values.values if isinstance(values, Scores) else np.asarray(values, dtype=np.float64)
    check_scores(array)
    return array
