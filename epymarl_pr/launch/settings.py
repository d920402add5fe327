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
COMMANDS = ("help", "print_config", "print_dependencies", "print_named_configs", "save_config")
"""Sacred's, beside those of the checkout's ``main.py``."""


def given(arguments: Sequence[str], main: Path) -> dict[str, Any]:
    """What stands after ``with``, read as sacred reads it: ``key=value``, and files of settings.

    :param main: the checkout's ``main.py``, which may have commands and named configurations of its own
    :return: dotted names and values
    :raises UsageError: for what is neither, a file that is none of settings, or an option or command that there is not
    """
    from sacred import arg_parser, utils

    words = _after_with(list(arguments), main.read_text())
    changes, names = arg_parser.get_config_updates(words)  # type: ignore[no-untyped-call]
    found: dict[str, Any] = {}
    for name in names:
        if Path(name).is_file():
            found.update(_file(name))
        elif "named_config" not in main.read_text():
            raise UsageError(f"{name}: expected KEY=VALUE, or a file of settings, and there is no such file.")
    found.update(utils.iterate_flattened(changes))  # type: ignore[no-untyped-call]
    return found


def _file(name: str) -> dict[str, Any]:
    from sacred import utils
    from sacred.config import load_config_file

    try:
        content = load_config_file(name)  # type: ignore[no-untyped-call]
        if isinstance(content, Mapping):
            return dict(utils.iterate_flattened(content))  # type: ignore[no-untyped-call]
    except Exception as error:  # of whichever reader sacred takes by the file's ending
        raise UsageError(f"{name}: not a file of settings that sacred can read: {error}") from error
    raise UsageError(f"{name} holds {type(content).__name__}, expected `key: value` lines.")


def _after_with(arguments: list[str], main: str) -> list[str]:
    """What sacred's own command line takes for settings; it would print all of its usage for what it can't take."""
    from docopt import DocoptExit, docopt
    from sacred.arg_parser import format_usage
    from sacred.experiment import gather_command_line_options

    options = gather_command_line_options()  # type: ignore[no-untyped-call]
    try:
        # the keyword for its own --help is another one in every release
        found = docopt(format_usage("main.py", "", {}, options), arguments, False)  # type: ignore[no-untyped-call]
    except DocoptExit as error:
        flags = [flag for option in options for flag in option.get_flags() if flag]
        raise UsageError(_unread(arguments, flags)) from error
    command = found["COMMAND"]
    if command and command not in COMMANDS and f"def {command}(" not in main:
        known = suggest(command, COMMANDS, bare=True)
        raise UsageError(f"{command}: no such command; settings are KEY=VALUE, after `with`.{known}")
    return list(found["UPDATE"])


def _unread(arguments: list[str], flags: list[str]) -> str:
    for argument in arguments:
        name = argument.partition("=")[0]
        if name.startswith("--") and not any(flag.startswith(name) for flag in flags):
            return f"{argument}: no such option.{suggest(name, flags, bare=True)} `--help` lists them."
        if name.startswith("-") and not name.startswith("--") and name[:2] not in flags:
            return f"{argument}: no such option. `--help` lists them."
    return f"{' '.join(arguments)}: expected [COMMAND] [with KEY=VALUE ...] and sacred's options, each with its value."


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
