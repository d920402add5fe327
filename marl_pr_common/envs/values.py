"""Single values that a user's environment gives, checked by type and value: rewards, flags and action masks."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 1e100
"""Rewards below this in size leave room for their discounted and weighted sums in 64 bits."""


def reward_of(agent: Any, value: Any) -> float:
    """A reward as a float: a number, or an array or tensor of one.

    :raises ValueError: for anything else, and for a reward that is not finite
    """
    if type(value) is float and -LARGEST < value < LARGEST:
        return value
    one = _single(value)
    # NaN fails both comparisons; mypy knows no order of numbers.Real
    if not isinstance(one, numbers.Real) or not -LARGEST < one < LARGEST:  # type: ignore[operator]
        raise ValueError(
            f"agent {agent!r}: the reward {value!r} ({type(value).__name__}) is not one finite number. Give every "
            f"agent one number below {LARGEST:g} in size."
        )
    return float(one)


def flag_of(agent: Any, name: str, value: Any) -> bool:
    """A termination or truncation as a bool: True, False, 1, 0, or an array of one of these.

    :raises ValueError: for anything else
    """
    if (flag := as_flag(value)) is None:
        raise ValueError(f"agent {agent!r}: {name}={value!r} ({type(value).__name__}): expected True or False.")
    return flag


def as_flag(value: Any) -> bool | None:
    """True, False, 1, 0, or an array of one of these, as a bool; None for anything else."""
    if value is True or value is False:
        return bool(value)
    one = _single(value)
    return bool(one) if isinstance(one, numbers.Real) and one in (0, 1) else None


def mask_of(agent: Any, value: Any, n_actions: int) -> NDArray[np.bool_]:
    """An action mask, (n_actions,), True where the action is allowed.

    :param value: n_actions numbers 0 or 1, or bools
    :raises ValueError: for another length or other values
    """
    try:
        mask = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _wrong_mask(agent, value, n_actions) from error
    if mask.size != n_actions or mask.dtype.kind not in "iubf" or not ((mask == 0) | (mask == 1)).all():
        raise _wrong_mask(agent, value, n_actions)
    return mask.ravel().astype(np.bool_)


def _wrong_mask(agent: Any, value: Any, n_actions: int) -> ValueError:
    return ValueError(
        f"agent {agent!r}: the action_mask {value!r} is no mask of its {n_actions} actions. Give {n_actions} numbers, "
        "1 where the action is allowed and 0 where it is not."
    )


def _single(value: Any) -> Any:
    """The Python number in an array or tensor of one element; other values as they are."""
    if hasattr(value, "item"):
        try:
            return value.item()
        except (TypeError, ValueError, RuntimeError):
            return value
    return value
