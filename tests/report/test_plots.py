"""Each figure draws the numbers that it is given: lines, intervals, names, and nothing that too few seeds carry."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection

from marl_pr_common.report import ReportContext
from marl_pr_common.report import figures as plots
from marl_pr_common.report.build import build
from marl_pr_common.report.figures import ArmLabel, Estimates, Panel, SweepLine, Watched
from marl_pr_common.report.figures.style import arm_style
from marl_pr_common.results.stats import Interval, Reached, performance_profile
from marl_pr_common.tabular.theory.figures import COLOURS
from tests.report.tables import study

RNG = np.random.default_rng(0)
FIRST, SECOND = ArmLabel("TD3, 1 agent", 0), ArmLabel("TD3PR, 3 agents", 1)


def lines(axes, **wanted):
    """Lines of an axes whose properties are as wanted, for instance marker="o"."""
    return [line for line in axes.get_lines() if all(getattr(line, f"get_{k}")() == v for k, v in wanted.items())]


def bands(axes):
    return [item for item in axes.collections if isinstance(item, FillBetweenPolyCollection)]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_no_two_arms_look_alike_and_the_palette_is_one():
    assert len({(arm_style(i).color, arm_style(i).marker) for i in range(49)}) == 49
    assert len({(arm_style(i).color, arm_style(i).dash) for i in range(28)}) == 28
    assert sorted(COLOURS) == sorted(plots.OKABE_ITO)


def test_intervals_are_drawn_where_they_are():
    estimates = {"mean": Interval(1.0, 0.5, 1.5), "IQM": Interval(2.0, 1.0, 3.0)}
    panel = Panel("Pendulum-v1", "Final return", {FIRST: Estimates(np.arange(5.0), estimates)})
    figure = plots.interval_plot([[panel]], "5 seeds")
    axes = figure.axes[0]
    ranges = [tuple(line.get_xdata()) for line in lines(axes, marker="None")]
    assert ranges == [(0.5, 1.5), (1.0, 3.0)]
    points = [line for line in axes.get_lines() if line.get_marker() != "None"]
    assert [float(line.get_xdata()[0]) for line in points] == [1.0, 2.0]
    assert points[0].get_markerfacecolor() != points[1].get_markerfacecolor()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["TD3, 1 agent"]
    assert legend(figure) == ["mean", "IQM"]


def test_below_five_seeds_only_the_seeds_are_drawn():
    panel = Panel("Pendulum-v1", "Final return", {SECOND: Estimates(np.array([3.0, 4.0]))})
    figure = plots.interval_plot([[panel]], "2 seeds")
    (line,) = figure.axes[0].get_lines()
    assert list(line.get_xdata()) == [3.0, 4.0]
    assert line.get_linestyle() == "None"
    assert legend(figure) == ["one point per seed"]


def test_profiles_are_those_that_were_computed():
    scores = RNG.normal(size=(10, 1))
    profile = performance_profile(scores, np.linspace(-2, 2, 9), np.random.default_rng(0))
    few = profile._replace(low=np.full(9, np.nan), high=np.full(9, np.nan))
    figure = plots.performance_profiles({"Hopper-v5": {FIRST: profile, SECOND: few}}, "Final return", "10 seeds")
    axes = figure.axes[0]
    first, second = axes.get_lines()
    np.testing.assert_array_equal(first.get_ydata(), [(scores > tau).mean() for tau in profile.taus])
    assert first.get_drawstyle() == "steps-post"
    assert first.get_marker() != second.get_marker()
    top = bands(axes)[0].get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(profile.high.max())
    assert all(not path.vertices.size for path in bands(axes)[1].get_paths())


def test_improvement_stands_beside_the_line_at_one_half():
    nan = float("nan")
    panels = {"Hopper-v5": {FIRST: Interval(0.75, 0.5, 0.9), SECOND: Interval(0.4, nan, nan)}}
    axes = plots.improvement_plot(panels, "P(run above TD3)", "10 seeds").axes[0]
    (half,) = lines(axes, linestyle="--")
    assert set(half.get_xdata()) == {0.5}
    (point,) = lines(axes, marker=FIRST.style.marker)
    assert float(point.get_xdata()[0]) == 0.75
    spans = [line for line in lines(axes, marker="None", linestyle="-") if np.isfinite(line.get_xdata()).all()]
    assert [tuple(line.get_xdata()) for line in spans] == [(0.5, 0.9)]


def test_a_sweep_is_joined_in_order_of_the_setting_if_there_are_seeds_enough():
    scores = [np.full(5, 3.0), np.full(5, 1.0)]
    intervals = [Interval(3.0, 2.0, 4.0), Interval(1.0, 0.0, 2.0)]
    line = SweepLine(np.array([0.5, 0.0]), scores, intervals)
    joined = plots.sweep_plot({"Hopper-v5": line}, "kappa", "Final return", "5 seeds").axes[0]
    first = joined.get_lines()[0]
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([0.0, 0.5], [1.0, 3.0])
    assert [tick.get_text() for tick in joined.get_xticklabels()] == ["0", "0.5"]
    alone = SweepLine(np.array([0.5, 0.0]), [np.array([3.0, 4.0]), np.array([1.0, 2.0])], [None, None])
    axes = plots.sweep_plot({"Hopper-v5": alone}, "kappa", "Final return", "2 seeds").axes[0]
    assert [list(line.get_ydata()) for line in axes.get_lines()] == [[1.0, 2.0], [3.0, 4.0]]
    assert all(line.get_linestyle() == "None" for line in axes.get_lines())


def test_cpu_time_has_a_unit_that_suits_it_and_the_clock_is_no_figure():
    results = study(2, tasks=["Pendulum-v1"])
    later = results.assign(cpu_time=results["env_steps_per_agent"] * 2.0, wall_time=1e6)
    found = {drawing.name: drawing.figure for drawing in build(later, ReportContext()).drawings}
    axes = found["return_against_time"].axes
    assert {place.get_xlabel() for place in axes} == {"CPU time of training [min]"}
    assert all(line.get_xdata()[-1] == 10.0 for place in axes for line in place.get_lines())


def test_seeds_that_never_reach_a_threshold_keep_its_line_below_one():
    steps = np.array([100.0, 300.0, 300.0, 200.0])
    reached = Reached(5.0, np.arange(4), np.array([True, False, False, True]), steps, steps)
    figure = plots.threshold_plot({"Hopper-v5: 5": {FIRST: Watched(reached, 300)}}, "4 seeds")
    (line,) = figure.axes[0].get_lines()
    assert list(line.get_xdata()) == [0.0, 100.0, 200.0, 300.0]
    np.testing.assert_allclose(line.get_ydata(), [0.0, 0.25, 0.5, 0.5])
    at_once = Reached(5.0, np.arange(2), np.array([True, True]), np.zeros(2), np.zeros(2))
    assert [list(part) for part in plots.kaplan_meier(Watched(at_once, 300))] == [[0.0, 300.0], [1.0, 1.0]]


def test_files_keep_the_whole_name_and_text_as_text(tmp_path):
    panels = {"Hopper-v5": {FIRST: Interval(0.75, 0.5, 0.9)}}
    figure = plots.improvement_plot(panels, "P(run above TD3)", "10 seeds, 600 steps")
    png, svg = plots.save_figure(figure, tmp_path / "kappa-0.5")
    assert (png.name, svg.name) == ("kappa-0.5.png", "kappa-0.5.svg")
    text = " ".join(ElementTree.parse(svg).getroot().itertext())
    assert "10 seeds, 600 steps" in text
    assert "TD3, 1 agent" in text
    assert "Hopper-v5" in text
