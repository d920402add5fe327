"""MAPTF and DVM over EPyMARL's learners."""

from marl_pr_common.moved import forward

__getattr__ = forward(__name__, "table")
