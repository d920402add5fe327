"""Statistics over seeds as pure functions with an explicit generator. The unit is the seed, that is the team.

curves        learning curves of an arm, lined up over seeds; area under them; parts of them
alignment     steps at which the arms of a task are compared
scores        one number per seed and task
bootstrap     percentile intervals of a mean over seeds; stratified resampling over tasks
aggregate     mean, median, interquartile mean, optimality gap of all runs
improvement   probability that a run of one arm scores above a run of another
profiles      fraction of the runs above every level
thresholds    steps until a level is reached, with censoring
difference    is it different? an exact test, its interval, Holm's correction
limits        how many seeds a statement needs
"""

from marl_pr_common.config.arrays import Floats
from marl_pr_common.results.stats.aggregate import STATISTICS, aggregate, iqm, mean, median, optimality_gap
from marl_pr_common.results.stats.alignment import Aligned, aligned
from marl_pr_common.results.stats.bootstrap import Interval, bootstrap_means, mean_interval
from marl_pr_common.results.stats.curves import Axis, TeamCurves, area_under_curve, cut, team_curves
from marl_pr_common.results.stats.difference import Difference, compare_pairs, paired_difference
from marl_pr_common.results.stats.improvement import probability_of_improvement
from marl_pr_common.results.stats.limits import MIN_SEEDS_FOR_DIFFERENCE, MIN_SEEDS_FOR_INTERVAL
from marl_pr_common.results.stats.profiles import Profile, levels, performance_profile
from marl_pr_common.results.stats.scores import Scores, scores
from marl_pr_common.results.stats.thresholds import Reached, fraction_reached, median_steps, steps_to_threshold

__all__ = [
    "MIN_SEEDS_FOR_DIFFERENCE",
    "MIN_SEEDS_FOR_INTERVAL",
    "STATISTICS",
    "Aligned",
    "Axis",
    "Difference",
    "Floats",
    "Interval",
    "Profile",
    "Reached",
    "Scores",
    "TeamCurves",
    "aggregate",
    "aligned",
    "area_under_curve",
    "bootstrap_means",
    "compare_pairs",
    "cut",
    "fraction_reached",
    "iqm",
    "levels",
    "mean",
    "mean_interval",
    "median",
    "median_steps",
    "optimality_gap",
    "paired_difference",
    "performance_profile",
    "probability_of_improvement",
    "scores",
    "steps_to_threshold",
    "team_curves",
]
