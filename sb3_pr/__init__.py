"""Policy Reciprocity for Stable-Baselines3: ``TD3PR`` and ``DDPGPR``, drop-in classes for ``TD3`` and ``DDPG``.

The names below are imported when they are first used: the options of a run (``sb3_pr.study.config``), and with them
``marl-pr --help``, need neither Stable-Baselines3 nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sb3_pr import moved as moved

if TYPE_CHECKING:
    from sb3_pr.algorithms.ddpg import DDPGPR
    from sb3_pr.algorithms.td3 import TD3PR
    from sb3_pr.callbacks import AgentEvalCallback
    from sb3_pr.evaluation import evaluate_agents
    from sb3_pr.networks.stacking import stack
    from sb3_pr.saving.resume import CheckpointCallback, load_checkpoint, save_checkpoint

__all__ = [
    "DDPGPR",
    "TD3PR",
    "AgentEvalCallback",
    "CheckpointCallback",
    "evaluate_agents",
    "load_checkpoint",
    "save_checkpoint",
    "stack",
]

_HOMES = {
    "AgentEvalCallback": "sb3_pr.callbacks",
    "CheckpointCallback": "sb3_pr.saving.resume",
    "DDPGPR": "sb3_pr.algorithms.ddpg",
    "TD3PR": "sb3_pr.algorithms.td3",
    "evaluate_agents": "sb3_pr.evaluation",
    "load_checkpoint": "sb3_pr.saving.resume",
    "save_checkpoint": "sb3_pr.saving.resume",
    "stack": "sb3_pr.networks.stacking",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
