"""The paper's discrete environments as PettingZoo ParallelEnvs (section V.A), with exact models where they exist.

``make("Navigation-10")`` gives an environment; ``grid_spec`` and ``digital_mdp`` give what the fast learner needs.
Predator-prey and cooperative navigation on mpe2 have names too: ``make("PredatorPrey-6", prey="flee")``.
"""

from marl_pr_common.envs.grids.mdp import FiniteMDP, digital_mdp, navigation_mdp, optimal_q, random_mdp
from marl_pr_common.envs.registry import GRIDS, GridSpec, grid_spec, make, register
from marl_pr_common.envs.spaces import ObsSpace

__all__ = [
    "GRIDS",
    "FiniteMDP",
    "GridSpec",
    "ObsSpace",
    "digital_mdp",
    "grid_spec",
    "make",
    "navigation_mdp",
    "optimal_q",
    "random_mdp",
    "register",
]
