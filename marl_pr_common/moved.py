"""Modules under their earlier names. Saved models hold such names, and are read for good; users' imports work for one
release: every name that is still there is found where it is now, with the arguments that it has now, and of one that is
gone an AttributeError says what there is in its place."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def into(folder: str, names: str, was: str = "") -> dict[str, tuple[str, ...]]:
    """Modules that went into a folder and kept their names; ``was``: the folder in which they were, and a point."""
    return {f"{was}{name}": (f"{folder}.{name}",) for name in names.split()}


MOVED: dict[str, tuple[str, ...]] = {
    **into("envs.grids", "digital grid held_out kernels mdp reference", was="envs."),
    **into("envs.particles", "cooperative_navigation jax_particles predator_prey pretrained_prey prey", was="envs."),
    **into("reciprocity", "guards moments"),
    **into("results", "comparable readers stats"),
    **into("runs", "files provenance status"),
    "adjacency": ("reciprocity.adjacency", "reciprocity.space"),
    "checkpoint.signals": ("runs.signals",),
    "commands": ("cli",),
    "configs": ("config.shipped",),
    "convert": ("config.convert",),
    "delegate": ("reciprocity.stand_in",),
    "display": ("runs.console",),
    "doctor": ("cli.findings",),
    "engines": ("envs.simulators",),
    "envs.names": ("envs.registry",),
    "envs.particle_arguments": ("envs.particles.arguments",),
    "envs.particle_vector": ("envs.particles.vector",),
    "envs.smax_maps": ("envs.smax.maps",),
    "envs.smax_simulator": ("envs.smax.simulator",),
    "envs.smax_vector": ("envs.smax.vector",),
    "estimators": ("reciprocity.ask",),
    "figures": ("tabular.theory",),
    "figures.command": ("tabular.theory.run",),
    "figures.theory": ("tabular.theory.figures",),
    "grouping": ("reciprocity.stand_in",),
    "peer_statistics": ("reciprocity.statistics",),
    "peers": ("reciprocity.peers", "reciprocity.weights", "reciprocity.ask"),
    "plots": ("report.figures",),
    "run_guard": ("runs.lock",),
    "safe_yaml": ("config.yaml",),
    "starcraft": ("envs.starcraft",),
    "study.engines": ("study.schedulers",),
    "tabular.study_host": ("tabular.host",),
    "target": ("reciprocity.mixture", "reciprocity.weights"),
}
"""Earlier name -> names of now, in this package, in the order in which they are asked. What was below, still is."""
GONE = {
    "adjacency.adjacent_states": "marl_pr_common.reciprocity.adjacency.STRATEGIES[config.adjacency](config).space(...)",
    "adjacency.fill_unseen": "marl_pr_common.reciprocity.adjacency.STRATEGIES[config.adjacency](config).view(...)",
    "estimators.Estimators": "marl_pr_common.reciprocity.ask.ESTIMATORS, a function per estimator",
    "target.adjacent_value": "(values * weights).sum(0)",
    "target.tabular_reciprocal_value": "marl_pr_common.tabular",
    "target.target_gain": "marl_pr_common.reciprocity.weights.check_gain, which refuses gains >= 1",
}
"""Names that are nowhere any more -> what there is in their place."""
RENAMED = {"envs.particles": "envs.particles.task", "envs.smax": "envs.smax.battle"}
"""Modules that became packages of the same name -> where their classes are now."""


@dataclass(frozen=True)
class Earlier:
    """The earlier names of one package."""

    moved: Mapping[str, tuple[str, ...]]
    gone: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)

    def places(self, module: str) -> tuple[str, ...]:
        """Where the names of a module of an earlier release are now; () if it has not moved.

        :param module: within the package, such as "stats.curves"
        """
        parts = module.split(".")
        for length in range(len(parts), 0, -1):
            head, below = ".".join(parts[:length]), parts[length:]
            if head in self.moved:
                return tuple(".".join([place, *below]) for place in self.moved[head])
        return ()


_PACKAGES: dict[str, Earlier] = {}


def install(package: str, earlier: Earlier) -> None:
    """Have the modules of a package found under their earlier names, too."""
    if not _PACKAGES:
        sys.meta_path.append(_Finder())
    _PACKAGES[package] = earlier


def current(name: str) -> str:
    """The full name that a class has now.

    :param name: as an earlier release wrote it, "marl_pr_common.envs.grid.Grid"; any other comes back as it is
    """
    path, _, attribute = name.rpartition(".")
    package, _, module = path.partition(".")
    if package not in _PACKAGES:
        return name
    earlier = _PACKAGES[package]
    found = earlier.places(module) or ((earlier.renamed[module],) if module in earlier.renamed else ())
    return f"{package}.{found[0]}.{attribute}" if found else name


def forward(package: str, module: str) -> Callable[[str], Any]:
    """A ``__getattr__`` for a package that has the name of an earlier module, now ``module`` in it."""

    def find(name: str) -> Any:
        if name.startswith("__") or importlib.util.find_spec(f"{package}.{name}"):  # `from package import its_module`
            raise AttributeError(name)
        return getattr(importlib.import_module(f"{package}.{module}"), name)

    return find


class _Moved(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        package, _, module = self.__name__.partition(".")
        earlier = _PACKAGES[package]
        for place in earlier.places(module):
            found = importlib.import_module(f"{package}.{place}")
            if hasattr(found, name):
                return getattr(found, name)
        instead = earlier.gone.get(f"{module}.{name}")
        raise AttributeError(
            f"{self.__name__}.{name} is gone: use {instead}."
            if instead
            else f"module {self.__name__!r}, now {' and '.join(earlier.places(module))}, has no attribute {name!r}"
        )


class _Finder(MetaPathFinder, Loader):
    """Finds modules under their earlier names; it is asked after all others."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        package, _, module = name.partition(".")
        if package not in _PACKAGES or not (places := _PACKAGES[package].places(module)):
            return None
        try:
            if any(importlib.util.find_spec(f"{package}.{place}") is None for place in places):
                return None
        except ModuleNotFoundError:  # something below a module that moved, that never was
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Moved(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: names are looked up when they are asked for."""


install(str(__package__), Earlier(MOVED, GONE, RENAMED))
