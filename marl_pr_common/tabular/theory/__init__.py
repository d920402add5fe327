"""Figures 2 and 3 of the paper, made again; Figure 4 is a study. ``run_figure`` is the whole interface."""

from marl_pr_common.tabular.theory.run import FigureConfig, run_figure

__all__ = ["FigureConfig", "run_figure"]
