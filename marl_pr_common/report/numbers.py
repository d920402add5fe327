"""Numbers and differences as text."""

from __future__ import annotations

from collections.abc import Iterable

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


def difference_text(difference: Difference | None) -> str:
    """For a cell of a table."""
    if difference is None:
        return "not compared"
    return f"{difference.value:+.4g} [{difference.low:+.4g}, {difference.high:+.4g}]; p = {difference.p_holm:.2g}"


def verdict(difference: Difference) -> str:
    """A paired difference in words, stated plainly either way."""
    text = f"{difference.value:+.4g} [{difference.low:+.4g}, {difference.high:+.4g}], p = {difference.p_holm:.2g}"
    if not difference.different:
        return f"{text}: interval contains 0, no difference shown."
    return f"{text}: {'higher' if difference.low > 0.0 else 'lower'}, interval does not contain 0."
