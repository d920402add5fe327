"""Figures claim what the number of seeds carries, and no more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import FillBetweenPolyCollection

from marl_pr_common.report import label_arms
from marl_pr_common.report.figures import learning_curves, save_figure, step_label
from marl_pr_common.report.figures.style import MUTED
from marl_pr_common.report.numbers import two, verdict
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


@pytest.mark.parametrize(("points", "drawn"), [((0, 200), "marker"), ((0, 100, 200), "line")])
@pytest.mark.parametrize("n_seeds", [2, 5])
def test_a_line_needs_three_evaluations(make_results, points, drawn, n_seeds):
    figure = learning_curves(make_results(far_ahead, n_seeds, steps=points), np.random.default_rng(0))
    looks = {(line.get_marker() not in ("", "None"), line.get_linestyle() != "None") for line in figure.axes[0].lines}
    assert looks == {(drawn == "marker", drawn == "line")}


def test_every_arm_stands_alone_against_the_reference_in_grey(make_results):
    results = make_results(far_ahead, 5, arms=("td3_independent", "td3_pr", "td3_shared_replay"))
    figure = learning_curves(results, np.random.default_rng(0))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["td3_pr", "td3_shared_replay"]  # all of one size
    for axes in figure.axes:
        reference, arm = axes.get_lines()
        assert reference.get_color() == MUTED != arm.get_color()
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["td3_independent (reference)"]


def test_step_labels():
    assert [step_label(steps) for steps in (0, 500, 2500, 1_000_000)] == ["0", "500", "2.5k", "1M"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(-281.3, "-280"), (0.0, "0"), (3.96, "4.0"), (0.0451, "0.045"), (1234.0, "1,200"), (99.6, "100"), (-9.96, "-10")],
)
def test_two_significant_digits(value, text):
    assert two(value) == text


def test_every_upstream_arm_has_its_controls():
    for family in ("td3", "ddpg"):
        names = {name for name in ARMS if name.startswith(family)}
        suffixes = ["", "_independent", "_shared_replay", "_own_critics", "_random_peer", "_noise", "_all_steps"]
        suffixes += ["_pr", "_pr_shared_replay", "_pr_trust", "_pr_one_voice"]
        assert names == {family + suffix for suffix in suffixes}
