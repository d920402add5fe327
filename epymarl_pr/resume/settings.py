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
FIXED = (
    *("env", "learner", "runner", "batch_size_run", "lr"),
    *("maptf_option_lr", "maptf_termination_lr", "maptf_reward_lr", "maptf_options", "maptf_option_replay"),
    *("maptf_embedding", "maptf_encoder_hidden", "maptf_option_hidden"),
    *("pr_peers", "pr_n_peers", "pr_peer_matrix", "pr_normalize", "pr_observation_masks"),
)
"""Settings whose effects are part of the checkpoint: environments, optimisers, the graph, networks."""
_TASK = ("key", "map_name")
_PLAIN = (str, int, float, bool, type(None), dict, list, tuple)


def settings(args: Any) -> dict[str, Any]:
    """EPyMARL's arguments as JSON values, without those in :data:`FREE`."""
    found: dict[str, Any] = {key: v for key, v in vars(args).items() if key not in FREE and isinstance(v, _PLAIN)}
    found["env_args"] = {key: value for key, value in found.get("env_args", {}).items() if key != "seed"}
    copied: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return copied


def require_same(then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on as something else.

    :raises ValueError: naming the settings of :data:`FIXED`, and the task, that differ
    """
    tasks = [{key: found.get("env_args", {}).get(key) for key in _TASK} for found in (then, now)]
    wrong = differences({key: then[key] for key in FIXED if key in then}, now) + differences(*tasks)
    if wrong:
        raise ValueError(f"a run cannot go on with another setting: {'; '.join(wrong)}. Resume it as it was started.")


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed, in words."""
    return [f"{key} was {then[key]!r} and is now {now.get(key)!r}" for key in then if then[key] != now.get(key)]
