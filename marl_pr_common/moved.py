"""Modules under their earlier names: users' imports keep working for one release, and saved models, which hold such
names, for good."""

import importlib
import sys
from types import ModuleType
from typing import Any

MOVED = {
    "adjacency": "reciprocity.adjacency",
    "configs": "config.shipped",
    "convert": "config.convert",
    "delegate": "reciprocity.stand_in",
    "estimators": "reciprocity.ask",
    "grouping": "reciprocity.stand_in",
    "guards": "reciprocity.guards",
    "moments": "reciprocity.moments",
    "peer_statistics": "reciprocity.statistics",
    "peers": "reciprocity.peers",
    "safe_yaml": "config.yaml",
    "target": "reciprocity.mixture",
}
"""Earlier name -> name of now, in this package."""


class _Moved(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        package, _, module = self.__name__.partition(".")
        return getattr(importlib.import_module(f"{package}.{MOVED[module]}"), name)


sys.modules.update({name: _Moved(name) for name in (f"{__package__}.{module}" for module in MOVED)})
