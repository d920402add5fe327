"""Policy Reciprocity for Stable-Baselines3: ``TD3PR``, ``DDPGPR`` and ``SACPR``, drop-in classes for its algorithms.

The names below are imported when they are first used: the options of a run (``sb3_pr.study.config``), and with them
``marl-pr --help``, need neither Stable-Baselines3 nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sb3_pr import moved as moved
from sb3_pr.algorithms.spec import MODULES, class_name

if TYPE_CHECKING:
    from sb3_pr.algorithms.ddpg import DDPGPR as DDPGPR
    from sb3_pr.algorithms.sac import SACPR as SACPR
    from sb3_pr.algorithms.td3 import TD3PR as TD3PR
    from sb3_pr.callbacks import AgentEvalCallback as AgentEvalCallback
    from sb3_pr.evaluation import evaluate_agents as evaluate_agents
    from sb3_pr.networks.stacking import stack as stack
    from sb3_pr.saving.resume import CheckpointCallback as CheckpointCallback
    from sb3_pr.saving.resume import load_checkpoint as load_checkpoint
    from sb3_pr.saving.resume import save_checkpoint as save_checkpoint

_HOMES = {
    "AgentEvalCallback": "sb3_pr.callbacks",
    "CheckpointCallback": "sb3_pr.saving.resume",
    "evaluate_agents": "sb3_pr.evaluation",
    "load_checkpoint": "sb3_pr.saving.resume",
    "save_checkpoint": "sb3_pr.saving.resume",
    "stack": "sb3_pr.networks.stacking",
    **{class_name(name): module for name, module in MODULES.items()},
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
