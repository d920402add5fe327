"""Seeds that a user gives, checked alike in every environment."""

from __future__ import annotations

import operator
from typing import Any


def checked_seed(seed: Any) -> int | None:
    """The seed as a Python integer; NumPy's integers are seeds too.

    :raises ValueError: unless it is None or an integer >= 0
    """
    if seed is None:
        return None
    try:
        found = operator.index(seed)
    except TypeError:
        found = -1
    if found < 0:
        raise ValueError(f"seed={seed!r}: expected None or an integer >= 0.")
    return found
