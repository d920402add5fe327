"""``jit``: numba's ``njit``, cached on disk, where numba is installed, and the plain Python function where it is not.

Every kernel of this package is written in the subset of Python that numba compiles, so both give the same numbers.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

HAS_NUMBA: bool = importlib.util.find_spec("numba") is not None
"""Whether the kernels run compiled. ``pip install "marl-pr[fast]"`` installs numba."""


def jit(function: Function) -> Function:
    """``function`` compiled by numba (without fast-math: the NumPy oracle must agree to 1e-12), or as it is."""
    if not HAS_NUMBA:
        return function
    numba = importlib.import_module("numba")
    compiled: Function = numba.njit(cache=True, error_model="numpy")(function)
    return compiled
