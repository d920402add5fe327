"""Probability of improvement: how often a run of one arm scores above a run of another, mean over tasks.

As rliable defines it: Mann-Whitney's U over the number of pairs of runs, equal scores count one half. It says how
often, not by how much; 0.5 is no difference.
"""

from __future__ import annotations

import numpy as np

from marl_pr_common.config.arrays import Floats
from marl_pr_common.results.stats.bootstrap import Draws, Interval, check_level, counted, quantiles, stratified_draws
from marl_pr_common.results.stats.scores import Scores, check_scores


def wins(scores: Floats, reference: Floats) -> Floats:
    """1 where a run of ``scores`` is above a run of ``reference`` on the same task, 1/2 where equal, else 0.

    :param scores: (n_seeds, n_tasks)
    :param reference: (m_seeds, n_tasks)
    :return: (n_seeds, m_seeds, n_tasks)
    """
    difference = scores[:, None, :] - reference[None, :, :]
    return np.asarray((np.sign(difference) + 1.0) / 2.0)


def probability_of_improvement(
    scores: Scores | Floats,
    reference: Scores | Floats,
    rng: np.random.Generator,
    paired: bool = False,
    level: float = 0.95,
    n_resamples: int = 10_000,
) -> Interval:
    """P(a run of ``scores`` > a run of ``reference``), mean over tasks, with its stratified bootstrap interval.

    :param scores: (n_seeds, n_tasks)
    :param reference: (m_seeds, n_tasks), the same tasks in the same order
    :param paired: compare each seed with the same seed only, and resample pairs; both need the same seeds then (of
        two ``Scores`` those that both have are taken)
    :raises ValueError: if tasks, or for ``paired`` seeds, do not match, or a value is not finite
    """
    check_level(level)
    ours, theirs = _matched(scores, reference, paired)
    n_tasks = ours.shape[1]
    if paired:
        won = (np.sign(ours - theirs) + 1.0) / 2.0
        draws = stratified_draws([len(ours)], n_tasks, rng, n_resamples)
        parts = [won[rows, np.arange(n_tasks)].mean(axis=(1, 2)) for (rows,) in draws]
    else:
        won = wins(ours, theirs)
        both = stratified_draws([len(ours), len(theirs)], n_tasks, rng, n_resamples)
        parts = [_mean_wins(won, counted(rows), counted(others)) for rows, others in both]
    low, high = quantiles(np.concatenate(parts), level)
    return Interval(float(won.mean()), float(low), float(high))


def _mean_wins(won: Floats, rows: Draws, others: Draws) -> Floats:
    """Mean of ``won`` (n_seeds, m_seeds, n_tasks) with every run counted as often as it was drawn: (n_resamples,)."""
    by_reference = np.einsum("bnt,nmt->bmt", rows.astype(np.float64), won)
    return np.asarray((by_reference * others).sum(axis=(1, 2)) / won.size)


def _matched(scores: Scores | Floats, reference: Scores | Floats, paired: bool) -> tuple[Floats, Floats]:
    if isinstance(scores, Scores) and isinstance(reference, Scores):
        if scores.tasks != reference.tasks:
            raise ValueError(f"Tasks {scores.tasks} and {reference.tasks}: both arms need the same, in one order.")
        ours, theirs = scores.values, reference.values
        if paired:
            common, mine, others = np.intersect1d(scores.seeds, reference.seeds, return_indices=True)
            if len(common) == 0:
                raise ValueError(f"{scores.arm!r} and {reference.arm!r} share no seed: nothing can be paired.")
            ours, theirs = ours[mine], theirs[others]
    elif isinstance(scores, Scores) or isinstance(reference, Scores):
        raise TypeError("Give two Scores or two arrays, not one of each: tasks and seeds could not be checked.")
    else:
        ours, theirs = np.asarray(scores, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    check_scores(ours)
    check_scores(theirs)
    if ours.shape[1] != theirs.shape[1] or (paired and len(ours) != len(theirs)):
        expected = "the same (n_seeds, n_tasks)" if paired else "(n_seeds, n_tasks) with equal n_tasks"
        raise ValueError(f"Shapes {ours.shape} and {theirs.shape}: expected {expected}.")
    return ours, theirs
