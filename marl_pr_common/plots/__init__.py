"""Figures: learning curves, interval plots, profiles, probability of improvement, sweeps, time and thresholds.

Each module draws one kind of figure from small arrays that :mod:`marl_pr_common.stats` has computed.
"""

from marl_pr_common.plots.curves import learning_curves, spread
from marl_pr_common.plots.improvement import Improvement, improvement_plot
from marl_pr_common.plots.intervals import Row, interval_plot
from marl_pr_common.plots.profiles import Profile, performance_profiles
from marl_pr_common.plots.style import (
    DASHES,
    MARKERS,
    MIN_SEEDS_FOR_INTERVAL,
    OKABE_ITO,
    save_figure,
    step_label,
)
from marl_pr_common.plots.sweeps import SweepLine, sweep_plot
from marl_pr_common.plots.threshold import Reached, threshold_plot
from marl_pr_common.plots.wall_clock import TimedCurve, return_against_time

__all__ = [
    "DASHES",
    "MARKERS",
    "MIN_SEEDS_FOR_INTERVAL",
    "OKABE_ITO",
    "Improvement",
    "Profile",
    "Reached",
    "Row",
    "SweepLine",
    "TimedCurve",
    "improvement_plot",
    "interval_plot",
    "learning_curves",
    "performance_profiles",
    "return_against_time",
    "save_figure",
    "spread",
    "step_label",
    "sweep_plot",
    "threshold_plot",
]
