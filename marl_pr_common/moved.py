"""Modules under their earlier names. Saved models hold such names, and are read for good; users' imports work for one
release: every name that is still there is found where it is now, with the arguments that it has now, and of one that is
gone an AttributeError says what there is in its place."""

import importlib
import sys
from types import ModuleType
from typing import Any

MOVED = {
    "adjacency": ("reciprocity.adjacency", "reciprocity.space"),
    "configs": ("config.shipped",),
    "convert": ("config.convert",),
    "delegate": ("reciprocity.stand_in",),
    "estimators": ("reciprocity.ask",),
    "grouping": ("reciprocity.stand_in",),
    "guards": ("reciprocity.guards",),
    "moments": ("reciprocity.moments",),
    "peer_statistics": ("reciprocity.statistics",),
    "peers": ("reciprocity.peers", "reciprocity.weights", "reciprocity.ask"),
    "safe_yaml": ("config.yaml",),
    "target": ("reciprocity.mixture", "reciprocity.weights"),
}
"""Earlier name -> names of now, in this package, in the order in which they are asked."""
GONE = {
    "adjacency.adjacent_states": "marl_pr_common.reciprocity.adjacency.STRATEGIES[config.adjacency](config).space(...)",
    "adjacency.fill_unseen": "marl_pr_common.reciprocity.adjacency.STRATEGIES[config.adjacency](config).view(...)",
    "estimators.Estimators": "marl_pr_common.reciprocity.ask.ESTIMATORS, a function per estimator",
    "target.adjacent_value": "(values * weights).sum(0)",
    "target.tabular_reciprocal_value": "marl_pr_common.tabular",
    "target.target_gain": "marl_pr_common.reciprocity.weights.check_gain, which refuses gains >= 1",
}
"""Names that are nowhere any more -> what there is in their place."""


class _Moved(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        package, _, module = self.__name__.partition(".")
        for place in MOVED[module]:
            found = vars(importlib.import_module(f"{package}.{place}"))
            if name in found:
                return found[name]
        instead = GONE.get(f"{module}.{name}")
        raise AttributeError(
            f"{self.__name__}.{name} is gone: use {instead}."
            if instead
            else f"module {self.__name__!r}, now {' and '.join(MOVED[module])}, has no attribute {name!r}"
        )


def _alias(module: str) -> None:
    alias = _Moved(f"{__package__}.{module}")
    sys.modules[alias.__name__] = alias
    setattr(sys.modules[str(__package__)], module, alias)  # for `import marl_pr_common.peers`


for _name in MOVED:
    _alias(_name)
