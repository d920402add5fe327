"""Figures: learning curves, interval plots, profiles, probability of improvement, sweeps, thresholds and trust.

Each module draws one kind of figure from small arrays that :mod:`marl_pr_common.results.stats` has computed.
"""

from marl_pr_common.report.figures.curves import Curve, learning_curves, small_multiples, step_axes, with_interval
from marl_pr_common.report.figures.improvement import improvement_plot
from marl_pr_common.report.figures.intervals import Estimates, Panel, interval_plot
from marl_pr_common.report.figures.profiles import performance_profiles
from marl_pr_common.report.figures.style import DASHES, OKABE_ITO, WIDTH, ArmLabel, save_figure, step_label
from marl_pr_common.report.figures.sweeps import SweepLine, sweep_plot
from marl_pr_common.report.figures.threshold import Watched, kaplan_meier, threshold_plot
from marl_pr_common.report.figures.trust import trust_plot

__all__ = [
    "DASHES",
    "OKABE_ITO",
    "WIDTH",
    "ArmLabel",
    "Curve",
    "Estimates",
    "Panel",
    "SweepLine",
    "Watched",
    "improvement_plot",
    "interval_plot",
    "kaplan_meier",
    "learning_curves",
    "performance_profiles",
    "save_figure",
    "small_multiples",
    "step_axes",
    "step_label",
    "sweep_plot",
    "threshold_plot",
    "trust_plot",
    "with_interval",
]
