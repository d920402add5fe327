"""A configuration dataclass is the schema: mappings are checked against it, and messages name the nearest choice."""

from __future__ import annotations

import difflib
import itertools
import math
import numbers
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from marl_pr_common.config.convert import convert

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True)
class Must:
    """What a field's value must be, written beside the field: ``Annotated[float, Must("a number > 0", ...)]``.

    expected: the words for the message
    holds: whether a value is that. A lambda that uses names of its module needs annotations that are not postponed
    """

    expected: str
    holds: Callable[[Any], bool]


Count = Annotated[int, Must("an integer >= 1", lambda value: type(value) is int and value >= 1)]
"""A number of things, at least one."""
Whole = Annotated[int, Must("an integer >= 0", lambda value: type(value) is int and value >= 0)]
"""A number of things, perhaps none."""
Positive = Annotated[float, Must("a finite number > 0", lambda value: 0 < value < math.inf)]
NonNegative = Annotated[float, Must("a finite number >= 0", lambda value: 0 <= value < math.inf)]


def check_count(name: str, value: Any, least: int = 1) -> None:
    """:raises ValueError: unless ``value`` is an integer, at least so large"""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < least:
        raise ValueError(f"{name}={value!r}: expected an integer >= {least}.")


def check_literals(config: object) -> None:
    """Raise ValueError if a field annotated with ``Literal``, ``bool`` or ``float`` holds anything else, or if a field
    annotated with :class:`Must` holds what it must not.

    For a wrong choice the nearest one is suggested.
    """
    hints = get_type_hints(type(config), include_extras=True)
    for field in fields(config):  # type: ignore[arg-type]
        value, hint = getattr(config, field.name), hints[field.name]
        conditions: tuple[Any, ...] = ()
        if get_origin(hint) is Annotated:
            hint, *conditions = get_args(hint)  # type: ignore[assignment]
        if hint is bool:
            _check(isinstance(value, bool), field.name, value, "True or False")
        if hint is float:
            _check(isinstance(value, numbers.Real) and not isinstance(value, bool), field.name, value, "a number")
        choices = get_args(hint)
        if choices and all(isinstance(choice, str) for choice in choices) and value not in choices:
            raise ValueError(f"{field.name}={value!r} is not one of {', '.join(choices)}.{suggest(value, choices)}")
        for condition in conditions:
            if isinstance(condition, Must):
                _check(condition.holds(value), field.name, value, condition.expected)


def from_mapping(cls: type[ConfigT], options: Mapping[str, Any], where: str = "options") -> ConfigT:
    """Build the dataclass ``cls`` from a mapping; a nested mapping builds the nested dataclass.

    :param options: field names and values, for instance a YAML file's content
    :param where: what the mapping is, for the message
    :raises ValueError: for an unknown key or a value that the dataclass refuses; the message names both
    """
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    for key in options:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}. Known keys: {', '.join(known)}.{suggest(key, known)}")
    hints = get_type_hints(cls)
    return cls(**{key: convert(value, hints[key], f"{where}: {key}", from_mapping) for key, value in options.items()})


def flatten(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings under dotted names, such as ``pr.kappa``; an empty mapping is a value of its own."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        inside = isinstance(value, Mapping) and value
        found |= flatten(value, f"{above}{key}.") if inside else {f"{above}{key}": value}
    return found


def at(settings: Mapping[str, Any], dotted: str) -> Any:
    """What stands under a dotted name; None if nothing does."""
    place: Any = settings
    for key in [dotted] if dotted in settings else dotted.split("."):
        place = place.get(key) if isinstance(place, Mapping) else None
    return place


def suggest(value: object, choices: Collection[str], bare: bool = False) -> str:
    """The hint `Did you mean ...?` for the choice nearest to ``value``; empty where none is near.

    :param bare: without quotation marks, as where it is typed on a command line
    """
    close = difflib.get_close_matches(str(value), choices, n=3)
    near = max(close, key=lambda name: _nearness(str(value), name), default=None)
    return "" if near is None else f" Did you mean {near if bare else repr(near)}?"


def _nearness(given: str, name: str) -> tuple[float, int]:
    """Of equally near names the one that begins alike is meant."""
    start = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(given, name, strict=False)))
    return difflib.SequenceMatcher(None, name, given).ratio(), start


def near_path(path: Path) -> str:
    """The hint for a path that is not there: what lies beside it under the nearest name."""
    names: list[str] = []
    with suppress(OSError):  # there is no such folder, or it can't be read
        names = [entry.name for entry in path.parent.iterdir() if entry.name != path.name]
    near = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {path.parent / near[0]}?" if near else ""


def _check(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name}={value!r}: expected {expected}.")
