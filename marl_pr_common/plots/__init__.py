"""Figures: learning curves, interval plots, profiles, probability of improvement, sweeps, time and thresholds.

Each module draws one kind of figure from small arrays that :mod:`marl_pr_common.stats` has computed.
"""

from marl_pr_common.plots.curves import Curve, draw_learning_curves, learning_curves, spread, with_interval
from marl_pr_common.plots.improvement import improvement_plot
from marl_pr_common.plots.intervals import Estimates, Panel, interval_plot
from marl_pr_common.plots.profiles import performance_profiles
from marl_pr_common.plots.style import (
    DASHES,
    MARKERS,
    OKABE_ITO,
    ArmLabel,
    save_figure,
    step_label,
)
from marl_pr_common.plots.sweeps import SweepLine, sweep_plot
from marl_pr_common.plots.threshold import Watched, kaplan_meier, threshold_plot
from marl_pr_common.plots.wall_clock import TimedCurve, return_against_time
from marl_pr_common.stats import MIN_SEEDS_FOR_INTERVAL

__all__ = [
    "DASHES",
    "MARKERS",
    "MIN_SEEDS_FOR_INTERVAL",
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
    "with_interval",
]
