"""Figures claim what the number of seeds carries, and no more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import FillBetweenPolyCollection

from marl_pr_common.report import label_arms
from marl_pr_common.report.figures import learning_curves, save_figure, spread, step_label
from marl_pr_common.report.numbers import verdict
from marl_pr_common.results.stats import paired_difference
from sb3_pr.study.host import ARMS

NAMES = {"td3": "TD3", "td3_pr": "TD3PR"}


def far_ahead(arm, seed, agent, steps):
    return (steps if arm == "td3_pr" else 0.1 * steps) + seed + 0.1 * agent


def test_verdict_names_the_sign():
    rng = np.random.default_rng(0)
    ahead = np.arange(1.0, 11.0)
    assert "higher" in verdict(paired_difference(ahead, 0.0 * ahead, rng))
    assert "lower" in verdict(paired_difference(0.0 * ahead, ahead, rng))
    assert "no difference shown" in verdict(paired_difference(ahead, ahead[::-1], rng))


def bands(axes):
    return [item for item in axes.collections if isinstance(item, FillBetweenPolyCollection)]


@pytest.mark.parametrize(("n_seeds", "n_bands", "n_lines"), [(4, 0, 8), (5, 2, 2)])
def test_figure_has_intervals_from_five_seeds_on(make_results, n_seeds, n_bands, n_lines):
    figure = learning_curves(make_results(far_ahead, n_seeds), np.random.default_rng(0))
    for axes in figure.axes:
        assert len(bands(axes)) == n_bands
        assert len(axes.get_lines()) == n_lines


def test_panels_count_steps_of_one_agent_and_of_all(make_results):
    figure = learning_curves(make_results(far_ahead, 5), np.random.default_rng(0))
    left, right = figure.axes
    assert [line.get_xdata()[-1] for line in left.get_lines()] == [200, 200]
    assert [line.get_xdata()[-1] for line in right.get_lines()] == [200, 600]
    heights = [band.get_paths()[0].vertices[:, 1] for axes in (left, right) for band in bands(axes)]
    np.testing.assert_array_equal(heights[:2], heights[2:])
    np.testing.assert_allclose(left.get_lines()[1].get_ydata(), [2.1, 102.1, 202.1])


def test_every_task_has_its_own_row(make_results):
    first = make_results(far_ahead, 5)
    results = pd.concat([first, first.assign(task="Hopper-v5")])
    assert len(learning_curves(results, np.random.default_rng(0)).axes) == 4


def test_figure_files_name_task_engine_seeds_and_arms_and_are_reproducible(make_results, tmp_path):
    results = make_results(far_ahead, 5)
    contents = []
    for name in ("a", "b"):
        figure = learning_curves(results, np.random.default_rng(0), label_arms(results, NAMES))
        png, svg = save_figure(figure, tmp_path / name)
        assert png.read_bytes().startswith(b"\x89PNG")
        contents.append(svg.read_text())
    for expected in ("Pendulum-v1", "stable-baselines3 2.9.2", "5 seeds", "TD3PR, 3 agents", "TD3, 1 agent"):
        assert expected in contents[0]
    assert contents[0] == contents[1]


@given(
    st.lists(st.floats(-1, 2), min_size=1, max_size=8),
    st.lists(st.floats(0.01, 0.12), min_size=8, max_size=8),
)
def test_labels_never_overlap_and_stay_inside(wanted, heights):
    heights = np.array(heights[: len(wanted)])
    centres = spread(np.array(wanted), heights)
    order = np.argsort(centres, kind="stable")
    low, high = centres - heights / 2, centres + heights / 2
    assert np.all(low[order][1:] - high[order][:-1] >= -1e-9)
    assert low.min() >= -1e-9
    assert high.max() <= 1 + 1e-9


def test_labels_with_room_stay_where_they_are():
    np.testing.assert_allclose(spread(np.array([0.7, 0.2]), np.array([0.1, 0.1])), [0.7, 0.2])


def test_step_labels():
    assert [step_label(steps) for steps in (0, 500, 2500, 1_000_000)] == ["0", "500", "2.5k", "1M"]


def test_every_upstream_arm_has_its_controls():
    for family in ("td3", "ddpg"):
        names = {name for name in ARMS if name.startswith(family)}
        suffixes = ["", "_independent", "_shared_replay", "_own_critics", "_random_peer", "_noise", "_all_steps"]
        suffixes += ["_pr", "_pr_shared_replay", "_pr_trust", "_pr_one_voice"]
        assert names == {family + suffix for suffix in suffixes}
