"""Figures: learning curves, interval plots, profiles, probability of improvement, sweeps, time, thresholds and trust.

Each module draws one kind of figure from small arrays that :mod:`marl_pr_common.results.stats` has computed.
"""

from marl_pr_common.report.figures.curves import Curve, draw_learning_curves, learning_curves, spread, with_interval
from marl_pr_common.report.figures.improvement import improvement_plot
from marl_pr_common.report.figures.intervals import Estimates, Panel, interval_plot
from marl_pr_common.report.figures.profiles import performance_profiles
from marl_pr_common.report.figures.style import DASHES, OKABE_ITO, ArmLabel, save_figure, step_label
from marl_pr_common.report.figures.sweeps import SweepLine, sweep_plot
from marl_pr_common.report.figures.threshold import Watched, kaplan_meier, threshold_plot
from marl_pr_common.report.figures.trust import trust_plot
from marl_pr_common.report.figures.wall_clock import TimedCurve, return_against_time

__all__ = [
    "DASHES",
    "OKABE_ITO",
    "ArmLabel",
    "Curve",
    "Estimates",
    "Panel",
    "SweepLine",
    "TimedCurve",
    "Watched",
    "draw_learning_curves",
    "improvement_plot",
    "interval_plot",
    "kaplan_meier",
    "learning_curves",
    "performance_profiles",
    "return_against_time",
    "save_figure",
    "spread",
    "step_label",
    "sweep_plot",
    "threshold_plot",
    "trust_plot",
    "with_interval",
]
