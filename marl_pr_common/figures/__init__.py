"""Figures 2, 3 and 4 of the paper, made again; and the demo's figure. ``run_figure`` is the whole interface."""

from marl_pr_common.figures.command import FigureConfig, run_figure
from marl_pr_common.figures.navigation_demo import DemoResult, run_navigation_demo, show_navigation_demo

__all__ = ["DemoResult", "FigureConfig", "run_figure", "run_navigation_demo", "show_navigation_demo"]
