"""A run's directory: its table of results, how far it is, what was run, its lock and its files."""

from marl_pr_common.moved import forward

__getattr__ = forward(__name__, "table")
