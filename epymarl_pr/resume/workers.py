"""The random generators of EPyMARL's environments, wherever they run.

Between two episodes an environment is about to be reset: what it carries over is the state of its generators, and with
some (:data:`CARRIED`) a little more. It travels in ``get_stats()``, which EPyMARL's parallel runner asks its workers
for and does not read, and comes back when the environment is made.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch as th

from marl_pr_common.checkpoint import generator_state, rng_state, set_generator_state, set_rng_state
from marl_pr_common.checkpoint.attributes import restored_generator
from marl_pr_common.reciprocity.stand_in import Delegate

KEY = "pr_environment"
KNOWN = ("lbforaging.", "mpe2.", "pettingzoo.", "rware.", "marl_pr_common.envs.", "epymarl_pr.")
"""Packages whose environments keep nothing but generators, and what is in CARRIED, from one episode to the next."""
CARRIED = {"lbforaging.": "/players/*/position"}
"""Package -> attributes, tuples of integers or None, that its ``reset`` still reads: level-based foraging puts no new
player where an old one stood."""
_MAX_DEPTH = 12
_Generator = (np.random.Generator, np.random.RandomState, th.Generator)


class ResumableEnv(Delegate):
    """Stands in for one of EPyMARL's environments; ``get_stats`` carries its random states."""

    def get_stats(self) -> dict[str, Any]:
        """The environment's own statistics, and under :data:`KEY` what a resumed run needs."""
        return {**self.wrapped.get_stats(), KEY: environment_state(self.wrapped)}


class ResumableFactory:
    """Stands in for an entry of EPyMARL's environment registry. Picklable, as workers need it.

    :param make: the registered function
    :param seed: of the first environment; the others count up from it
    :param states: of the environments of the run that goes on; None for a new run
    """

    def __init__(self, make: Callable[..., Any], seed: int, states: list[dict[str, Any]] | None):
        self.make = make
        self.seed = seed
        self.states = states

    def __call__(self, **arguments: Any) -> ResumableEnv:
        env = self.make(**arguments)
        if self.states is not None:
            restore_environment(env, self.states[arguments["seed"] - self.seed])
        return ResumableEnv(env)


def environment_state(env: Any) -> dict[str, Any]:
    """The generators of an environment, and in a worker the global ones; with the class that they belong to."""
    env = _bare(env)
    return {
        "class": _class_of(_innermost(env)),
        "generators": {path: generator_state(found) for path, found in generators(env)},
        "carried": [None if value is None else [int(part) for part in value] for value in _carried(env)],
        "global": rng_state() if _in_worker() else None,
    }


def restore_environment(env: Any, state: dict[str, Any]) -> None:
    """Put the generators of an environment that was made the same way where they were."""
    if state["global"] is not None and _in_worker():
        set_rng_state(state["global"])
    env = _bare(env)
    here = dict(generators(env))
    for path, saved in state["generators"].items():
        if path not in here:  # made at its first use
            here[path] = _make_generator(env, path, saved)
        set_generator_state(here[path], saved)
    for (owner, name), value in zip(_carriers(env), state.get("carried", ()), strict=False):  # older ones have none
        setattr(owner, name, None if value is None else tuple(value))


def _carried(env: Any) -> Iterator[Any]:
    return (getattr(owner, name) for owner, name in _carriers(env))


def _carriers(env: Any) -> list[tuple[Any, str]]:
    """Owners and names of the attributes in :data:`CARRIED`."""
    inner = _innermost(env)
    path = next((path for package, path in CARRIED.items() if _class_of(inner).startswith(package)), None)
    if path is None:
        return []
    *parents, name = path.strip("/").split("/")
    owners = [inner]
    for parent in parents:
        owners = [item for owner in owners for item in (owner if parent == "*" else [getattr(owner, parent)])]
    return [(owner, name) for owner in owners]


def generators(owner: Any) -> Iterator[tuple[str, Any]]:
    """Every generator that can be reached from ``owner``, once, with the path of attributes that leads to it."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any, int]] = [("", owner, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        if id(value) in seen or depth > _MAX_DEPTH:
            continue
        seen.add(id(value))
        if isinstance(value, _Generator):
            yield path, value
            continue
        waiting.extend((f"{path}/{name}", item, depth + 1) for name, item in reversed(list(_parts(value))))


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((str(index), item) for index, item in enumerate(value))
    elif hasattr(value, "__dict__") and not isinstance(value, (type, ModuleType, FunctionType, th.nn.Module)):
        yield from vars(value).items()


def _make_generator(env: Any, path: str, saved: dict[str, Any]) -> np.random.Generator:
    """Gymnasium makes ``_np_random`` when it is first used."""
    owner = env
    *parents, name = path.strip("/").split("/")
    for parent in parents:
        owner = owner[int(parent)] if isinstance(owner, (list, tuple)) else _member(owner, parent)
    made: np.random.Generator = restored_generator(None, saved)
    setattr(owner, name, made)
    return made


def _member(owner: Any, name: str) -> Any:
    return owner[name] if isinstance(owner, dict) else vars(owner)[name]


def _bare(env: Any) -> Any:
    """EPyMARL's environment inside this package's stand-ins, from which the paths of a checkpoint lead."""
    while isinstance(env, Delegate):
        env = env.wrapped
    return env


def _innermost(env: Any) -> Any:
    """The environment inside EPyMARL's wrappers."""
    found = getattr(env, "_env", env)
    found = getattr(found, "unwrapped", found)
    found = getattr(found, "_env", found)  # EPyMARL's wrapper of PettingZoo
    return getattr(found, "unwrapped", found)


def _class_of(env: Any) -> str:
    return f"{type(env).__module__}.{type(env).__qualname__}"


def _in_worker() -> bool:
    return multiprocessing.parent_process() is not None


def unknown(states: list[dict[str, Any]]) -> str:
    """Why a resumed run may differ: an environment that may carry over more than generators; "" if none does."""
    names = sorted({state["class"] for state in states if not state["class"].startswith(KNOWN)})
    return f"of {', '.join(names)} only the random generators are saved" if names else ""
