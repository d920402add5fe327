"""What an update would stumble over after the warm-up, said when a model is made: spaces, optimisers, noise."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.noise import ActionNoise, VectorizedActionNoise


def check(model: Any) -> None:
    """:raises ValueError: for what neither upstream nor a stack of its networks can be trained with"""
    action_space = model.action_space
    if hasattr(model, "target_policy_noise") and np.issubdtype(action_space.dtype, np.integer):
        raise ValueError(
            f"the action space is {action_space}, and {model.upstream.__name__} adds noise to actions as they are "
            "stored, which integers can't take. Make it a Box of floats and round inside the environment, or use SACPR."
        )
    _observations(model.observation_space, model.observation_space)
    optimizer = (model.policy_kwargs or {}).get("optimizer_class")
    if optimizer is not None and _needs_closure(optimizer):
        raise ValueError(
            f"optimizer_class={optimizer.__name__}: its step() asks for a closure, and {model.upstream.__name__} calls "
            "step() without one. Use another, such as torch.optim.Adam."
        )
    noise(model.action_noise, model.n_envs, action_space)


def _observations(space: spaces.Space[Any], whole: spaces.Space[Any]) -> None:
    for part in space.spaces.values() if isinstance(space, spaces.Dict) else ():
        _observations(part, whole)
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)) and np.any(getattr(space, "start", 0)):
        raise ValueError(
            f"the observation space is {whole}: Stable-Baselines3's networks count the values of a "
            f"{type(space).__name__} from 0, not from {space.start}. Subtract it in the environment "
            "(gymnasium.wrappers.TransformObservation)."
        )


def _needs_closure(optimizer: Any) -> bool:
    if not isinstance(optimizer, type) or not callable(step := getattr(optimizer, "step", None)):
        return False  # a function that makes one
    closure = inspect.signature(step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def noise(action_noise: Any, n_envs: int, action_space: spaces.Space[Any]) -> None:
    """:raises ValueError: for no noise, that of more agents than there are, or of fewer, or of other actions"""
    if action_noise is None:
        return
    if not (isinstance(action_noise, ActionNoise) or (n_envs == 1 and callable(action_noise))):
        raise ValueError(
            f"action_noise={action_noise!r}: expected an object of Stable-Baselines3's, such as "
            f"NormalActionNoise(numpy.zeros({action_space.shape}), 0.1 * numpy.ones({action_space.shape})), or None."
        )
    found = getattr(action_noise, "n_envs", n_envs)
    if found != n_envs:
        raise ValueError(
            f"action_noise is a {type(action_noise).__name__} of {found} environments, and there are {n_envs}: each "
            "agent needs one. Pass the noise of one agent, of which every agent gets a copy."
        )
    of_one = action_noise.base_noise if isinstance(action_noise, VectorizedActionNoise) else action_noise
    shape, expected = np.shape(getattr(of_one, "_mu", 0.0)), action_space.shape
    if shape and not _fits(shape, expected):
        raise ValueError(f"action_noise has the shape {shape}, and an action of {action_space} has {expected}.")


def every_noise(model: Any) -> None:
    """:raises ValueError: for a noise of all agents that can't be told apart by teams, or is of other agents"""
    noise(model.action_noise, model.n_envs, model.action_space)
    if model.n_teams > 1 and type(model.action_noise) not in (type(None), VectorizedActionNoise):
        raise ValueError(
            f"action_noise={model.action_noise!r} with n_teams={model.n_teams}: each agent needs a noise of its own, "
            "drawn with its team's generator. Pass the noise of one agent, or VectorizedActionNoise itself."
        )


def _fits(shape: tuple[int, ...], expected: Any) -> bool:
    try:
        return bool(np.broadcast_shapes(shape, expected) == expected)
    except ValueError:
        return False
