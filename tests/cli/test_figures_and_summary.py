"""Figures and texts claim what the number of seeds carries, and no more."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import FillBetweenPolyCollection

from marl_pr_common.arms import ARMS, arm_labels
from marl_pr_common.plots import learning_curves, save_figure, spread, step_label
from marl_pr_common.stats import paired_difference
from marl_pr_common.summary import summarise, verdict

RANKING = re.compile(r"\b(better|worse|higher|lower|beats|outperform\w*|faster|improve\w*)\b")


def far_ahead(arm, seed, agent, steps):
    return (steps if arm == "td3_pr" else 0.1 * steps) + seed + 0.1 * agent


def no_difference(arm, seed, agent, steps):
    sign = 1 if arm == "td3_pr" else -1
    return steps + (-1) ** seed * sign * 5.0


def write(results, **kwargs):
    return summarise(results, np.random.default_rng(0), **kwargs)


@pytest.mark.parametrize("n_seeds", [1, 4, 5, 9])
def test_below_ten_seeds_nothing_is_ranked(make_results, n_seeds):
    text = write(make_results(far_ahead, n_seeds))
    assert not RANKING.search(text)
    assert "too few to rank" in text


def test_below_five_seeds_there_are_points_and_no_interval(make_results):
    row = next(line for line in write(make_results(far_ahead, 3)).splitlines() if line.startswith("| `td3_pr`"))
    assert "200.1, 201.1, 202.1" in row
    assert "[" not in row
    assert re.search(r"202\.1 \[\d+", write(make_results(far_ahead, 5)))


def test_from_ten_seeds_a_difference_is_stated_with_its_interval(make_results):
    text = write(make_results(far_ahead, 10))
    assert re.search(r"final return, `td3_pr` minus `td3`, 10 seeds: \+180\.1 \[.*higher", text)
    assert "(`td3_pr` used 600 env steps in total, `td3` 200.)" in text


def test_from_ten_seeds_no_difference_is_stated_as_plainly(make_results):
    text = write(make_results(no_difference, 10))
    assert text.count("interval contains 0, no difference shown") == 2
    assert not RANKING.search(text)


def test_verdict_names_the_sign():
    rng = np.random.default_rng(0)
    ahead = np.arange(1.0, 11.0)
    assert "higher" in verdict(paired_difference(ahead, 0.0 * ahead, rng))
    assert "lower" in verdict(paired_difference(0.0 * ahead, ahead, rng))
    assert "no difference shown" in verdict(paired_difference(ahead, ahead[::-1], rng))


def test_summary_names_task_engine_budgets_seeds_and_notes(make_results):
    results = make_results(far_ahead, 5)
    text = write(results, labels=arm_labels(results), notes=["Cell x failed."])
    for expected in (
        *("Pendulum-v1", "stable-baselines3 2.9.2", "TD3PR, 3 agents", "(0, 1, 2, 3, 4)", "Cell x failed."),
        *("200 env steps per agent, 600 in total per seed", "do not have the same total budget"),
    ):
        assert expected in text


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


def test_every_task_has_its_own_row_and_section(make_results):
    first = make_results(far_ahead, 5)
    results = pd.concat([first, first.assign(task="Hopper-v5")])
    assert len(learning_curves(results, np.random.default_rng(0)).axes) == 4
    assert "# td3 / td3_pr on Hopper-v5" in write(results)


def test_figure_files_name_task_engine_seeds_and_arms_and_are_reproducible(make_results, tmp_path):
    results = make_results(far_ahead, 5)
    contents = []
    for name in ("a", "b"):
        figure = learning_curves(results, np.random.default_rng(0), arm_labels(results))
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
        suffixes = ("", "_pr", "_independent", "_shared_replay", "_pr_shared_replay", "_own_critics")
        assert names == {family + suffix for suffix in suffixes}
