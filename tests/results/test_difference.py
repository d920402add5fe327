"""The decision "different or not": exact, in one with its interval, and calibrated on scores that are not normal."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from marl_pr_common.results.stats import bootstrap_means, compare_pairs, paired_difference

REPETITIONS, SEEDS, ALLOWED = 300, 10, 0.07
DISTRIBUTIONS = {
    "heavy tails": lambda rng, n: rng.standard_t(2, n),
    "skewed": lambda rng, n: rng.lognormal(0.0, 1.5, n),
    "bimodal: a third of the seeds fails": lambda rng, n: np.where(rng.random(n) < 0.3, 0, 1000) + rng.normal(0, 20, n),
    "few values": lambda rng, n: rng.integers(0, 3, n).astype(float),
    "normal": lambda rng, n: rng.normal(size=n),
}


@pytest.mark.parametrize("n_seeds", [6, 10, 13])
def test_p_value_is_scipys_exact_permutation_test(n_seeds):
    rng = np.random.default_rng(n_seeds)
    ours, theirs = rng.normal(size=n_seeds) + 0.5, rng.normal(size=n_seeds)
    expected = scipy.stats.permutation_test(
        (ours - theirs,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert paired_difference(ours, theirs, rng).p_value == pytest.approx(expected)


@pytest.mark.parametrize("n_seeds", [10, 20])
def test_the_interval_holds_exactly_the_shifts_that_are_not_rejected(n_seeds):
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(size=n_seeds), rng.normal(size=n_seeds)
    found = paired_difference(ours, theirs, np.random.default_rng(0))
    assert found.low < found.value < found.high
    step = 1e-6
    for shift, inside in (
        *((found.low + step, True), (found.high - step, True)),
        *((found.low - step, False), (found.high + step, False)),
    ):
        shifted = paired_difference(ours - shift, theirs, np.random.default_rng(0))
        assert (shifted.p_value > 0.05) is inside
        assert shifted.different is not inside


def test_sampled_signs_agree_with_all_of_them(monkeypatch):
    rng = np.random.default_rng(2)
    ours, theirs = rng.normal(size=14) + 0.6, rng.normal(size=14)
    exact = paired_difference(ours, theirs, rng)
    monkeypatch.setattr("marl_pr_common.results.stats.difference.MAX_EXACT", 10)
    sampled = paired_difference(ours, theirs, rng)
    assert sampled.p_value == pytest.approx(exact.p_value, abs=0.005)
    np.testing.assert_allclose([sampled.low, sampled.high], [exact.low, exact.high], atol=0.05)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_an_algorithm_is_not_different_from_itself(name, capsys):
    rng, found = np.random.default_rng(0), 0
    for _ in range(REPETITIONS):
        ours, theirs = DISTRIBUTIONS[name](rng, SEEDS), DISTRIBUTIONS[name](rng, SEEDS)
        found += paired_difference(ours, theirs, rng).different
    with capsys.disabled():
        print(f"\n{name}: different from itself in {found} of {REPETITIONS} ({found / REPETITIONS:.1%})", end=" ")  # noqa: T201
    assert found / REPETITIONS <= ALLOWED


def test_this_check_would_catch_the_percentile_bootstrap():
    rng, found = np.random.default_rng(0), 0
    for _ in range(REPETITIONS):
        low, high = np.quantile(bootstrap_means(rng.normal(size=SEEDS), rng, 2_000), [0.025, 0.975])
        found += not low <= 0.0 <= high
    assert found / REPETITIONS > ALLOWED


def test_of_many_comparisons_of_an_algorithm_with_itself_few_have_any_finding():
    rng, found = np.random.default_rng(0), 0
    for _ in range(REPETITIONS):
        pairs = {name: (rng.normal(size=SEEDS), rng.normal(size=SEEDS)) for name in range(6)}
        found += any(difference.different for difference in compare_pairs(pairs, rng).values())
    assert found / REPETITIONS <= ALLOWED


def test_a_real_difference_is_found():
    rng, found = np.random.default_rng(0), 0
    for _ in range(100):
        common = 5.0 * rng.normal(size=SEEDS)
        ours, theirs = (common + shift + rng.normal(size=SEEDS) for shift in (1.5, 0.0))
        found += paired_difference(ours, theirs, rng).different
    assert found >= 70


def test_words_p_values_and_intervals_are_one_in_a_family():
    rng = np.random.default_rng(4)
    seen = set()
    for _ in range(200):
        pairs = {name: (rng.normal(size=SEEDS) + name / 3, rng.normal(size=SEEDS)) for name in range(5)}
        family = compare_pairs(pairs, rng)
        assert list(family) == list(pairs)
        p_values = [found.p_value for found in family.values()]
        for found in family.values():
            assert found.different == (found.p_holm <= 0.05)
            assert found.p_value <= found.p_holm <= min(1.0, 5 * found.p_value) or found.p_holm >= max(p_values[:1])
            assert 0.95 <= found.level <= 0.99
        seen.add(sum(found.different for found in family.values()))
    assert len(seen) >= 4


def test_holms_adjustment_by_hand(monkeypatch):
    by_name = {"a": 0.01, "b": 0.04, "c": 0.03}
    monkeypatch.setattr("marl_pr_common.results.stats.difference._p_value", lambda means: by_name[NAMES[len(means)]])
    rng = np.random.default_rng(0)
    pairs = {name: (rng.normal(size=n), rng.normal(size=n)) for name, n in (("a", 6), ("b", 7), ("c", 8))}
    found = compare_pairs(pairs, rng)
    assert {name: found[name].p_holm for name in found} == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


NAMES = {2**6 - 1: "a", 2**7 - 1: "b", 2**8 - 1: "c"}


def test_so_few_seeds_that_nothing_could_be_found_have_no_bounds():
    found = paired_difference(np.arange(5.0) + 1, np.zeros(5), np.random.default_rng(0))
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert not found.different


def test_equal_scores_are_not_different():
    found = paired_difference(np.ones(10), np.ones(10), np.random.default_rng(0))
    assert (found.value, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
