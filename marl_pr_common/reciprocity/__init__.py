"""Policy Reciprocity for value functions of any framework (arXiv 2304.05632, section IV), in PyTorch.

config      the options
space       S#(s): what an adjacency space is
adjacency   its strategies, one class each
peers       N_i: graphs of agents
listening   to whom each agent listens: graph, trust, rule
weights     how much each peer counts in each row
ask         which peer is asked about which adjacent state: full, one_state, sampled, one_voice, joint
mixture     eq. 4 and eq. 12
judging     how well peers predict: what trust goes by
state       what is kept while an algorithm trains: generator, moments, graph, statistics
teams       many groups at once, each as it is alone
moments     running mean and standard deviation of states
statistics  how the peers' values stand to the own ones, for the logs
stand_in    to stand in for a host's network
guards      finite checks, and a bound for the values
"""

from typing import TYPE_CHECKING, Any

from marl_pr_common.reciprocity.config import ReciprocityConfig

if TYPE_CHECKING:
    from marl_pr_common.reciprocity.state import Reciprocity

__all__ = ["Reciprocity", "ReciprocityConfig"]


def __getattr__(name: str) -> Any:
    if name == "Reciprocity":  # the options alone need no torch
        from marl_pr_common.reciprocity.state import Reciprocity

        return Reciprocity
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
