"""Modules under their earlier names: users' imports keep working for one release, and saved models, which hold such
names, for good."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

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
"""Earlier name -> name of now, both without ``marl_pr_common.``."""
_PACKAGE = "marl_pr_common."


class _Moved(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.startswith(_PACKAGE) and fullname.removeprefix(_PACKAGE) in MOVED:
            return ModuleSpec(fullname, self)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(_PACKAGE + MOVED[spec.name.removeprefix(_PACKAGE)])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module has run; it keeps the name that it has now."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Let the earlier names be imported; once per process."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Moved())  # first: an installed wheel has a data folder "configs"
