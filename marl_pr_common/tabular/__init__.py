"""Tabular IQL and IQL+PR (eq. 1 to 8 of arXiv 2304.05632), their fast loops, and the measures of the theorems.

from marl_pr_common.tabular import TabularConfig, train_parallel
learner, evaluations = train_parallel(MyParallelEnv, TabularConfig(), steps=20_000)
"""

from marl_pr_common.tabular.adjacency import adjacency, adjacency_from_features
from marl_pr_common.tabular.config import TabularConfig, decision, faithful, iql, shared_table
from marl_pr_common.tabular.digital import DigitalRun
from marl_pr_common.tabular.learner import TabularPR
from marl_pr_common.tabular.parallel import ParallelTrainer, train_parallel
from marl_pr_common.tabular.reciprocity import Reciprocity, mixing
from marl_pr_common.tabular.resume import Evaluation
from marl_pr_common.tabular.schedules import Constant, Power, Shrink, TheoryWarning
from marl_pr_common.tabular.worlds import WorldTrainer

__all__ = [
    "Constant",
    "DigitalRun",
    "Evaluation",
    "ParallelTrainer",
    "Power",
    "Reciprocity",
    "Shrink",
    "TabularConfig",
    "TabularPR",
    "TheoryWarning",
    "WorldTrainer",
    "adjacency",
    "adjacency_from_features",
    "decision",
    "faithful",
    "iql",
    "mixing",
    "shared_table",
    "train_parallel",
]
