"""The state of a gymnasium env or a PettingZoo ParallelEnv, wrapper by wrapper.

Exact: MuJoCo's environments, gymnasium's classic control and toy text, this package's own, the wrappers of gymnasium
and SB3's Monitor, and whatever has the methods ``state_dict()`` and ``load_state_dict(state)``. Of anything else nobody
can tell where its state is: it is named, and a resumed run begins a new episode.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from marl_pr_common.checkpoint.attributes import attributes, restore_attributes, restore_space, space_states
from marl_pr_common.checkpoint.errors import CheckpointError
from marl_pr_common.moved import current

EXACT = (
    "gymnasium.envs.classic_control.",
    "gymnasium.envs.mujoco.",
    "gymnasium.envs.toy_text.",
    "gymnasium.wrappers.",
    "stable_baselines3.common.monitor",
    "marl_pr_common.envs.",
)
"""Modules whose environments and wrappers keep all of their state in their attributes."""
_COPIES = "marl_pr_common.envs.copies.Copies"
_MUJOCO = ("model", "data")
_SPACES = ("action_space", "observation_space", "_action_space", "_observation_space")


class NotSaveable(Exception):
    """The state of an environment cannot be saved; the text says why."""


def env_state(env: Any) -> list[dict[str, Any]]:
    """The state of an env, the outermost wrapper first.

    :raises NotSaveable: naming the class whose state is not known
    """
    return [_layer_state(layer) for layer in _layers(env)]


def restore_env(env: Any, state: list[dict[str, Any]]) -> None:
    """Put an env that was made the same way where :func:`env_state` found the other one; it need not be reset.

    :raises CheckpointError: if it has other wrappers
    """
    layers = list(_layers(env))
    names = [_name(layer) for layer in layers]
    saved = [current(layer["class"]) for layer in state]
    if names != saved:
        raise CheckpointError(
            f"the environment is {' in '.join(reversed(names))}, the checkpoint's was {' in '.join(reversed(saved))}. "
            "Make it as it was made then."
        )
    for layer, saved_layer in zip(layers, state, strict=True):
        _restore_layer(layer, saved_layer)


def _layers(env: Any) -> Iterator[Any]:
    """The env and what it wraps, without wrappers whose class says ``keeps_no_state``."""
    while True:
        if not getattr(type(env), "keeps_no_state", False):
            yield env
        inner = vars(env).get("env")
        if inner is None:
            return
        env = inner


def _name(layer: Any) -> str:
    return f"{type(layer).__module__}.{type(layer).__qualname__}"


def _layer_state(layer: Any) -> dict[str, Any]:
    if hasattr(type(layer), "state_dict") and hasattr(type(layer), "load_state_dict"):
        return {"class": _name(layer), "own": layer.state_dict()}
    mujoco = _is_mujoco(layer)
    if not (mujoco or _name(layer).startswith(EXACT)):
        raise NotSaveable(
            f"the state of {_name(layer)} is not known: give it the methods state_dict() and load_state_dict(state)"
        )
    copies = ("copies",) if _name(layer) == _COPIES else ()
    found, unknown = attributes(layer, (*_SPACES, *copies, *(_MUJOCO if mujoco else ())))
    if unknown:
        raise NotSaveable(f"{_name(layer)} keeps something that is not data: {', '.join(unknown)}")
    state: dict[str, Any] = {"class": _name(layer), "attributes": found, "spaces": {}}
    for name in _SPACES:
        if not callable(space := vars(layer).get(name)) and space is not None:
            state["spaces"][name] = space_states(space)
    if mujoco:
        state["mujoco"] = _mujoco_state(layer)
    if copies:
        state["copies"] = [env_state(env) for env in layer.copies]
    return state


def _restore_layer(layer: Any, state: dict[str, Any]) -> None:
    if "own" in state:
        layer.load_state_dict(state["own"])
        return
    restore_attributes(layer, state["attributes"])
    for name, states in state["spaces"].items():
        restore_space(getattr(layer, name), states)
    for env, saved in zip(layer.copies, state["copies"], strict=True) if "copies" in state else ():
        restore_env(env, saved)
    if "mujoco" in state:
        _restore_mujoco(layer, state["mujoco"])


def _is_mujoco(layer: Any) -> bool:
    mujoco: Any = sys.modules.get("mujoco")
    return mujoco is not None and isinstance(vars(layer).get("data"), mujoco.MjData)


def _mujoco_state(env: Any) -> dict[str, Any]:
    """The integration state with warm start, and the derived arrays: some tasks read positions of the step before."""
    import mujoco

    spec = mujoco.mjtState.mjSTATE_INTEGRATION
    integration = np.empty(mujoco.mj_stateSize(env.model, spec))
    mujoco.mj_getState(env.model, env.data, integration, spec)
    return {"integration": integration, "arrays": {name: array.copy() for name, array in _arrays(env.data)}}


def _restore_mujoco(env: Any, state: dict[str, Any]) -> None:
    import mujoco

    spec = mujoco.mjtState.mjSTATE_INTEGRATION
    if len(state["integration"]) != mujoco.mj_stateSize(env.model, spec):
        raise CheckpointError("the checkpoint is of another MuJoCo model.")
    mujoco.mj_setState(env.model, env.data, state["integration"], spec)
    for name, array in _arrays(env.data):
        saved = state["arrays"].get(name)
        if saved is not None and saved.shape == array.shape and saved.dtype == array.dtype:
            array[...] = saved


def _arrays(data: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of fixed size; contacts and constraints are made anew in every step."""
    for name in dir(data):
        if name.startswith(("_", "efc_")):
            continue
        try:
            value = getattr(data, name)
        except (AttributeError, ValueError, RuntimeError):  # deprecated names
            continue
        if isinstance(value, np.ndarray) and value.flags.writeable and value.dtype.kind in "fiub":
            yield name, value
