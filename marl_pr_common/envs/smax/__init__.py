"""StarCraft's battles on JaxMARL's SMAX."""

from marl_pr_common.moved import forward

__getattr__ = forward(__name__, "battle")
