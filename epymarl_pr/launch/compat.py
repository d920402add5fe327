"""Run-time stand-ins that let an unmodified EPyMARL run with current packages. Nothing on disk is changed.

    pkg_resources       gone from setuptools; sacred reads the installed packages through it
    smaclite            imported always by EPyMARL's environments; may be missing or broken
    pettingzoo.mpe      moved to the package mpe2
    tensorboard_logger  does not import with current protobuf; torch.utils.tensorboard writes the same files
    pysc2               its messages need protobuf's reader in Python, which must be chosen before protobuf is imported

A package that is there and imports is always preferred.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


def install(src: Path) -> None:
    """Put the checkout's ``src`` first on the import path, as running its ``main.py`` does, and the stand-ins in place.

    Safe to call again, and cheap: environments are registered by name and imported when made.
    """
    # EPyMARL indexes with lists; torch says at every place that it may mean something else one day
    warnings.filterwarnings("ignore", "Using a non-tuple sequence for multidimensional indexing", UserWarning)
    if _folder("pysc2") is not None:
        os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")
    if str(src) not in sys.path:
        sys.path.insert(0, str(src))
    if not _imports("pkg_resources"):
        sys.modules["pkg_resources"] = _package_resources()
    if not _imports("smaclite"):
        sys.modules["smaclite"] = _missing_smaclite()
    if _folder("mpe2") is not None and not _pettingzoo_has_mpe():
        if not any(isinstance(finder, _MovedMPE) for finder in sys.meta_path):
            sys.meta_path.insert(0, _MovedMPE())  # before PettingZoo's own module, which only says where it has gone
        _register_mpe()
    if not _imports("tensorboard_logger"):
        sys.modules["tensorboard_logger"] = _tensorboard_logger()


def _imports(name: str) -> bool:
    """Whether a module is there and imports; an old binary dependency may raise anything."""
    if name in sys.modules:
        return True
    if importlib.util.find_spec(name) is None:
        return False
    try:
        importlib.import_module(name)
    except Exception:
        return False
    return True


def _folder(package: str) -> Path | None:
    """Where a package is, without importing it; None if it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _environments(folder: Path | None) -> list[Path]:
    """Modules of a folder that hold one of PettingZoo's environments, such as ``simple_spread_v3.py``."""
    return [] if folder is None else sorted(folder.glob("*_v?.py"))


def _pettingzoo_has_mpe() -> bool:
    folder = _folder("pettingzoo")
    return folder is not None and bool(_environments(folder / "mpe"))


class _Distribution:
    """What sacred reads of an installed package."""

    def __init__(self, distribution: importlib.metadata.Distribution):
        metadata = distribution.metadata  # read once: each time it is parsed anew, for every installed package
        self.project_name = metadata["Name"] or "unknown"
        self.key = self.project_name.lower()
        self.version = metadata["Version"]
        self._distribution = distribution

    def _get_metadata(self, name: str) -> list[str]:
        return (self._distribution.read_text(name) or "").splitlines()


class _WorkingSet:
    """All installed packages, once each."""

    def __init__(self) -> None:
        self.by_key: dict[str, _Distribution] = {}
        for found in importlib.metadata.distributions():
            distribution = _Distribution(found)
            self.by_key.setdefault(distribution.key, distribution)

    def __iter__(self) -> Iterator[_Distribution]:
        return iter(self.by_key.values())


def _package_resources() -> ModuleType:
    module = ModuleType("pkg_resources")

    def resource_filename(package: str, name: str) -> str:
        folder = _folder(package)
        if folder is None:
            raise ModuleNotFoundError(f"no package {package!r} to read {name!r} from")
        return str(folder / name)

    module.__dict__.update(working_set=_WorkingSet(), resource_filename=resource_filename)
    return module


def _missing_smaclite() -> ModuleType:
    """An empty module: EPyMARL imports it for the environments that it registers with gymnasium."""
    module = ModuleType("smaclite")
    module.__doc__ = "SMAClite is not installed, or does not import: its environments are not registered."
    return module


class _MovedMPE(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers ``pettingzoo.mpe.X`` with ``mpe2.X``, where PettingZoo itself no longer has it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "pettingzoo.mpe" or fullname.startswith("pettingzoo.mpe."):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname == "pettingzoo.mpe")
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Alias(spec.name, importlib.import_module("mpe2" + spec.name.removeprefix("pettingzoo.mpe")))

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: the module it stands for has been imported."""


class _Alias(ModuleType):
    """Another name of a module. (The module itself would have its ``__spec__`` overwritten by the import system.)"""

    def __init__(self, name: str, module: ModuleType):
        super().__init__(name, module.__doc__)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _register_mpe() -> None:
    """Give gymnasium the ``pz-mpe-*`` ids that EPyMARL's wrapper made when PettingZoo still had MPE."""
    import gymnasium as gym

    for file in _environments(_folder("mpe2")):
        name = f"pz-mpe-{file.stem.replace('_', '-')}"
        if name not in gym.registry:
            gym.register(
                name,
                entry_point="envs.pz_wrapper:PettingZooWrapper",
                kwargs={"lib_name": "mpe", "env_name": file.stem},
            )


def _tensorboard_logger() -> ModuleType:
    """``configure`` and ``log_value`` over torch's writer."""
    module = ModuleType("tensorboard_logger")
    writers: list[Any] = []

    def configure(directory: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        writers[:] = [SummaryWriter(directory)]
        atexit.register(writers[0].close)  # its thread dies with the interpreter, and what it has not written

    def log_value(name: str, value: float, step: int) -> None:
        writers[0].add_scalar(name, value, step)

    module.__dict__.update(configure=configure, log_value=log_value)
    return module
