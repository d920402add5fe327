"""``jit``: numba's ``njit``, cached on disk, where numba is installed, and the plain Python function where it is not.

Every kernel of this package is written in the subset of Python that numba compiles, so both give the same numbers.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

HAS_NUMBA: bool = importlib.util.find_spec("numba") is not None
"""Whether the kernels run compiled. ``pip install "marl-pr[fast]"`` installs numba."""


def jit(function: Function) -> Function:
    """``function`` compiled by numba (without fast-math: plain Python must agree to 1e-12), or as it is."""
    if not HAS_NUMBA:
        return function
    numba = importlib.import_module("numba")
    compiled = numba.njit(cache=True, error_model="numpy")(function)
    try:
        # numba looks for changes in the function's own file only: a kernel would keep an old callee of another file
        compiled._cache._cache_file._source_stamp = _sources()
    except AttributeError:  # a numba that keeps its cache otherwise
        compiled = numba.njit(error_model="numpy")(function)
    result: Function = compiled
    return result


@functools.cache
def plain(function: Function) -> Function:
    """A kernel, and every kernel that it calls, as Python runs them."""
    own: Any = getattr(function, "py_func", function)
    called = {name: own.__globals__.get(name) for name in own.__code__.co_names}
    kernels = {name: plain(found) for name, found in called.items() if hasattr(found, "py_func")}
    result: Any = types.FunctionType(own.__code__, {**own.__globals__, **kernels}, own.__name__)
    return cast(Function, result)


@functools.cache
def _sources() -> str:
    """A digest of all files that may hold kernels."""
    package = Path(__file__).parent.parent
    files = sorted([*package.glob("envs/grids/*.py"), *package.glob("tabular/*.py")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
