"""``marl-pr completion``, and what a shell asks back with the words so far."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from tyro.conf import Positional, arg

from marl_pr_common.cli import COMMANDS, QUIET, VERBOSE, command_of
from marl_pr_common.cli.names import NAMES, SB3, Kind, arms_of, taken_by
from marl_pr_common.cli.options import flags
from marl_pr_common.study.config import load_study

Shell = Literal["bash", "zsh", "fish"]
_FUNCTION = """_marl_pr() {
    local IFS=$'\\n'
    COMPREPLY=($(marl-pr --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _marl_pr marl-pr
"""
SCRIPTS: dict[Shell, str] = {
    "bash": _FUNCTION,
    "zsh": f"autoload -U +X compinit bashcompinit && compinit -u && bashcompinit\n{_FUNCTION}",
    "fish": "complete -c marl-pr -a '(marl-pr --complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'\n",
}


@dataclass(frozen=True)
class Command:
    """Print a script for completion of commands, options and names. For this shell and all later ones:
    `marl-pr completion bash >> ~/.bashrc`."""

    shell: Annotated[Positional[Shell], arg(metavar="SHELL")]
    """bash, zsh (~/.zshrc) or fish (~/.config/fish/completions/marl-pr.fish)."""

    def run(self) -> int:
        """Print; exit code 0."""
        sys.stdout.write(SCRIPTS[self.shell])
        return 0


def candidates(words: Sequence[str]) -> list[str]:
    """What the last word may become.

    :param words: those behind ``marl-pr``; the last one is being typed, and may be empty
    """
    *before, begun = words or [""]
    command = next((word for word in before if not word.startswith("-")), None)
    if command is None:
        found: Iterable[str] = [*COMMANDS, "--version", "--debug", "--help", *QUIET, *VERBOSE]
    elif command not in COMMANDS:
        found = []
    else:
        found = _options(command, before[before.index(command) + 1 :], begun)
    return [word for word in found if word.startswith(begun)]


def _options(command: str, before: Sequence[str], begun: str) -> Iterable[str]:
    known = flags(command_of(command))
    if begun.startswith("-"):
        negated = [f"--no-{name[2:]}" for name, hint in known.items() if hint is bool]
        return [*known, *negated, "--help"]
    flag = next((word for word in reversed(before) if word.startswith("--")), "")
    if flag not in known or known[flag] is bool or (before[-1] != flag and get_origin(known[flag]) is not tuple):
        return _positional(command, before)
    return _values(flag, known, before)


def _values(flag: str, known: Mapping[str, Any], before: Sequence[str]) -> Iterable[str]:
    if flag == "--env":
        return taken_by(SB3)
    if flag in ("--arms", "--arm"):
        return arms_of(SB3)
    if flag == "--config":
        return [name for _, name in NAMES["configurations"]()]
    if flag == "--scale":
        for word in before:
            with suppress(ValueError, OSError):
                return list(load_study(word).scales)
    return [str(choice) for choice in get_args(known[flag]) if get_origin(known[flag]) is Literal]


def _positional(command: str, before: Sequence[str]) -> Iterable[str]:
    if command == "study":
        return [name for _, name in NAMES["studies"]()]
    return {"figure": tuple("2345678"), "list": get_args(Kind), "completion": get_args(Shell)}.get(command, ())
