"""Whether the settings of a command are ones that there are, with values of their kind.

Sacred takes what it can't read for text, so that ``common_reward=false`` is true; YAML takes ``5e-4`` for text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from epymarl_pr.launch.errors import UsageError
from marl_pr_common.config.mapping import at, flatten, suggest

FREE = ("seed",)
"""Settings that sacred adds itself."""


def given(arguments: Sequence[str]) -> dict[str, Any]:
    """What stands after ``with``, read as sacred reads it: ``key=value``, and files of settings.

    :return: dotted names and values
    """
    from sacred import arg_parser, utils
    from sacred.config import load_config_file

    if "with" not in arguments:
        return {}
    changes, files = arg_parser.get_config_updates(list(arguments)[list(arguments).index("with") + 1 :])  # type: ignore[no-untyped-call]
    found: dict[str, Any] = {}
    loaded = [load_config_file(name) for name in files if Path(name).is_file()]  # type: ignore[no-untyped-call]
    for layer in [*loaded, changes]:
        found.update(utils.iterate_flattened(layer))  # type: ignore[no-untyped-call]
    return found


def check(changes: Mapping[str, Any], base: Mapping[str, Any], where: str) -> None:
    """Refuse a setting that there is not, or of another kind than what stands in the configuration files.

    :param changes: what stands after ``with``, dotted names and values
    :param base: the configuration files over one another
    :param where: what they are, for the message
    :raises UsageError: naming the setting and what it takes
    """
    known = flatten(base)
    for key, value in {**known, **changes}.items():
        if _number_as_text(key, value):
            raise UsageError(
                f"{key}: {value} in a YAML file is text: YAML wants a point and a sign in such a number, as in 5.0e-4."
            )
    for key, value in changes.items():
        if key in FREE:
            continue
        if key not in known and not isinstance(at(base, key), Mapping):
            hint = suggest(key, known, bare=True)
            raise UsageError(f"{key}={value}: {where} has no such setting.{hint}")
        expected = _kind(known.get(key))
        if expected and not _is(value, expected):
            raise UsageError(f"{key}={value}: expected {_WORDS[expected]}.")


_WORDS = {"bool": "True or False", "number": "a number"}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, (int, float)) else ""


def _is(value: Any, kind: str) -> bool:
    if kind == "bool":
        return isinstance(value, (bool, type(None))) or value in (0, 1)
    return isinstance(value, (int, float, type(None)))


def _number_as_text(key: str, value: Any) -> bool:
    if not isinstance(value, str) or "e" not in value.lower() or "." in key or key in ("name", "label", "hypergroup"):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True
