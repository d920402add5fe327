"""Training and evaluation mode of many modules, as ``nn.Module.train`` sets it, in a fifth of its time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from stable_baselines3.common.policies import BaseModel
from torch import nn

TRAIN = nn.Module.train
SETTERS: set[Any] = {nn.Module.__setattr__}
"""What sets ``training`` as torch does."""


def set_mode(module: nn.Module, mode: bool) -> nn.Module:
    """Set the mode of a :func:`plain` module and of all within it; modules with ways of their own set it themselves."""
    module.__dict__["training"] = mode
    for child in dict.fromkeys(module._modules.values()):  # each once
        if child is None:
            continue
        if "train" not in child.__dict__ and plain(cast(Any, type(child)), TRAIN):
            set_mode(child, mode)
        else:
            child.train(mode)
    return module


def sets_its_own(network: nn.Module) -> bool:
    """Whether a network, or its class, does something else than SB3's when it is told its mode."""
    told: Any = getattr(network, "set_training_mode", None)
    return told is not None and getattr(told, "__func__", told) is not BaseModel.set_training_mode


@functools.lru_cache(maxsize=256)
def plain(kind: type[Any], train: Callable[..., Any]) -> bool:
    """Whether the mode of a module of this class is a flag of its own and its children's, and no more.

    :param train: the method that a class without a way of its own has
    """
    return (
        kind.train is train
        and kind.children is nn.Module.children
        and kind.named_children is nn.Module.named_children
        and kind.__setattr__ in SETTERS
        and not isinstance(getattr(kind, "training", None), property)
    )
