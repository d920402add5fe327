"""rliable computes the same numbers; driven by the same resamples, the same intervals."""

from __future__ import annotations

import importlib.util
import sys
import types

import numpy as np
import pytest

from marl_pr_common.results.stats import (
    aggregate,
    iqm,
    mean,
    median,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
)
from marl_pr_common.results.stats.bootstrap import stratified_draws

N_RESAMPLES = 200
STATISTICS = {"mean": mean, "median": median, "iqm": iqm, "optimality_gap": optimality_gap}
TAUS = np.linspace(-2.0, 3.0, 41)


@pytest.fixture(scope="module")
def library():
    """rliable.library on arch's bootstrap alone: the rest of arch, which rliable does not use, breaks with pandas 3."""
    pytest.importorskip("absl", reason="rliable needs absl-py")
    for name in ("arch", "rliable"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install --no-deps -c constraints.txt --group rliable")
    package = types.ModuleType("arch")
    package.__path__ = list(importlib.util.find_spec("arch").submodule_search_locations)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "arch", package)
        from rliable import library

        yield library


@pytest.fixture
def metrics(library):
    from rliable import metrics

    return metrics


def tables(n_seeds: int, n_tasks: int, m_seeds: int):
    """Scores of two arms, rounded so that some are equal."""
    rng = np.random.default_rng([n_seeds, n_tasks])
    return np.round(rng.standard_t(2, (n_seeds, n_tasks)), 1), np.round(rng.normal(0.3, 1, (m_seeds, n_tasks)), 1)


SHAPES = [(10, 1, 10), (10, 6, 10), (5, 3, 8), (13, 4, 7), (3, 12, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_point_values_are_rliables(library, metrics, shape):
    ours, theirs = tables(*shape)
    rng = np.random.default_rng(0)
    for name, statistic in STATISTICS.items():
        expected = getattr(metrics, f"aggregate_{name}")(ours)
        assert float(statistic(ours)) == pytest.approx(expected, abs=1e-9)
    for first, second in ((ours, theirs), (theirs, ours), (ours, ours.copy())):
        expected = metrics.probability_of_improvement(first, second)
        assert probability_of_improvement(first, second, rng).value == pytest.approx(expected, abs=1e-9)
    profile = performance_profile(ours, TAUS, rng)
    np.testing.assert_allclose(profile.value, library.score_distributions(ours, TAUS), atol=1e-9, rtol=0)


def same_draws(monkeypatch, library, rng, *shapes):
    """Let rliable's bootstraps take the places that ours draw from ``rng``."""
    n_tasks = shapes[0][1]
    batches = stratified_draws([shape[0] for shape in shapes], n_tasks, rng, N_RESAMPLES)
    places = iter([rows for batch in batches for rows in zip(*batch, strict=True)])
    strata = np.arange(n_tasks)[None, :]
    monkeypatch.setattr(library.StratifiedBootstrap, "update_indices", lambda self: (next(places)[0], strata))
    monkeypatch.setattr(
        library.StratifiedIndependentBootstrap,
        "update_indices",
        lambda self: ([(rows, strata) for rows in next(places)], {}),
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", STATISTICS)
def test_intervals_of_aggregates_are_rliables_on_the_same_resamples(library, metrics, monkeypatch, shape, name):
    ours, _ = tables(*shape)
    found = aggregate(ours, STATISTICS[name], np.random.default_rng(0), n_resamples=N_RESAMPLES)
    same_draws(monkeypatch, library, np.random.default_rng(0), ours.shape)
    value, interval = library.get_interval_estimates(
        {"x": ours}, lambda scores: np.array([getattr(metrics, f"aggregate_{name}")(scores)]), reps=N_RESAMPLES
    )
    assert found.value == pytest.approx(value["x"][0], abs=1e-9)
    np.testing.assert_allclose([found.low, found.high], interval["x"][:, 0], atol=1e-9, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.few(2)
def test_interval_of_improvement_is_rliables_on_the_same_resamples(library, metrics, monkeypatch, shape):
    ours, theirs = tables(*shape)
    found = probability_of_improvement(ours, theirs, np.random.default_rng(0), n_resamples=N_RESAMPLES)
    same_draws(monkeypatch, library, np.random.default_rng(0), ours.shape, theirs.shape)
    _, interval = library.get_interval_estimates(
        {"x": [ours, theirs]}, lambda *pair: np.array([metrics.probability_of_improvement(*pair)]), reps=N_RESAMPLES
    )
    np.testing.assert_allclose([found.low, found.high], interval["x"][:, 0], atol=1e-9, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_band_of_a_profile_is_rliables_on_the_same_resamples(library, monkeypatch, shape):
    ours, _ = tables(*shape)
    found = performance_profile(ours, TAUS, np.random.default_rng(0), n_resamples=N_RESAMPLES)
    same_draws(monkeypatch, library, np.random.default_rng(0), ours.shape)
    _, bands = library.create_performance_profile({"x": ours}, TAUS, reps=N_RESAMPLES)
    np.testing.assert_allclose([found.low, found.high], bands["x"], atol=1e-9, rtol=0)


def test_rliables_own_resamples_give_the_same_interval_but_for_simulation_error(library, metrics):
    ours, _ = tables(10, 6, 10)
    found = aggregate(ours, iqm, np.random.default_rng(0), n_resamples=20_000)
    np.random.seed(0)  # noqa: NPY002  rliable draws from the global generator
    _, interval = library.get_interval_estimates(
        {"x": ours}, lambda scores: np.array([metrics.aggregate_iqm(scores)]), reps=5_000
    )
    # a 2.5 % quantile of 5,000 resamples: 0.04 of the interval's width
    np.testing.assert_allclose([found.low, found.high], interval["x"][:, 0], atol=0.04 * (found.high - found.low))
