"""Are two arms different? Decided seed by seed with an exact test, and an interval that cannot contradict it.

Test: if the arms do not differ, each seed's difference is as likely to be d as -d. All 2^n signs give the exact
distribution of the mean: a paired sign-flip permutation test, two-sided. The percentile bootstrap, by contrast, calls
an algorithm different from itself in about one of ten comparisons at 10 seeds.

Interval: the shifts that the test does not reject. A sign-flip p-value at shift m counts the subsets of the seeds
whose mean difference is on one side of m, so the ends are order statistics of the means of all subsets (Hartigan
1969, "Using subsample values as typical values"). It contains 0 exactly if the test finds no difference.

Several comparisons: Holm's procedure, which keeps the chance of any false finding among them below 1 - level. Each
interval then has the level at which Holm tested that comparison, so words, p-values and intervals stay one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from marl_pr_common.config.arrays import Floats
from marl_pr_common.results.stats.bootstrap import check_level

MAX_EXACT = 16
"""Up to so many seeds all signs are tried; beyond, a random sample of them, which is still a valid test."""
_N_SAMPLED = 1 << MAX_EXACT
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Difference:
    """Mean over seeds of one arm minus another."""

    value: float
    low: float
    """-inf with so few seeds that no result could be significant."""
    high: float
    level: float
    """Coverage of [low, high]: that asked for, or higher where several comparisons share it."""
    p_value: float
    """Two-sided, of this comparison alone."""
    p_holm: float
    """Adjusted for all comparisons made together; equal to ``p_value`` if it is the only one."""
    n_seeds: int

    @property
    def different(self) -> bool:
        """Whether the interval does not contain 0, which is whether Holm's adjusted p-value is at most 1 - level."""
        return not self.low <= 0.0 <= self.high


def paired_difference(scores: Floats, reference: Floats, rng: np.random.Generator, level: float = 0.95) -> Difference:
    """Mean over seeds of ``scores - reference``, whether it is different from 0, and the interval that says so.

    :param scores: (n_seeds,)
    :param reference: (n_seeds,) the same seeds in the same order
    :param rng: source of the signs with more than ``MAX_EXACT`` seeds; not used below
    :param level: 1 - the chance to call an algorithm different from itself
    :raises ValueError: if shapes differ, there is no seed, or a score is not finite
    """
    return compare_pairs({"only": (scores, reference)}, rng, level)["only"]


def compare_pairs(
    pairs: Mapping[Name, tuple[Floats, Floats]], rng: np.random.Generator, level: float = 0.95
) -> dict[Name, Difference]:
    """:func:`paired_difference` of several pairs that are told to a reader together, by Holm's procedure.

    :param pairs: name -> scores and reference, each (n_seeds,), seed by seed
    :param level: 1 - the chance that any comparison of an algorithm with itself among them is called different
    """
    check_level(level)
    differences = {name: _checked(*pair) for name, pair in pairs.items()}
    means = {name: _subset_means(array, rng) for name, array in differences.items()}
    alone = {name: _p_value(array) for name, array in means.items()}
    order = sorted(alone, key=lambda name: alone[name])
    found: dict[Name, Difference] = {}
    adjusted, rejected = 0.0, 0
    for rank, name in enumerate(order):
        adjusted = max(adjusted, min(1.0, (len(order) - rank) * alone[name]))
        own_level = 1.0 - (1.0 - level) / (len(order) - rejected)
        difference = _difference(differences[name], means[name], own_level)
        found[name] = replace(difference, p_holm=adjusted)
        # Holm stops at the first comparison that is not significant: later ones are read at its level.
        rejected += found[name].different and rejected == rank
    return {name: found[name] for name in pairs}


def _checked(scores: Floats, reference: Floats) -> Floats:
    if scores.shape != reference.shape or scores.ndim != 1 or len(scores) == 0:
        raise ValueError(f"shapes {scores.shape} and {reference.shape}: expected two of (n_seeds,), seed by seed.")
    difference = scores - reference
    if not np.all(np.isfinite(difference)):
        raise ValueError("scores hold a value that is not finite; a mean over seeds would hide a diverged run.")
    return difference


def _subset_means(difference: Floats, rng: np.random.Generator) -> Floats:
    """Means over subsets of the seeds, sorted: of all but the empty one, or of random ones.

    :param difference: (n_seeds,)
    """
    n = len(difference)
    if n <= MAX_EXACT:
        sums, counts = np.zeros(1), np.zeros(1)
        for value in difference:
            sums, counts = np.concatenate([sums, sums + value]), np.concatenate([counts, counts + 1.0])
        sums, counts = sums[1:], counts[1:]
    else:
        chosen = rng.integers(0, 2, size=(_N_SAMPLED - 1, n)).astype(np.float64)
        chosen[chosen.sum(axis=1) == 0.0] = 1.0
        sums, counts = chosen @ difference, chosen.sum(axis=1)
    means = sums / counts
    means[np.abs(means) <= 1e-12 * np.max(np.abs(difference))] = 0.0  # what is 0 but for rounding
    return np.sort(means)


def _p_value(means: Floats) -> float:
    """Two-sided: twice the part of the signs, the given one included, that is at least as far on the smaller side."""
    smaller = min(np.count_nonzero(means <= 0.0), np.count_nonzero(means >= 0.0))
    return float(min(1.0, 2.0 * (1 + smaller) / (len(means) + 1)))


def _difference(difference: Floats, means: Floats, level: float) -> Difference:
    # rejected are the k lowest and the k highest means: 2 k / (n + 1) <= 1 - level
    k = int(np.floor((len(means) + 1) * (1.0 - level) / 2.0 + 1e-9))
    low, high = (means[k - 1], means[-k]) if k > 0 else (-np.inf, np.inf)
    p = _p_value(means)
    return Difference(float(difference.mean()), float(low), float(high), level, p, p, len(difference))
