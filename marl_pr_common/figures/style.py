"""Colours, saving, and intervals that all figures of this package share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

COLOURS = ("#000000", "#0072B2", "#E69F00", "#CC79A7", "#009E73", "#D55E00", "#56B4E9")
"""Okabe and Ito: told apart by colour-blind eyes. Line styles differ as well."""
DASHES = ("-", ":", "--", "-.", "-", "--", "-.")


def save(figure: Any, path: Path) -> list[Path]:
    """Write ``path`` as PNG (150 dpi) and SVG (text as text), and close the figure.

    :param path: without suffix; its folder is made
    """
    from matplotlib import pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    written = [path.with_name(path.name + suffix) for suffix in (".png", ".svg")]
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "marl-pr"}):
        figure.savefig(written[0], dpi=150, bbox_inches="tight")
        figure.savefig(written[1], bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    return written


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
