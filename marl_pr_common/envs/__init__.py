"""The paper's discrete environments as PettingZoo ParallelEnvs (section V.A), with exact models where they exist.

``make("Navigation-10")`` gives an environment; ``grid_spec`` and ``digital_mdp`` give what the fast learner needs.
Predator-prey and cooperative navigation on mpe2 have names too: ``make("PredatorPrey-6", prey="flee")``.
"""

import importlib
from typing import TYPE_CHECKING, Any

from marl_pr_common.envs.registry import grid_spec, make, register

if TYPE_CHECKING:
    from marl_pr_common.envs.grids.mdp import FiniteMDP, digital_mdp, navigation_mdp, optimal_q, random_mdp
    from marl_pr_common.envs.grids.specs import GRIDS, GridSpec
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


def __getattr__(name: str) -> Any:
    if name in __all__:  # what needs numba is imported when it is asked for
        module = {"GRIDS": "grids.specs", "GridSpec": "grids.specs", "ObsSpace": "spaces"}.get(name, "grids.mdp")
        return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
