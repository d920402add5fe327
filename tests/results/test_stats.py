"""Statistics over seeds: the team is the unit, the interval is the percentile bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from marl_pr_common.results.stats import (
    area_under_curve,
    mean_interval,
    paired_difference,
    team_curves,
)


def test_interval_agrees_with_scipys_percentile_bootstrap():
    scores = np.random.default_rng(3).normal(size=12)
    mean, *ours = mean_interval(scores, np.random.default_rng(0), n_resamples=50_000)
    theirs = scipy.stats.bootstrap(
        (scores,), np.mean, n_resamples=50_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert mean == pytest.approx(scores.mean())
    # resampling noise of a 2.5 % quantile: 0.006 at this standard error of 0.44
    np.testing.assert_allclose(ours, theirs, atol=0.03)


def test_interval_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        _, low, high = mean_interval(rng.normal(size=20), rng, n_resamples=1000)
        hits += low <= 0.0 <= high
    assert 0.88 <= hits / 300 <= 0.98


def test_a_curve_has_an_interval_at_every_point():
    scores = np.stack([np.arange(4.0) + seed for seed in range(6)])
    mean, low, high = mean_interval(scores, np.random.default_rng(0))
    np.testing.assert_allclose(mean, [2.5, 3.5, 4.5, 5.5])
    assert low.shape == high.shape == (4,)
    assert np.all(low < mean)
    assert np.all(mean < high)
    # the same seeds are drawn for all points of a curve
    np.testing.assert_allclose(np.diff(low), 1.0)


def test_the_same_generator_gives_the_same_interval_and_no_global_state_is_used():
    scores = np.arange(5.0)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (mean_interval(scores, np.random.default_rng(7)) for _ in range(2))
    assert first == second
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_pairing_removes_what_the_seeds_have_in_common():
    rng = np.random.default_rng(0)
    common = 100.0 * rng.normal(size=12)
    difference = paired_difference(common + 1.0 + 0.1 * rng.normal(size=12), common, rng)
    assert difference.low > 0.8
    assert difference.high < 1.2


def test_area_is_the_mean_height():
    steps = np.array([0, 100, 400])
    assert area_under_curve(steps, np.array([[5.0, 5.0, 5.0]])) == pytest.approx([5.0])
    # trapezoids: 100 * 1 + 300 * 2 = 700 over 400
    assert area_under_curve(steps, np.array([0.0, 2.0, 2.0])) == pytest.approx(1.75)


def test_agents_are_averaged_before_seeds(make_results):
    results = make_results(lambda arm, seed, agent, steps: 100.0 * seed + agent + steps, n_seeds=2)
    team = team_curves(results, "td3_pr", "Pendulum-v1")
    np.testing.assert_allclose(team.curves, [[1.0, 101.0, 201.0], [101.0, 201.0, 301.0]])
    assert team.n_agents == 3
    assert list(team.total_env_steps) == [0, 300, 600]
    assert list(team_curves(results, "td3", "Pendulum-v1").total_env_steps) == [0, 100, 200]


def test_points_that_a_seed_lacks_are_left_out_for_all(make_results):
    results = make_results(lambda arm, seed, agent, steps: float(steps), n_seeds=2)
    shorter = results[~((results["seed"] == 1) & (results["env_steps_per_agent"] == 200))]
    assert list(team_curves(shorter, "td3", "Pendulum-v1").env_steps_per_agent) == [0, 100]
    disjoint = results[(results["seed"] == 0) == (results["env_steps_per_agent"] == 0)]
    with pytest.raises(ValueError, match="seed 1 begins at 100, seed 0 ends at 0"):
        team_curves(disjoint, "td3", "Pendulum-v1")


def test_a_diverged_run_is_an_error_and_not_a_smaller_mean(make_results):
    def curve(arm, seed, agent, steps):
        return np.nan if (arm, seed, agent) == ("td3_pr", 1, 2) else 1.0

    with pytest.raises(ValueError, match=r"not finite in td3_pr-seed1"):
        team_curves(make_results(curve, n_seeds=2), "td3_pr", "Pendulum-v1")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: mean_interval(np.array([]), rng), "at least one seed"),
        (lambda rng: mean_interval(np.array([1.0, np.inf]), rng), "not finite"),
        (lambda rng: mean_interval(np.ones(3), rng, level=95), r"\(0, 1\)"),
        (lambda rng: paired_difference(np.ones(3), np.ones(4), rng), "seed by seed"),
        (lambda rng: area_under_curve(np.array([0]), np.array([1.0])), ">= 2"),
        (lambda rng: area_under_curve(np.array([0, 0]), np.array([1.0, 1.0])), "must increase"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0))
