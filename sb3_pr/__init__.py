"""Policy Reciprocity for Stable-Baselines3: ``TD3PR`` and ``DDPGPR``, drop-in classes for ``TD3`` and ``DDPG``.

The names below are imported when they are first used: the options of a run (``sb3_pr.train_config``), and with them
``marl-pr --help``, need neither Stable-Baselines3 nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sb3_pr.callbacks import AgentEvalCallback
    from sb3_pr.ddpg import DDPGPR
    from sb3_pr.evaluation import evaluate_agents
    from sb3_pr.resume import CheckpointCallback, load_checkpoint, save_checkpoint
    from sb3_pr.td3 import TD3PR

__all__ = [
    "DDPGPR",
    "TD3PR",
    "AgentEvalCallback",
    "CheckpointCallback",
    "evaluate_agents",
    "load_checkpoint",
    "save_checkpoint",
]

_HOMES = {
    "AgentEvalCallback": "sb3_pr.callbacks",
    "CheckpointCallback": "sb3_pr.resume",
    "DDPGPR": "sb3_pr.ddpg",
    "TD3PR": "sb3_pr.td3",
    "evaluate_agents": "sb3_pr.evaluation",
    "load_checkpoint": "sb3_pr.resume",
    "save_checkpoint": "sb3_pr.resume",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
