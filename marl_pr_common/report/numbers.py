"""Numbers and differences as text."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from marl_pr_common.results.stats import Difference


def number(value: float) -> str:
    """A return with the digits that a reader can use: -1203, -123.4, 0.567."""
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def span(values: Iterable[int]) -> str:
    """Numbers as one number, or as a range: 600, or 600 to 1,800."""
    found = sorted({int(value) for value in values})
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


def plural(count: int, noun: str) -> str:
    """1 seed, 2 seeds."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def two(value: float) -> str:
    """Two significant digits, never as a power of ten: -280, 3.6, 0.045."""
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.1e}")
    decimals = max(0, 1 - int(np.floor(np.log10(abs(rounded)))))
    return f"{rounded:,.{decimals}f}"


def interval_text(value: float, low: float, high: float) -> str:
    """A difference and its interval."""
    signed = (f"{'+' * (number > 0)}{two(number)}" for number in (value, low, high))
    return "{} [{}, {}]".format(*signed)


def difference_text(difference: Difference | None) -> str:
    """For a cell of a table; p where it says more than the interval."""
    if difference is None:
        return "not compared"
    p = f"; p = {difference.p_holm:.2g}" if difference.p_holm < 1 else ""
    return f"{interval_text(difference.value, difference.low, difference.high)}{p}"


def verdict(difference: Difference) -> str:
    """A paired difference in words, stated plainly either way."""
    text = f"{difference.value:+.4g} [{difference.low:+.4g}, {difference.high:+.4g}], p = {difference.p_holm:.2g}"
    if not difference.different:
        return f"{text}: interval contains 0, no difference shown."
    return f"{text}: {'higher' if difference.low > 0.0 else 'lower'}, interval does not contain 0."
