"""Values from YAML or a mapping, converted to the types that a configuration dataclass declares."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

Build = Callable[[type[Any], Mapping[str, Any], str], Any]


def convert(value: object, hint: Any, where: str, build: Build) -> Any:
    """Return ``value`` as ``hint`` declares it.

    Lists and arrays become tuples, mappings become dataclasses, whole floats integers.
    YAML 1.1 reads ``3e-4`` as text, so text that is a number is accepted where a number is declared.

    :param hint: a resolved annotation: bool, int, float, str, Path, Literal, tuple, a mapping with text
        keys, ``X | None``, ``float | str`` or a dataclass
    :param where: what the value is, for the message: "pendulum.yaml: tau"
    :param build: makes a dataclass from a mapping
    :raises ValueError: if the value cannot be that type
    """
    np = sys.modules.get("numpy")  # slow to import, and what isn't imported has no values
    if np is not None and isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None or (str in arguments and isinstance(value, str)):  # float | str: the dataclass checks it
            return value
        if bool in arguments and str in arguments:
            return value  # the dataclass checks it
        return convert(value, _only_type(arguments), where, build)
    if origin is Literal:
        return value  # the dataclass itself names the choices and the nearest one
    if origin is tuple:
        return _convert_tuple(value, arguments, where, build)
    if origin is Mapping:
        return _convert_mapping(value, arguments, where, build)
    if is_dataclass(hint):
        if isinstance(value, Mapping):
            return build(hint, value, where)  # type: ignore[arg-type]
        if isinstance(value, hint):  # type: ignore[arg-type]
            return value
        raise ValueError(f"{where}={value!r} is not a mapping of options, one `key: value` per line below it.")
    return _convert_scalar(value, hint, where)


def _convert_tuple(value: object, arguments: tuple[Any, ...], where: str, build: Build) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{where}={value!r} is not a list; write it as [a, b, c].")
    return tuple(convert(item, arguments[0], f"{where}[{index}]", build) for index, item in enumerate(value))


def _convert_mapping(value: object, arguments: tuple[Any, ...], where: str, build: Build) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}={value!r} is not a mapping, one `key: value` per line below it.")
    for key in value:
        if not isinstance(key, str):
            raise ValueError(f"{where}: the key {key!r} is a {type(key).__name__}, expected text; put it in quotes.")
    if arguments[1] is Any:
        return dict(value)
    # `key:` alone in YAML is an empty mapping
    return {
        key: convert({} if item is None else item, arguments[1], f"{where}: {key}", build)
        for key, item in value.items()
    }


def _convert_scalar(value: object, hint: Any, where: str) -> Any:
    if hint in (int, float):
        return _convert_number(value, hint, where)
    if hint is bool and not isinstance(value, bool):
        raise ValueError(f"{where}={value!r} is neither true nor false.")
    if hint is str and not isinstance(value, str):
        raise ValueError(f"{where}={value!r} is a {type(value).__name__}, expected text; put it in quotes.")
    if hint is Path and not isinstance(value, (str, Path)):
        raise ValueError(f"{where}={value!r} is not a path.")
    return Path(value) if hint is Path else value  # type: ignore[arg-type]


_FACTORS = {"k": 1_000, "m": 1_000_000}


def whole(text: str, where: str) -> int:
    """The integer that ``text`` means: 100000, 100_000, 1e5, 100k or 0.1M.

    :raises ValueError: if it is none
    """
    factor = _FACTORS.get(text[-1:].lower(), 1)
    with suppress(ArithmeticError):
        exact = Decimal(text[:-1] if factor > 1 else text) * factor
        if exact.is_finite() and exact.adjusted() < 18 and exact == exact.to_integral_value():
            return int(exact)
    raise ValueError(f"{where}={text!r} is not a whole number, such as 100000, 1e5 or 100k.")


def _convert_number(value: object, hint: type[int] | type[float], where: str) -> int | float:
    expected = "a whole number" if hint is int else "a number"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{where}={value!r} is not {expected}.")
    if hint is int and isinstance(value, str):
        return whole(value, where)
    try:
        number = float(value)
        if hint is float:
            return number
        if isinstance(value, int):
            return value
        if number != int(number):
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{where}={value!r} is not {expected}.") from error
    return int(number)


def _only_type(arguments: tuple[Any, ...]) -> Any:
    return next(argument for argument in arguments if argument is not type(None))
