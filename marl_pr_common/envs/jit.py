"""``jit``: numba's ``njit``, cached on disk, where numba is installed, and the plain Python function where it is not.

Every kernel of this package is written in the subset of Python that numba compiles, so both give the same numbers.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

HAS_NUMBA: bool = importlib.util.find_spec("numba") is not None
"""Whether the kernels run compiled. ``pip install "marl-pr[fast]"`` installs numba."""


def jit(function: Function) -> Function:
    """``function`` compiled by numba (without fast-math: the NumPy oracle must agree to 1e-12), or as it is."""
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
def _sources() -> str:
    """A digest of all files that may hold kernels."""
    package = Path(__file__).parent.parent
    files = sorted([*package.glob("envs/grids/*.py"), *package.glob("tabular/*.py")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
