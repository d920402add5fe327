"""What the command line understands beside what its parser does: 1e5 and 100k, nearest choices, KEY:VALUE settings."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from marl_pr_common.config.convert import whole
from marl_pr_common.config.mapping import suggest
from marl_pr_common.config.yaml import load_mapping

if TYPE_CHECKING:
    from tyro.constructors import ConstructorRegistry


def flags(command: type[Any]) -> dict[str, Any]:
    """Every option of a command, such as ``--n-agents``, with the type of its value; those of nested settings too."""
    found: dict[str, Any] = {}
    hints = get_type_hints(command, include_extras=True)
    for field in fields(command):
        hint, marks = hints[field.name], ""
        if get_origin(hint) is Annotated:
            hint, *rest = get_args(hint)
            marks = str(rest)
        if is_dataclass(hint):
            found |= flags(hint)  # type: ignore[arg-type]
        elif "Suppress" not in marks and "Positional" not in marks:
            found[f"--{field.name.replace('_', '-')}"] = hint
    return found


def positional(command: type[Any]) -> Any:
    """The type of what a command takes without a flag; None if it takes nothing."""
    hints = get_type_hints(command, include_extras=True)
    found = (get_args(hints[field.name]) for field in fields(command) if get_origin(hints[field.name]) is Annotated)
    return next((hint for hint, *marks in found if "Positional" in str(marks)), None)


def prepared(command: type[Any], options: Sequence[str]) -> list[str]:
    """The options with numbers such as 100k written out.

    :raises ValueError: for a number that is not whole where one is needed, or none of the choices; the nearest is named
    """
    known, result, flag = flags(command), list(options), ""
    bare = positional(command)
    for index, word in enumerate(options):
        if word == "--":
            break
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            flag = flag.replace("_", "-")
            _require(flag, known)
            if equals:
                result[index] = f"{flag}={_value(flag, known.get(flag), value)}"
        elif word != "-h":
            result[index] = _value(flag, known.get(flag) if flag else bare, word)
            flag = flag if _takes_more(known.get(flag)) else ""
    return result


def _takes_more(hint: Any) -> bool:
    """Whether an option goes on to take words after its first value."""
    if get_origin(hint) in (Union, types.UnionType, Annotated):
        return any(_takes_more(kind) for kind in get_args(hint))
    return get_origin(hint) in (tuple, list, Mapping)


def _require(flag: str, known: Mapping[str, Any]) -> None:
    negated = [f"--no-{name[2:]}" for name, hint in known.items() if hint is bool]
    if flag in (*known, *negated, "--help") or flag.startswith("--tyro-"):
        return
    near = suggest(flag, [*known, *negated], bare=True)
    raise ValueError(f"there is no option {flag}.{near} All of them: --help")


def _value(flag: str, hint: Any, given: str) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        if given == "None" and type(None) in get_args(hint):
            return given
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return _value(flag, kinds[0], given) if len(kinds) == 1 else given
    if get_origin(hint) is tuple:
        return _value(flag, get_args(hint)[0], given)
    if get_origin(hint) is Annotated:
        return _value(flag, get_args(hint)[0], given)
    if get_origin(hint) is Literal:
        choices = [str(choice) for choice in get_args(hint)]
        if given not in choices:
            near = suggest(given, choices, bare=True)
            raise ValueError(f"{f'{flag} {given}'.strip()}: expected one of {', '.join(choices)}.{near}")
    return str(whole(given, flag)) if hint is int else given


def registry() -> ConstructorRegistry:
    """How the parser reads free settings, such as ``--env-kwargs``."""
    from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

    found = ConstructorRegistry()

    @found.primitive_rule
    def settings(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if get_origin(info.type) is not Mapping or get_args(info.type)[1] is not Any:
            return None
        return PrimitiveConstructorSpec(
            nargs="*",
            metavar="KEY:VALUE",
            instance_from_str=key_values,
            is_instance=lambda value: isinstance(value, Mapping),
            str_from_instance=lambda value: [f"{key}:{given}" for key, given in value.items()],
        )

    return found


def key_values(words: Sequence[str]) -> dict[str, Any]:
    """``frame_skip:4 terminate_when_unhealthy:false`` or ``{frame_skip: 4}``: a mapping, the values read as YAML.

    :raises ValueError: for another form, or a key that comes twice
    """
    found: dict[str, Any] = {}
    for word in words:
        key, separator, value = word.partition(":")
        if word.lstrip().startswith("{"):
            part = load_mapping(word, word)
        elif separator and key.isidentifier():
            part = load_mapping(f"{key}: {value}", word)
        else:
            raise ValueError(f"{word!r}: expected KEY:VALUE, such as frame_skip:4, or a YAML mapping {{frame_skip: 4}}")
        if doubled := found.keys() & part.keys():
            raise ValueError(f"{min(doubled)!r} comes twice")
        found |= part
    return found
