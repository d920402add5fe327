"""Environments of one's own by name: ``package.module:factory``, or ``package.module:Class.make``.

1. the module is imported, from the current directory too, as ``python -m`` would
2. what the name means there is called without arguments, once for every copy that is needed
3. it gives a gymnasium env, of which every agent gets one, or a PettingZoo ParallelEnv, whose agents are a team
What goes wrong on the way is one message that names it and its place.
"""

from __future__ import annotations

import inspect
import logging
import types
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from marl_pr_common.envs.imports import ABSENT, UnusableError, imported, reach, said, where
from marl_pr_common.envs.kinds import is_parallel_env, parallel_of
from marl_pr_common.envs.registry import is_ours

Factory = Callable[[], Any]


@dataclass(frozen=True, eq=False)
class Look:
    """What a factory's environment is, by one that was made and closed."""

    agents: tuple[Hashable, ...] | None
    """Names of the agents of a team; None for a task of one agent, of which there are copies."""
    observation_spaces: Mapping[Hashable, Any]
    """By agent; of a task of one agent under None."""
    action_spaces: Mapping[Hashable, Any]


def find_factory(name: str) -> Factory | None:
    """What ``name`` means, if it is ``module:attribute``; None for any other name, gymnasium's ``module:Id-v0`` too.

    An attribute of the module wins over an id.

    :raises UnusableError: if the module can't be imported, or the attribute isn't there or is nothing to be called
    """
    module_name, colon, attribute = name.partition(":")
    if not colon or is_ours(name):
        return None
    module = imported(name, module_name)
    found = reach(name, module, attribute)
    return None if found is ABSENT else _callable(name, found)


def make_own(name: str, factory: Factory) -> Any:
    """One environment: a gymnasium env, or a ParallelEnv.

    :param factory: what :func:`find_factory` gave
    :raises UnusableError: if it raises, returns anything else, or what it has returned before
    """
    with blamed_on(name, "its factory"):
        env = factory()
    env = parallel_of(name, env)
    inmost = getattr(env, "unwrapped", env)
    if name in _LAST and _LAST[name]() is inmost:
        raise UnusableError(
            f"env={name!r} cannot be made: its factory returned the same {type(inmost).__name__} twice, but every "
            "agent, and the evaluation, needs one of its own. Make a new one in each call."
        )
    with suppress(TypeError):  # of a class that can't be referred to weakly
        _LAST[name] = weakref.ref(inmost)
    return env


def look(name: str) -> Look | None:
    """What a factory makes; None for names that mean none. One environment is made and closed, once per process.

    :raises UnusableError: see :func:`find_factory` and :func:`make_own`
    """
    factory = find_factory(name)
    if factory is None:
        return None
    known = _LOOKS.get(name)
    if known is None or not _same(known[0], factory):
        env = make_own(name, factory)
        with blamed_on(name, "its spaces"):
            known = _LOOKS[name] = (factory, _spaces(env))
        close(env)
    return known[1]


_LOOKS: dict[str, tuple[Factory, Look]] = {}
_LAST: dict[str, Callable[[], Any]] = {}
"""Name -> what was made last, as long as somebody has it."""


def is_team(name: str) -> bool:
    """Whether several agents share one world there, so that they are a team and not copies."""
    return is_ours(name) or ((found := look(name)) is not None and found.agents is not None)


@contextmanager
def blamed_on(name: str, what: str) -> Iterator[None]:
    """Whatever the user's code raises, even if it would end the process, becomes one message with its place.

    :raises UnusableError: naming task, error and place
    """
    try:
        yield
    except UnusableError:
        raise
    except (Exception, SystemExit) as error:
        raise UnusableError(f"env={name!r} cannot be made: {what} raised {said(error)}{where(error)}.") from error


def close(env: Any) -> None:
    """Close an environment that is not needed any more: what it raises now changes nothing."""
    try:
        env.close()
    except Exception as error:
        logging.getLogger("marl_pr").warning("closing the environment: %s: %s", type(error).__name__, error)


def _spaces(env: Any) -> Look:
    if not is_parallel_env(env):
        return Look(None, {None: env.observation_space}, {None: env.action_space})
    agents = tuple(getattr(env, "possible_agents", ()))
    observations = {agent: env.observation_space(agent) for agent in agents}
    return Look(agents, observations, {agent: env.action_space(agent) for agent in agents})


def _same(one: Factory, other: Factory) -> bool:
    """Whether a name still means what it meant; a bound method is a new object each time."""
    return one is other or (isinstance(one, types.MethodType) and one == other)


def _callable(name: str, found: Any) -> Factory:
    """:raises UnusableError: for what can't be called without arguments to give an environment"""
    advice = "Name a function or class that returns a new environment each time it is called"
    if inspect.ismodule(found):
        inside = next((part for part in ("parallel_env", "make", "env") if hasattr(found, part)), "FUNCTION")
        raise UnusableError(f"env={name!r} cannot be made: that is a module. {advice}: {found.__name__}:{inside}.")
    if hasattr(found, "reset") and hasattr(found, "step") and not isinstance(found, type):
        raise UnusableError(
            f"env={name!r} cannot be made: that is an environment already ({type(found).__name__}), but every agent, "
            f"and the evaluation, needs one of its own. {advice}."
        )
    if not callable(found):
        raise UnusableError(
            f"env={name!r} cannot be made: that is {found!r:.80} ({type(found).__name__}), which can't be called. "
            f"{advice}."
        )
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        title = getattr(found, "__name__", "factory")
        raise UnusableError(
            f"env={name!r} cannot be made: it is called without arguments, but {str(error).rstrip('.')}. Give them "
            f"in a module of yours, make = functools.partial({title}, ...), and name that."
        ) from error
    except ValueError:  # no signature that Python can show
        pass
    factory: Factory = found
    return factory
