"""Policy Reciprocity, once, for every framework: the target, adjacency spaces, peers, and honest comparisons.

Source of the method: "Multi-agent Policy Reciprocity with Theoretical Guarantee", https://arxiv.org/abs/2304.05632
"""

from marl_pr_common import moved as moved
from marl_pr_common.reciprocity.config import ReciprocityConfig

__all__ = ["ReciprocityConfig"]
__version__ = "0.2.0"
