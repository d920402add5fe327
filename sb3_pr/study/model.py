"""The untrained model of a run, and which of its settings can't be had or do nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.vec_env import VecEnv

from marl_pr_common.runs.provenance import as_plain
from sb3_pr.algorithms.spec import MODULES, model_class, spec
from sb3_pr.study.config import TrainConfig


def accepted(config: TrainConfig, columns: VecEnv, seeds: Sequence[int] | None = None) -> Any:
    """:func:`build_model`; whatever SB3 and torch refuse by an assertion or an error of their own is a ValueError."""
    try:
        return build_model(config, columns, seeds)
    except (AssertionError, RuntimeError, MemoryError, NotImplementedError, OverflowError, TypeError) as error:
        if isinstance(error, ValueError):
            raise
        raise ValueError(
            f"algo={config.algo} can't be made for env={config.env!r} with net_arch={list(config.net_arch)}, "
            f"buffer_size={config.buffer_size}, n_agents={config.team_size}, device={config.device!r}: "
            f"{type(error).__name__}: {str(error).strip() or 'out of memory'}"
        ) from error


def build_model(config: TrainConfig, env: VecEnv, seeds: Sequence[int] | None = None) -> Any:
    """The untrained model: upstream's own class, or ours, with equal meaning of every number of steps.

    :param env: one column per agent
    :param seeds: of stacked teams, each of which is as the run with that seed; ``env`` has the columns of all
    """
    shape = env.action_space.shape or ()
    columns = config.team_size * len(seeds or [config.seed])
    arguments: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        # Stable-Baselines3 counts these two over all columns of the VecEnv.
        "buffer_size": config.buffer_size * columns,
        "learning_starts": config.learning_starts * columns,
        "batch_size": config.batch_size,
        "tau": config.tau,
        "gamma": config.gamma,
        "train_freq": config.train_freq,
        "gradient_steps": config.gradient_steps,
        "policy_kwargs": {"net_arch": list(config.net_arch)},
        "device": config.device,
        **({"seed": config.seed} if seeds is None else {"seeds": seeds}),
    }
    arguments |= {name: getattr(config, name) for name in spec(config.algo).options}
    if "action_noise" in arguments:
        sigma = arguments.pop("noise_factor") * config.action_noise
        arguments["action_noise"] = NormalActionNoise(np.zeros(shape), np.full(shape, sigma))
    if config.reciprocal:
        arguments |= {"shared_replay": config.shared_replay, "own_critics": config.own_critics}
        arguments |= {"fast": config.fast, **vars(config.pr)}
    elif seeds is not None:  # each agent by itself: upstream's algorithm
        return model_class(f"{config.algo}_pr")(_policy_name(env.observation_space), env, kappa=0.0, **arguments)
    return model_class(config.algo)(_policy_name(env.observation_space), env, **arguments)


def _policy_name(space: spaces.Space[Any]) -> str:
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if is_image_space(space) else "MlpPolicy"


def without_effect(config: TrainConfig) -> list[str]:
    """Settings that are not the default and concern other algorithms only: a study may give them to all its arms."""
    others = {option for name in MODULES for option in spec(name).options} - {*spec(config.algo).options}
    usual = TrainConfig()
    given = {name: (getattr(config, name), getattr(usual, name)) for name in sorted(others)}
    if not config.reciprocal:  # upstream's has no peers
        for name in ("shared_replay", "own_critics", "fast"):
            given[name] = getattr(config, name), getattr(usual, name)
        own, theirs = as_plain(config.pr), as_plain(usual.pr)
        given |= {f"pr.{name}": (own[name], theirs[name]) for name in own}
    return [f"{name}={value!r}" for name, (value, default) in given.items() if value != default]


def without_device(device: str) -> str:
    """What to say where Stable-Baselines3 would train on the CPU instead, in silence; empty if it would not."""
    if device.partition(":")[0] == "cuda" and not th.cuda.is_available():
        return f"device={device!r}: this PyTorch ({th.__version__}) finds no CUDA device."
    return ""
