"""Finite checks on what environments return: a NaN is named where it enters, not found hours later in a network."""

from __future__ import annotations

from typing import Any

import numpy as np


def require_finite(values: Any, what: str, where: str, agent: int | None = None) -> None:
    """Raise if an array, or any array of a dictionary, holds NaN or infinity.

    :param values: (n_agents, ...) array or dictionary of arrays; (...) if ``agent`` is given
    :param what: its name, for the message: "reward", "observation"
    :param where: when it came, for the message: "at step 1200"
    :raises ValueError: naming the agent, the position and the value
    """
    if isinstance(values, dict):
        for key, part in values.items():
            require_finite(part, f"{what}[{key!r}]", where, agent)
        return
    array = np.asarray(values)
    if array.dtype.kind not in "fc" or np.isfinite(array).all():
        return
    position = tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])
    value = array[position]
    if agent is None:
        agent, position = position[0], position[1:]
    place = f", coordinate {position if len(position) > 1 else position[0]}" if position else ""
    raise ValueError(
        f"non-finite {what} of agent {agent}{place} {where}: {value}. The transition was not stored, and no network "
        "was updated with it. Check the environment (VecCheckNan finds the step that causes it); what was saved before "
        "is unchanged."
    )
