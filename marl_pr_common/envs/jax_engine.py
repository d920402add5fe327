"""jax and JaxMARL, imported when an environment that runs on them is made, and not before."""

from __future__ import annotations

import functools
import importlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from marl_pr_common.envs.simulators import ENGINES, SMAX_INSTALL, missing


def require() -> None:
    """Whether jax and JaxMARL are installed; imports neither.

    :raises ImportError: says what to install
    """
    absent = [name for engine in ENGINES if engine.name == "SMAX" for name in missing(engine)]
    if absent:
        raise ImportError(f"SMAX and engine='jaxmarl' need {' and '.join(absent)}. Run: {SMAX_INSTALL}")


@functools.cache
def load(module: str) -> Any:
    """A module of jax or of JaxMARL.

    The first call decides, where the user has not: jax runs on the CPU (``JAX_PLATFORMS``), because one environment is
    too little work for a GPU and eight workers would fight for its memory; and what jax compiles is kept on disk
    (``JAX_COMPILATION_CACHE_DIR``), so that the next process starts in seconds.

    :param module: such as "jax.numpy" or "jaxmarl.environments.smax"
    :raises ImportError: if it, or what it imports, is missing; says what to install
    """
    _configure()
    try:
        with _quiet(), _float32(module):
            return importlib.import_module(module)
    except ImportError as error:
        text = f"SMAX and engine='jaxmarl' need jax and JaxMARL ({error}). Run: {SMAX_INSTALL}"
        raise ImportError(text) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """JaxMARL reports on standard output what it does not find, after it has set the streams to the original ones."""
    names = ("stdout", "stderr", "__stdout__", "__stderr__")
    streams = {name: getattr(sys, name) for name in names}
    for name in names[::2]:
        setattr(sys, name, io.StringIO())
    try:
        yield
    finally:
        for name, stream in streams.items():
            setattr(sys, name, stream)


def _float32(module: str) -> AbstractContextManager[Any]:
    """JaxMARL's modules make constants when they are imported; SMAX does not compile with float64 ones."""
    if not module.startswith("jaxmarl"):
        return nullcontext()
    context: AbstractContextManager[Any] = importlib.import_module("jax").enable_x64(False)
    return context


def _configure() -> None:
    if "jax" in sys.modules:  # the user's own settings stand
        return
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache_folder())
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


def cache_folder() -> Path:
    """Where compiled code is kept unless ``JAX_COMPILATION_CACHE_DIR`` says otherwise."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "marl-pr" / "jax"


def strong(tree: Any) -> Any:
    """The same arrays without jax's weak types, with which the second call of a compiled function compiles again."""
    jax = load("jax")
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), tree)
