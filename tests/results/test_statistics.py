"""Aggregates, profiles, improvement, thresholds: values by hand, intervals against scipy, shapes that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from marl_pr_common.results.stats import (
    STATISTICS,
    Scores,
    TeamCurves,
    aggregate,
    fraction_reached,
    iqm,
    levels,
    mean,
    median,
    median_steps,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    steps_to_threshold,
)
from marl_pr_common.results.stats.thresholds import _weighted_medians


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_aggregates_by_hand():
    values = np.array([[1.0, 10.0, 0.0], [3.0, 30.0, 0.0], [5.0, 50.0, 60.0], [7.0, 70.0, 60.0]])
    assert mean(values) == pytest.approx((4 + 40 + 30) / 3)
    assert median(values) == pytest.approx(30)
    # sorted: 0 0 1 | 3 5 7 10 30 50 | 60 60 70
    assert iqm(values) == pytest.approx((3 + 5 + 7 + 10 + 30 + 50) / 6)
    assert optimality_gap(values, optimum=10.0) == pytest.approx(10 - (16 + 40 + 20) / 12)


@pytest.mark.parametrize("name", STATISTICS)
def test_intervals_hold_the_value_shrink_with_seeds_and_follow_the_generator(name):
    statistic = STATISTICS[name]
    values = rng().normal(size=(80, 3))
    few, many = aggregate(values[:10], statistic, rng()), aggregate(values, statistic, rng())
    assert few.low < few.value < few.high
    assert many.high - many.low < 0.6 * (few.high - few.low)
    assert few == aggregate(values[:10], statistic, rng())


def test_one_tasks_mean_has_scipys_bootstrap_interval():
    values = rng(3).normal(size=(12, 1))
    ours = aggregate(values, mean, rng(), n_resamples=50_000)
    theirs = scipy.stats.bootstrap(
        (values[:, 0],), np.mean, n_resamples=50_000, method="percentile", rng=rng(1)
    ).confidence_interval
    np.testing.assert_allclose([ours.low, ours.high], theirs, atol=0.03)


def test_large_tables_are_resampled_in_parts_with_the_same_result(monkeypatch):
    values = rng().normal(size=(10, 4))
    # the parts only change how the generator's numbers are asked for, not which they are
    whole = aggregate(values, mean, rng())
    monkeypatch.setattr("marl_pr_common.results.stats.bootstrap._CELLS_AT_ONCE", 4_000)
    assert aggregate(values, mean, rng()) == pytest.approx(whole)


def test_probability_of_improvement_by_hand():
    ours, theirs = np.array([[1.0], [2.0], [3.0]]), np.array([[0.0], [2.0]])
    # 1 > 0, 2 > 0, 2 = 2, 3 > 0, 3 > 2 of six pairs
    assert probability_of_improvement(ours, theirs, rng()).value == pytest.approx(4.5 / 6)
    assert probability_of_improvement(theirs, ours, rng()).value == pytest.approx(1.5 / 6)
    assert probability_of_improvement(ours, ours, rng()).value == 0.5


def test_pairs_of_seeds_see_what_all_pairs_do_not():
    base = 100.0 * rng().normal(size=(12, 2))
    paired = probability_of_improvement(base + 1.0, base, rng(), paired=True)
    assert tuple(paired) == (1.0, 1.0, 1.0)
    free = probability_of_improvement(base + 1.0, base, rng())
    assert free.low < 0.5 < free.high
    few, many = (Scores(name, ("a", "b"), np.arange(n), base[:n]) for name, n in (("x", 7), ("y", 12)))
    assert probability_of_improvement(few, many, rng(), paired=True).value == 0.5


def test_a_profile_falls_from_one_to_zero_inside_its_band():
    values = rng().normal(size=(10, 3))
    profile = performance_profile(values, np.append(levels(values), values.min() - 1.0), rng())
    assert profile.value[-1] == profile.low[-1] == 1.0
    assert profile.value[-2] == profile.high[-2] == 0.0
    assert np.all(np.diff(profile.value[:-1]) <= 0)
    assert np.all((profile.low <= profile.value) & (profile.value <= profile.high))
    assert profile.value[50] == np.mean(values > profile.taus[50])


def curves(*rows: list[float]) -> TeamCurves:
    steps = 100 * np.arange(len(rows[0]))
    return TeamCurves(np.arange(len(rows)), steps, 3 * steps, np.array(rows, dtype=np.float64), 3)


def test_seeds_that_never_arrive_are_censored_at_the_budget():
    found = steps_to_threshold(curves([0, 5, 9], [0, 0, 5], [0, 0, 4], [6, 0, 0]), 5.0)
    np.testing.assert_array_equal(found.reached, [True, True, False, True])
    np.testing.assert_array_equal(found.env_steps_per_agent, [100, 200, 200, 0])
    np.testing.assert_array_equal(found.total_env_steps, [300, 600, 600, 0])
    assert fraction_reached(found.reached).value == 0.75
    low, high = fraction_reached(found.reached)[1:]
    assert 0.2 < low < 0.75 < high < 1.0


def test_the_median_counts_censored_seeds():
    steps = np.array([100.0, 200.0, 300.0, 400.0, 400.0, 400.0, 400.0])
    reached = np.array([True, True, True, False, False, False, False])
    assert median_steps(steps, reached, rng()).value == np.inf  # three of seven: dropping the others would say 200
    reached[3] = True
    found = median_steps(steps, reached, rng())
    assert found.value == 400
    assert found.low == 200
    assert found.high == np.inf


def test_resampled_medians_are_kaplan_and_meiers():
    generator = rng()
    for _ in range(200):
        n = int(generator.integers(1, 12))
        steps, reached = 100.0 * generator.integers(1, 6, n), generator.random(n) < 0.6
        drawn = generator.integers(n, size=(20, n))
        counts = np.stack([np.bincount(row, minlength=n) for row in drawn])
        expected = [median_steps(steps[row], reached[row], rng(), n_resamples=1).value for row in drawn]
        np.testing.assert_array_equal(_weighted_medians(steps, reached, counts), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: aggregate(np.zeros(3), mean, rng()), r"shape \(3,\): expected \(n_seeds, n_tasks\)"),
        (lambda: aggregate(np.array([[1.0, np.nan]]), mean, rng()), "not finite"),
        (lambda: aggregate(np.zeros((3, 2)), mean, rng(), level=95), r"\(0, 1\)"),
        (lambda: probability_of_improvement(np.zeros((3, 2)), np.zeros((3, 1)), rng()), "equal n_tasks"),
        (lambda: probability_of_improvement(np.zeros((3, 2)), np.zeros((4, 2)), rng(), paired=True), "the same"),
        (lambda: performance_profile(np.zeros((0, 2)), [0.0], rng()), "at least one"),
        (lambda: steps_to_threshold(curves([0, 1]), np.nan), "finite return"),
        (lambda: median_steps(np.zeros(3), np.ones(2, dtype=bool), rng()), r"two of \(n_seeds,\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_other_tasks_or_seeds_are_refused():
    ours = Scores("x", ("a", "b"), np.arange(3), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="in one order"):
        probability_of_improvement(ours, Scores("y", ("b", "a"), np.arange(3), np.zeros((3, 2))), rng())
    with pytest.raises(ValueError, match="share no seed"):
        probability_of_improvement(ours, Scores("y", ("a", "b"), np.arange(3, 6), np.zeros((3, 2))), rng(), paired=True)
    with pytest.raises(TypeError, match="one of each"):
        probability_of_improvement(ours, np.zeros((3, 2)), rng())
