"""Starts without PyTorch's compiler, which takes as long to import as all the rest, and which nobody asks for.

``torch.optim`` imports ``torch._dynamo`` with the first optimiser, to name functions that are not to be compiled. Here
that module is there at once and does the two things which are asked of it then; whatever else is asked of it, by a
user's environment that compiles something, loads it. Only for processes of this package's own.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


def without_compiler() -> None:
    """From now on PyTorch's compiler is loaded when it is used; nothing if it is loaded."""
    spec = importlib.util.find_spec(COMPILER) if COMPILER not in sys.modules else None
    if spec is not None:
        module = _Waiting(COMPILER)
        module.__spec__, module.__loader__, module.__package__ = spec, spec.loader, COMPILER
        module.__file__, module.__path__ = spec.origin, list(spec.submodule_search_locations or ())
        sys.modules[COMPILER] = sys.modules["torch"]._dynamo = module  # type: ignore[attr-defined]
        sys.meta_path.insert(0, _Parts(module))


class _Waiting(ModuleType):
    """The module until it is loaded; then the same object is a plain module."""

    __path__: Any

    def graph_break(self, msg: str = "") -> None:
        """Nothing, as upstream's outside of compiled code."""

    def disable(self, fn: Any = None, *given: Any, **named: Any) -> Any:
        """The function itself, and upstream's once there is a compiler."""
        if fn is None:
            return _load(self).disable(fn, *given, **named)
        upstream = None

        def function(*arguments: Any, **options: Any) -> Any:
            nonlocal upstream
            if upstream is None and type(self) is ModuleType:
                upstream = self.disable(fn, *given, **named)
            return (upstream or fn)(*arguments, **options)

        return function

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by whoever looks through all modules
            raise AttributeError(name)
        return getattr(_load(self), name)


def _load(module: ModuleType) -> Any:
    loaded: Any = module
    if type(module) is _Waiting:
        loaded.__class__ = ModuleType
        loaded.__spec__.loader.exec_module(loaded)
    return loaded


class _Parts(MetaPathFinder, Loader):
    """Loads the module before a part of it, as the import system would, and no part of it twice."""

    def __init__(self, whole: ModuleType) -> None:
        self._whole = whole
        self._spec: ModuleSpec | None = None

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(f"{COMPILER}.") or type(self._whole) is not _Waiting:
            return None
        _load(self._whole)
        if name not in sys.modules:
            return None
        self._spec = sys.modules[name].__spec__
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
