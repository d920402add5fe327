"""Which simulators of the multi-agent tasks are there. Nothing of them is imported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """A simulator.

    modules: what must be importable
    use: what it is for
    advice: how to get it
    """

    name: str
    modules: tuple[str, ...]
    use: str
    advice: str


SMAX_INSTALL = 'pip install "marl-pr[smax]" && pip install --no-deps "jaxmarl>=0.2,<0.3"'
"""JaxMARL goes in without its dependencies: gymnax, which no environment needs, would downgrade gymnasium."""
SMACLITE_INSTALL = (
    "pip install --no-deps git+https://github.com/uoe-agents/smaclite.git && pip install rtree scikit-learn pygame-ce"
)
"""Its own requirement of one old version of Rtree is not needed."""
ENGINES = (
    Engine("mpe2", ("mpe2", "pettingzoo"), "predator-prey, cooperative navigation", 'pip install "marl-pr[mpe]"'),
    Engine("SMAX", ("jax", "jaxmarl"), "StarCraft's battles without the game; fast particles", SMAX_INSTALL),
    Engine("SMAClite", ("smaclite",), "StarCraft's battles without the game, slowly", SMACLITE_INSTALL),
    Engine("SMAC", ("smac",), "with the game", "pip install git+https://github.com/oxwhirl/smac.git"),
    Engine("SMACv2", ("smacv2",), "with the game", "pip install git+https://github.com/oxwhirl/smacv2.git"),
)


def installed(module: str) -> bool:
    """Whether a module is there. A folder of that name, such as a clone in the current directory, is none, and neither
    is a stand-in that was put into ``sys.modules``."""
    try:
        spec = importlib.util.find_spec(module)
    except ValueError:
        return False
    return spec is not None and spec.origin is not None


def missing(engine: Engine) -> list[str]:
    """Modules that are not installed."""
    return [name for name in engine.modules if not installed(name)]


def versions(engine: Engine) -> str:
    """Modules and their versions, as "jax 0.10.2, jaxmarl 0.2.0"."""
    return ", ".join(f"{name} {_version(name)}" for name in engine.modules)


def _version(module: str) -> str:
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:  # a source folder on the path
        return "of unknown version"
