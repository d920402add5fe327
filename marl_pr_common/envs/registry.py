"""The environments by name: one record for each family, and a registry that users can add their own to.

All that is asked of a family by its name is asked of its record. To add one: its file, a record here, tests, docs.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from marl_pr_common.moved import forward

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv

    from marl_pr_common.envs.grids.specs import GridSpec

__getattr__ = forward(f"{__package__}.grids", "specs")  # GridSpec, navigation, ...: here before


@dataclass(frozen=True)
class Family:
    """Environments that differ in their number of agents, or in their map."""

    name: str
    """Such as "Navigation-{}", where {} stands for the number of agents, or for SMAX's map."""
    place: str
    """The class, such as "grids.held_out:Courier", in this package."""
    agents: tuple[int, int | None] | None
    """The smallest and the largest team (None: any); None if the name does not say a number."""
    limit: int | None
    """Steps per episode; None if the map decides."""
    spec: str = ""
    """A function of ``grids/specs.py`` that gives the rules: tabular learning then runs in one compiled loop."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the class that the name stands for."""
    continuous: bool = False
    """Whether it takes continuous actions, too."""
    needs: str = ""
    """A package beside PettingZoo."""
    beta: float = 0.4
    """c of the paper's step size c / (k + 1)^.35 towards the peers (section V.A)."""
    gym_id: str = ""
    """Its gymnasium id for EPyMARL, such as "pp-{}-v0"; empty if it has none."""
    env_args: Mapping[str, Any] = field(default_factory=dict)
    """EPyMARL's ``env_args`` beside key and time limit, with the defaults of the class."""

    @property
    def shown(self) -> str:
        """Its name for readers: "Navigation-N"."""
        return self.name.format("N" if self.agents else "MAP")

    @property
    def sizes(self) -> range:
        """The numbers of agents that are worth a list of names: up to 9."""
        least, most = self.agents or (0, -1)
        return range(least, (9 if most is None else most) + 1)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What its names look like, the number or map in the first group."""
        return re.compile(re.escape(self.name).replace(r"\{\}", r"(\d+)" if self.agents else "(.*)"))


def _particles(name: str, place: str, limit: int, gym_id: str, env_args: Mapping[str, Any], **options: Any) -> Family:
    own: dict[str, Any] = {"continuous": True, "needs": "mpe2", "gym_id": gym_id}
    own["env_args"] = {**env_args, "engine": "mpe2"}
    return Family(name, f"particles.{place}", (2, 9), limit, options=options, **own)


def _grid(name: str, least: int, limit: int, beta: float = 0.4) -> Family:
    rules, place, env_args = name.lower(), "grids.grid:Grid", {"unlike": False}
    gym_id = f"{rules}-{{}}-v0"
    agents = (least, None)
    return Family(f"{name}-{{}}", place, agents, limit, rules, beta=beta, gym_id=gym_id, env_args=env_args)


_TAG, _COVER = "predator_prey:PredatorPrey", "cooperative_navigation:CooperativeNavigation"
_PREY, _RATIO = {"prey": "flee", "checkout": None}, {"local_ratio": None}
FAMILIES = (
    _grid("Landmarks", 1, 50),
    _grid("Navigation", 1, 50, beta=0.3),
    _grid("Blocker", 2, 40),
    Family("Courier-{}", "grids.held_out:Courier", (1, None), 60),
    Family("Cliff-{}", "grids.held_out:Cliff", (1, None), 60),
    Family("Digital", "grids.digital:Digital", None, 100, beta=0.3),
    _particles("PredatorPrey-{}", _TAG, 25, "pp-{}-v0", _PREY),
    _particles("CooperativeNavigation-{}", _COVER, 25, "spread-{}-v0", _RATIO),
    _particles("CooperativeNavigation-{}-maptf", _COVER, 100, "spread-{}-maptf-v0", _RATIO, variant="maptf"),
    Family("smax:{}", "smax.battle:SMAX", None, None),
)
_FACTORIES: dict[str, Callable[..., ParallelEnv]] = {}


@dataclass(frozen=True)
class Named:
    """What a name says."""

    family: Family
    said: str
    """What stands for {}; empty for a family of one."""


def find(name: str) -> Named | None:
    """What ``name`` says, if it is one of our environments; whether it has so many agents is not asked."""
    for family in FAMILIES:
        if match := family.pattern.fullmatch(name):
            return Named(family, "".join(match.groups()))
    return None


def is_ours(name: str) -> bool:
    """Whether ``make`` rather than gymnasium makes the environment of this name."""
    return find(name) is not None


def is_known(name: str) -> bool:
    """Whether ``make`` makes it: one of our environments, or a registered one."""
    return name in _FACTORIES or is_ours(name)


def known() -> str:
    """All names, for messages."""
    return ", ".join([*(family.shown for family in FAMILIES), *_FACTORIES])


def parse(name: str) -> Named:
    """What ``name`` says.

    :raises ValueError: for no name of ours, or a number of agents that the family does not have
    """
    found = find(name)
    if found is None:
        head = name.partition("-")[0]
        meant = [family for family in FAMILIES if family.agents and family.name.partition("-")[0] == head]
        raise ValueError(f"Unknown environment {name!r}. {_wanted(meant) if meant else f'Known: {known()}.'}")
    if found.family.agents is not None:
        least, most = found.family.agents
        if not least <= int(found.said) <= (most or int(found.said)):
            kind = "grid " if found.family.spec else ""
            raise ValueError(f"Unknown {kind}environment {name!r}. {_wanted([found.family])}")
    return found


def _wanted(families: Sequence[Family]) -> str:
    """Which names there are."""
    least, most = families[0].agents or (1, None)
    sizes = f"N from {least} to {most}" if most else f"at least {least} agent{'s' if least > 1 else ''}"
    return f"Expected {' or '.join(family.shown for family in families)} with {sizes}."


def grid_spec(name: str) -> GridSpec:
    """The grid world of a name such as "Navigation-10".

    :raises ValueError: for a name that is not ``Family-N`` with a known family of grid worlds and its number of agents
    """
    found = find(name)
    if found is None or not found.family.spec:
        grids = ", ".join(family.shown for family in FAMILIES if family.spec)
        raise ValueError(f"Unknown grid environment {name!r}. Known: {grids}, N >= 1.")
    spec: GridSpec = _load(f"grids.specs:{found.family.spec}")(int(parse(name).said))
    return spec


def register(name: str, factory: Callable[..., ParallelEnv]) -> None:
    """Make ``factory`` available as ``make(name, **options)``.

    :raises ValueError: if the name is taken
    """
    heads = {family.name.partition("{}")[0].rstrip("-") for family in FAMILIES}
    if is_known(name) or name.partition("-")[0] in heads:
        raise ValueError(f"The environment name {name!r} is taken. Choose another one.")
    _FACTORIES[name] = factory


def make(name: str, **options: Any) -> ParallelEnv:
    """A PettingZoo ParallelEnv by the name of a family of :data:`FAMILIES`, such as "Navigation-10" or "smax:3m", or of
    a registered one.

    :param options: arguments of the environment, for instance ``render_mode="rgb_array"``
    :raises ImportError: if PettingZoo, or what the family needs beside it, is not installed
    :raises ValueError: for an unknown name
    """
    require_pettingzoo()
    if name in _FACTORIES:
        return _FACTORIES[name](**options)
    named = parse(name)
    family = named.family
    for option, value in family.options.items():
        if options.setdefault(option, value) != value:
            plain = family.name.partition("{}")[0] + named.said
            raise ValueError(f"{name}: {option}={options[option]!r}. Leave it out, or take {plain}.")
    try:
        cls = _load(family.place)
    except ImportError as error:
        if not family.needs:
            raise
        advice = 'Install it with: pip install "marl-pr[mpe]"'
        raise ImportError(f"{name} needs {family.needs} ({error}). {advice}") from error
    if family.spec:
        return cls(grid_spec(name), **options)
    if family.agents:
        return cls(int(named.said), **options)
    return cls(*([named.said] if named.said else []), **options)


def require_pettingzoo() -> None:
    """:raises ImportError: if it is not installed; says what to install"""
    if importlib.util.find_spec("pettingzoo") is None:
        raise ImportError('The environments need PettingZoo. Install it with: pip install "marl-pr[mpe]"')


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
