"""Predator-prey and cooperative navigation, on mpe2 and on JaxMARL's particles."""

from marl_pr_common.moved import forward

__getattr__ = forward(__name__, "task")
