"""What MuJoCo says about a model or a simulation: to the log, instead of into the terminal and MUJOCO_LOG.TXT."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NAME = "mujoco"
KNOWN = ("compiler attribute 'settotalmass' is deprecated",)
"""What gymnasium's own models make every version of MuJoCo from 4 on say, once for each environment that is made."""


def log_warnings() -> None:
    """From now on MuJoCo's warnings go to the logger "marl_pr", each once, but :data:`KNOWN`; it is not imported."""
    if NAME in sys.modules:
        _listen(sys.modules[NAME])
    elif not any(isinstance(finder, _Afterwards) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Afterwards())


def draw_without_display() -> None:
    """Where there is no display, and nobody said how to draw, MuJoCo draws by EGL. Before it is imported."""
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")


def _listen(module: ModuleType) -> None:
    if hasattr(module, "set_mju_user_warning"):
        module.set_mju_user_warning(_tell)


_told: set[str] = set()


def _tell(message: Any) -> None:
    text = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
    if text not in _told and not any(known in text for known in KNOWN):
        _told.add(text)
        logging.getLogger("marl_pr").warning("MuJoCo: %s", text)


class _Afterwards(MetaPathFinder):
    """Waits for MuJoCo's import, and then is gone."""

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != NAME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Listening(spec.loader)
        return spec


class _Listening(Loader):
    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = module.__spec__.loader = self.loader  # type: ignore[union-attr]
        self.loader.exec_module(module)
        _listen(module)
