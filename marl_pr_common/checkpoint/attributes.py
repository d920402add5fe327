"""The attributes of an object as a tree, and back into an object that was constructed the same way.

What an object got from its constructor and never changes -- spaces, functions, frozen dataclasses -- is left where it
is. What is neither data nor a generator nor an object of a known class is named, so that nobody calls the rest exact.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Collection
from typing import Any

import numpy as np

from marl_pr_common.checkpoint.errors import CheckpointError
from marl_pr_common.checkpoint.rng import generator_state, of_torch, set_generator_state
from marl_pr_common.checkpoint.tree import encode

KNOWN = (
    "RunningMeanStd",
    "StackedObservations",
    "NormalActionNoise",
    "OrnsteinUhlenbeckActionNoise",
    "VectorizedActionNoise",
)
"""Classes of Stable-Baselines3 and gymnasium whose attributes are all of their state."""
HOSTS = ("stable_baselines3", "gymnasium", "marl_pr_common", "sb3_pr")
ELSEWHERE = (
    *("env", "venv", "unwrapped", "spec", "_cached_spec", "metadata", "class_attributes", "class_attrs"),
    *("mujoco_renderer", "screen", "clock", "surf", "screen_dim", "window", "results_writer", "_logger", "logger"),
)
"""Attributes that are restored elsewhere, or only draw and write."""
_BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


class UnknownState(Exception):
    """A value that is neither data nor configuration."""


def of_known_class(value: object) -> bool:
    """Whether the class of ``value`` is one of ``KNOWN``, of a host and not merely called alike."""
    return type(value).__name__ in KNOWN and type(value).__module__.partition(".")[0] in HOSTS


def attributes(owner: object, skip: Collection[str] = ()) -> tuple[dict[str, Any], list[str]]:
    """What ``owner`` keeps in its ``__dict__``.

    :param skip: names to leave out, beside :data:`ELSEWHERE`
    :return: name -> tagged value, and the names of the attributes that cannot be kept, with their types
    """
    found, unknown = {}, []
    for name, value in vars(owner).items():
        if name in ELSEWHERE or name in skip or is_configuration(value):
            continue
        try:
            found[name] = _capture(value)
        except UnknownState as error:
            unknown.append(f"{name} ({error})")
    return found, unknown


def restore_attributes(owner: object, state: dict[str, Any]) -> None:
    """Put what :func:`attributes` found into ``owner``.

    :raises CheckpointError: if an object that should be restored in place is missing or of another class
    """
    for name, saved in state.items():
        restored = _restore(getattr(owner, name, None), saved, name)
        if getattr(owner, name, None) is not restored or name not in vars(owner):
            setattr(owner, name, restored)


def is_configuration(value: object) -> bool:
    """Whether a value is fixed by construction: a space, a function or class, a frozen dataclass, or several."""
    if isinstance(value, (dict, list, tuple)) and value:
        return all(is_configuration(item) for item in (value.values() if isinstance(value, dict) else value))
    parameters = getattr(type(value), "__dataclass_params__", None)
    frozen = dataclasses.is_dataclass(value) and parameters is not None and parameters.frozen
    return frozen or is_space(value) or isinstance(value, type) or (callable(value) and hasattr(value, "__code__"))


def is_space(value: object) -> bool:
    """Whether a value is a gymnasium space, without importing gymnasium."""
    return any(cls.__module__ == "gymnasium.spaces.space" for cls in type(value).__mro__)


def space_states(space: Any) -> list[Any]:
    """The generators of a space and of the spaces in it; None for one that has not been used."""
    generator = getattr(space, "_np_random", None)
    own = None if generator is None else generator_state(generator)
    return [own, *(state for part in _parts(space) for state in space_states(part))]


def restore_space(space: Any, states: list[Any]) -> None:
    """Put the generators of a space where :func:`space_states` found them."""
    remaining = list(states)
    _restore_space(space, remaining)
    if remaining:
        raise CheckpointError(f"the checkpoint is of another space than {space}.")


def _restore_space(space: Any, states: list[Any]) -> None:
    if not states:
        raise CheckpointError(f"the checkpoint is of another space than {space}.")
    state = states.pop(0)
    space._np_random = None if state is None else restored_generator(getattr(space, "_np_random", None), state)
    for part in _parts(space):
        _restore_space(part, states)


def _parts(space: Any) -> list[Any]:
    parts = getattr(space, "spaces", ())
    return list(parts.values()) if isinstance(parts, dict) else list(parts)


def _capture(value: Any) -> dict[str, Any]:
    if isinstance(value, (np.random.Generator, np.random.RandomState)) or of_torch(value, "Generator"):
        return {"is": "generator", "value": generator_state(value)}
    if isinstance(value, deque):
        return {"is": "deque", "value": [_capture(item) for item in value], "maxlen": value.maxlen}
    if of_known_class(value):
        found, unknown = attributes(value)
        if unknown:
            raise UnknownState(f"{type(value).__name__} with {unknown[0]}")
        return {"is": "object", "value": found}
    try:
        encode(value)
        return {"is": "data", "value": value}
    except TypeError:
        pass
    if isinstance(value, dict) and all(type(key) in (str, int) for key in value):
        return {"is": "dict", "value": {key: _capture(item) for key, item in value.items()}}
    if type(value) is list:
        return {"is": "list", "value": [_capture(item) for item in value]}
    raise UnknownState(f"{type(value).__module__}.{type(value).__qualname__}")


def _restore(current: Any, saved: dict[str, Any], name: str) -> Any:
    kind, value = saved["is"], saved["value"]
    if kind == "data":
        return value
    if kind == "generator":
        return restored_generator(current, value)
    if kind == "deque":
        return deque((_restore(None, item, name) for item in value), maxlen=saved["maxlen"])
    if kind == "object":
        if not of_known_class(current):
            raise CheckpointError(f"{name} is {current!r}, but the checkpoint holds the state of an object there.")
        restore_attributes(current, value)
        return current
    if kind == "dict":
        now = current if isinstance(current, dict) else {}
        return {key: _restore(now.get(key), item, f"{name}[{key!r}]") for key, item in value.items()}
    before = current if isinstance(current, list) and len(current) == len(value) else [None] * len(value)
    return [_restore(one, item, name) for one, item in zip(before, value, strict=True)]


def restored_generator(current: Any, state: dict[str, Any]) -> Any:
    """A generator in a state: ``current`` itself where its kind fits, since others may hold it too; else a new one.

    :raises CheckpointError: if there is none, and none of that kind can be made
    """
    if current is None or (state["kind"] == "Generator" and not isinstance(current, np.random.Generator)):
        name = state["state"].get("bit_generator")
        if state["kind"] != "Generator" or name not in _BIT_GENERATORS:
            raise CheckpointError(f"there is no generator to restore, and none of kind {name!r} can be made.")
        current = np.random.Generator(getattr(np.random, name)())
    set_generator_state(current, state)
    return current
