"""Exact resume: everything that a run of TD3, DDPG, TD3PR or DDPGPR goes on from, as checkpoints that are data.

model.learn(100_000, callback=CheckpointCallback(save_freq=10_000, save_path="run/checkpoints"))
model = TD3PR(...)                                    # later: constructed as it was then
load_checkpoint("run/checkpoints", model)
model.learn(100_000 - model.num_timesteps, reset_num_timesteps=False)
"""

from sb3_pr.saving.resume.callback import CheckpointCallback
from sb3_pr.saving.resume.checkpoint import load_checkpoint, save_checkpoint

__all__ = ["CheckpointCallback", "load_checkpoint", "save_checkpoint"]
