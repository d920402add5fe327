"""The battles of SMAX by name, and how long each may last. Nothing here needs jax."""

from __future__ import annotations

from typing import Any

import numpy as np

PREFIX = "smax:"
LIMITS = {
    "3m": 60,
    "8m": 120,
    "25m": 150,
    "5m_vs_6m": 70,
    "10m_vs_11m": 150,
    "27m_vs_30m": 180,
    "2s3z": 120,
    "3s5z": 150,
    "3s5z_vs_3s6z": 170,
    "3s_vs_5z": 250,
    "6h_vs_8z": 150,
    "smacv2_5_units": 200,
    "smacv2_10_units": 200,
    "smacv2_20_units": 200,
}
"""Map -> steps per episode, which are SMAC's and SMACv2's own. (JaxMARL's one limit for all maps is 100.)"""


def map_of(name: str) -> str:
    """The map of a name such as "smax:3s_vs_5z", or of "3s_vs_5z".

    :raises ValueError: for a map that SMAX does not have
    """
    found = str(name).removeprefix(PREFIX)
    if found not in LIMITS:
        raise ValueError(f"Unknown SMAX map {found!r}. Known: {', '.join(LIMITS)}; as in make('{PREFIX}3s_vs_5z').")
    return found


def limit_of(map_name: str, max_cycles: Any = None) -> int:
    """Steps until truncation.

    :param max_cycles: None for the map's own
    :raises ValueError: for a limit below 1
    """
    if max_cycles is None:
        return LIMITS[map_name]
    if type(max_cycles) is bool or not isinstance(max_cycles, (int, np.integer)) or max_cycles < 1:
        raise ValueError(f"SMAX: max_cycles={max_cycles!r}, expected a number of steps >= 1.")
    return int(max_cycles)
