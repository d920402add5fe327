"""Checkpoints that are either whole or absent, and that are data: loading one never runs code.

save(root, tree, step=...)   stage, fsync, checksum, publish by rename, then remove the oldest
load(root)                   verify and read the newest complete one; a damaged one is named and passed over
rng_state, set_rng_state     the global generators of Python, NumPy and torch
catch_signals                SIGTERM and SIGINT as a flag that a training loop asks

A tree is any nesting of dictionaries (str or int keys), lists, tuples, tensors, arrays and plain values. Tensors are
written as safetensors, arrays as npz without pickle, the rest as JSON.
"""

from marl_pr_common.checkpoint.errors import CheckpointError
from marl_pr_common.checkpoint.rng import generator_state, rng_state, set_generator_state, set_rng_state
from marl_pr_common.checkpoint.store import Checkpoint, checkpoints, latest, load, save, verify
from marl_pr_common.runs.signals import Stopped, StopRequest, catch_signals

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "StopRequest",
    "Stopped",
    "catch_signals",
    "checkpoints",
    "generator_state",
    "latest",
    "load",
    "rng_state",
    "save",
    "set_generator_state",
    "set_rng_state",
    "verify",
]
