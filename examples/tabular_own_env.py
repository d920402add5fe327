"""IQL+PR on an own discrete PettingZoo ParallelEnv: python examples/tabular_own_env.py"""

from marl_pr_common.envs.grids.held_out import Cliff
from marl_pr_common.tabular import TabularConfig, iql, train_parallel

for name, config in {"IQL": iql(), "IQL+PR": TabularConfig()}.items():  # replace Cliff by your own environment class
    learner, evaluations = train_parallel(Cliff, config, steps=4_000, every=1_000, episodes=50, seed=0)
    for evaluation in evaluations:
        print(f"{name:7s} {evaluation.steps:6d} steps per agent: mean return {evaluation.returns.mean():6.2f}")
