"""What a failing environment said, where, and what to do about it, in one message."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from epymarl_pr.envs.spaces import unfit

_OWN = ("key", "map_name", "seed", "common_reward", "reward_scalarisation")
"""Arguments that EPyMARL gives every environment, beside those of ``env_args``."""
_PLACES = 3
_ANSWERS = {"reset": "observations, info", "step": "observations, rewards, terminated, truncated, info"}
_WRAPPERS = ("__init__.py", "gymma.py", "wrappers.py", "pz_wrapper.py", "smac_wrapper.py", "parallel_runner.py")
"""EPyMARL's files that only hand a call on to the environment, as gymnasium's and this package's do."""


def named(arguments: Mapping[str, Any]) -> str:
    """How messages name an environment: by its setting."""
    label = "key" if "key" in arguments else "map_name"
    return f"env_args.{label}={arguments.get(label)}"


def raised(what: str, method: str, error: BaseException) -> str:
    """An environment's method failed."""
    return f"{what}: {method}() raised {_said(error)}{_wrong_size(error)}{_old_api(method, error)}{where(error)}."


def not_made(what: str, arguments: Mapping[str, Any], error: BaseException) -> str:
    """An environment can't be made."""
    from gymnasium.error import NameNotFound, NamespaceNotFound, VersionNotFound

    reason = str(error).strip().rstrip(".") or type(error).__name__
    if isinstance(error, (NameNotFound, NamespaceNotFound, VersionNotFound)):
        return (
            f"{what}: {reason}. Ids that a package registers are written PACKAGE:ID, such as "
            "env_args.key=lbforaging:Foraging-8x8-2p-3f-v3 or epymarl_pr:pp-3-v0; that package must be installed."
        )
    if isinstance(error, ModuleNotFoundError):
        return f"{what}: {reason}. Install the package that holds this environment, or correct its name."
    unknown = re.search(r"unexpected keyword argument '(\w+)'", reason)
    if isinstance(error, TypeError) and ".reset()" in reason and unknown and unknown[1] in ("seed", "options"):
        return f"{what}: {reason}. reset() is to take seed=None and options=None, and to return observations, info."
    if isinstance(error, TypeError) and unknown and unknown[1] in arguments and unknown[1] not in _OWN:
        return f"env_args.{unknown[1]}={arguments[unknown[1]]}: {what} takes no such setting ({reason})."
    half = _half_made(error)
    problem = "" if half is None else unfit(half)
    if problem:
        return f"{what}: {problem}"
    others = ", ".join(f"{key}={value}" for key, value in arguments.items() if key not in _OWN)
    return (
        f"{what} can't be built with {others}: {_said(error)}{_wrong_size(error)}{where(error)}. Change that setting "
        "(... with env_args.NAME=VALUE), or what the environment lacks."
    )


def where(error: BaseException) -> str:
    """The innermost places of the environment's own code, outermost first; "" if there are none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _passes_on(Path(frame.filename))]
    places = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames[-_PLACES:]]
    return f" ({', '.join(places)})" if places else ""


def _said(error: BaseException) -> str:
    text = str(error).strip().rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_PACKAGE = Path(__file__).parents[1]


def _passes_on(file: Path) -> bool:
    ours = _PACKAGE in file.parents or not {"gymnasium", "numpy"}.isdisjoint(file.parts)
    return ours or (file.parent.name in ("envs", "runners") and file.name in _WRAPPERS)


def _frames(error: BaseException) -> list[Mapping[str, Any]]:
    return [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]


def _half_made(error: BaseException) -> Any | None:
    """EPyMARL's wrapper around an environment that could be made, but not be wrapped."""
    for found in _frames(error):
        wrapper = found.get("self")
        if type(wrapper).__name__ == "GymmaWrapper" and "_env" in vars(wrapper):
            return wrapper
    return None


def _old_api(method: str, error: BaseException) -> str:
    if method in _ANSWERS and "values to unpack" in str(error) and not where(error):  # gymnasium's own wrapper raised
        return f". {method}() is to return {_ANSWERS[method]}"
    return ""


def _wrong_size(error: BaseException) -> str:
    """EPyMARL pads observations to the longest space; a longer observation is NumPy's complaint about a negative."""
    for found in _frames(error):
        wrapper: Any = found.get("self")
        observations = found.get("obs")
        if type(wrapper).__name__ != "GymmaWrapper" or not isinstance(observations, (tuple, list)):
            continue
        longest = wrapper.longest_observation_space.shape[0]
        sizes = [int(np.size(observation)) for observation in observations]
        if any(size > longest for size in sizes):
            return f". The observations have {sizes} entries, the longest observation_space {longest}"
    return ""
