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
from marl_pr_common.envs.registry import FAMILIES, Family
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
    """algorithms: for --algo, and of EPyMARL and tables. environments: by the hosts that take them; sb3's are those of
    `train` and `compare`; tabular takes gymnasium's discrete ones too, such as Taxi-v4. configurations: for --config.
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
        yield f"teams of ours ({', '.join(_hosts(family))})", family.shown
    with suppress(ImportError):
        import gymnasium as gym

        for name, spec in gym.registry.items():
            continuous = str(spec.entry_point).startswith(_CONTINUOUS) or spec.kwargs.get("continuous")
            if continuous and not _is_old(name, gym.registry):
                yield f"gymnasium's own ({SB3})", name
    yield f"your own ({SB3}, tabular)", "package.module:factory"


SB3 = "sb3"
_CONTINUOUS = tuple(
    f"gymnasium.envs.{place}"
    for place in (
        "mujoco.",
        "classic_control.pendulum",
        "classic_control.continuous_",
        "box2d.bipedal_walker",
        "box2d.car_racing",
    )
)
"""Where gymnasium's tasks with continuous actions are."""


def _hosts(family: Family) -> Iterator[str]:
    """Which hosts take a family of ours."""
    if family.continuous:
        yield SB3
    if family.gym_id or family.place.startswith("smax."):
        yield "epymarl"
    if family.place.startswith("grids."):
        yield "tabular"


def taken_by(host: str) -> Iterator[str]:
    """Names of environments that a host takes."""
    return (name for group, name in _environments() if host in group.partition("(")[2])


def arms_of(host: str) -> Iterator[str]:
    """Names of a host's arms."""
    return (name for found, name in _arms() if found == host)


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
