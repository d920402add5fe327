"""What a run was started with, so that one that goes on with other settings says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

FREE = (
    *("checkpoint_path", "load_step", "t_max", "save_model", "save_model_interval", "local_results_path"),
    *("use_tensorboard", "use_wandb", "unique_token", "pr_version", "seed", "pr_seed"),
)
"""Settings that may change without making another run of it; the state of every generator replaces the seeds."""
_PLAIN = (str, int, float, bool, type(None), dict, list, tuple)


def settings(args: Any) -> dict[str, Any]:
    """EPyMARL's arguments as JSON values, without those in :data:`FREE`."""
    found: dict[str, Any] = {key: v for key, v in vars(args).items() if key not in FREE and isinstance(v, _PLAIN)}
    found["env_args"] = {key: value for key, value in found.get("env_args", {}).items() if key != "seed"}
    copied: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return copied


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed, in words."""
    return [f"{key} was {then[key]!r} and is now {now.get(key)!r}" for key in then if then[key] != now.get(key)]
