"""What the tabular figures share: the project's palette in an order of their own, saving, and intervals.

The intervals are not those of :mod:`marl_pr_common.stats`: Student's t for means, and an order statistic for medians
of steps that may be infinite. The numbers printed in docs/tabular.md were made with them, and stay what they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from marl_pr_common.plots.style import OKABE_ITO, SVG, save_figure

COLOURS = tuple(OKABE_ITO[index] for index in (6, 0, 5, 3, 2, 1, 4))
"""Okabe and Ito: told apart by colour-blind eyes. Line styles differ as well."""
DASHES = ("-", ":", "--", "-.", "-", "--", "-.")


def save(figure: Any, path: Path) -> list[Path]:
    """Write ``path`` as PNG (150 dpi) and SVG (text as text), without empty margins, and close the figure.

    :param path: without suffix; its folder is made
    """
    from matplotlib import pyplot as plt

    written = save_figure(figure, path, dpi=150, tight=True, style=SVG)
    plt.close(figure)
    return list(written)


def new_figure(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Any, Any]:
    """A figure and its axes, (rows, columns) always, drawn without a window.

    :param size: width and height of one panel in inches
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    return plt.subplots(rows, columns, figsize=(size[0] * columns, size[1] * rows), squeeze=False, **options)


def mean_interval(values: ArrayLike, axis: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over seeds and half width of its 95 % Student-t interval (NaN for fewer than two seeds)."""
    array = np.asarray(values, dtype=np.float64)
    n = array.shape[axis]
    mean = array.mean(axis=axis)
    if n < 2:
        return np.asarray(mean), np.full(np.shape(mean), np.nan)
    half = student.ppf(0.975, n - 1) * array.std(axis=axis, ddof=1) / np.sqrt(n)
    return np.asarray(mean), np.asarray(half)


def median_interval(values: ArrayLike, rng: np.random.Generator, draws: int = 10_000) -> tuple[float, float, float]:
    """Median over seeds and its 95 % percentile-bootstrap interval; infinite values (never reached) count as
    largest."""
    array = np.sort(np.asarray(values, dtype=np.float64))
    resampled = np.sort(rng.choice(array, size=(draws, len(array))), axis=1)
    medians = np.sort(np.array(resampled[:, (len(array) - 1) // 2]))
    return float(array[(len(array) - 1) // 2]), float(medians[int(0.025 * draws)]), float(medians[int(0.975 * draws)])
