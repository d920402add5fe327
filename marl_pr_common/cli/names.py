"""``marl-pr list``."""

from __future__ import annotations

import importlib
import re
import textwrap
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from rich.console import Console
from tyro.conf import Positional, arg

from marl_pr_common.config.shipped import config_names
from marl_pr_common.envs.registry import FAMILIES
from marl_pr_common.study.hosts import MODULES, load_host

Kind = Literal["algorithms", "environments", "configurations", "studies", "arms"]
_PLAIN = r"[a-z0-9]+(_mappo)?(_ns)?(_pr)?"
"""Names of arms that are an algorithm, with or without reciprocity, and no control."""


@dataclass(frozen=True)
class Command:
    """List what there is, by its names: algorithms, environments, configurations, studies, arms; all of it by default.

    One name a line where only one kind is asked for.
    """

    kinds: Annotated[Positional[tuple[Kind, ...]], arg(metavar="KIND")] = ()
    """algorithms: for --algo, and of EPyMARL and tables. environments: for --env. configurations: for --config.
    studies: for `marl-pr study`. arms: for --arms, and for studies by their host."""

    def run(self) -> int:
        """Print; exit code 0."""
        console = Console(highlight=False, soft_wrap=True)
        for kind in self.kinds or get_args(Kind):
            if len(self.kinds) == 1:
                console.print("\n".join(dict.fromkeys(name for _, name in NAMES[kind]())), markup=False)
                continue
            groups: dict[str, list[str]] = {}
            for group, name in NAMES[kind]():
                groups.setdefault(group, []).append(name)
            console.print(f"{kind}:", markup=False)
            for group, names in groups.items():
                text = f"{group}: {', '.join(names)}" if group else ", ".join(names)
                console.print(textwrap.fill(text, 118, initial_indent="  ", subsequent_indent="    "), markup=False)
        return 0


def _algorithms() -> Iterator[tuple[str, str]]:
    with suppress(ImportError):
        for name in importlib.import_module("sb3_pr.algorithms.spec").ALGORITHMS:
            yield "sb3", name
    yield from (pair for pair in _arms() if pair[0] != "sb3" and re.fullmatch(_PLAIN, pair[1]))


def _environments() -> Iterator[tuple[str, str]]:
    for family in FAMILIES:
        yield "teams of ours" + (", also continuous" if family.continuous else ""), family.shown
    with suppress(ImportError):
        import gymnasium as gym

        for name, spec in gym.registry.items():
            if str(spec.entry_point).startswith("gymnasium.envs.") and not _is_old(name, gym.registry):
                yield "gymnasium's own", name
    yield "your own", "package.module:factory"


def _is_old(name: str, known: Container[str]) -> bool:
    """Whether there is a later version."""
    head, _, version = name.rpartition("-v")
    return f"{head}-v{int(version) + 1}" in known if version.isdigit() else False


def _arms() -> Iterator[tuple[str, str]]:
    for host in MODULES:
        with suppress(ImportError):
            for name in load_host(host).ARMS:
                yield host, name


def _configs(folder: str) -> Iterator[tuple[str, str]]:
    for name in config_names():
        if name.startswith(f"{folder}/"):
            yield "", name.partition("/")[2]


NAMES: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "algorithms": _algorithms,
    "environments": _environments,
    "configurations": lambda: _configs("sb3"),
    "studies": lambda: _configs("studies"),
    "arms": _arms,
}
"""Kind -> its names, each after the group that it belongs to."""
