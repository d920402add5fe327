"""Policy Reciprocity for Stable-Baselines3: ``TD3PR`` and ``DDPGPR``, drop-in classes for ``TD3`` and ``DDPG``."""

from sb3_pr.callbacks import AgentEvalCallback, evaluate_agents
from sb3_pr.ddpg import DDPGPR
from sb3_pr.td3 import TD3PR

__all__ = ["DDPGPR", "TD3PR", "AgentEvalCallback", "evaluate_agents"]
