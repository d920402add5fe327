"""A film as GIF or MP4, from frames."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ENDINGS = (".gif", ".mp4")
FPS = 10
"""Frames per second where nobody says."""
INSTALL = 'pip install "marl-pr[epymarl]"'


def check_film(file: Path) -> None:
    """Whether such a film can be written: asked before the first frame.

    :raises ValueError: for another ending, a folder that is not there, or without what writes it
    """
    if file.suffix.lower() not in ENDINGS:
        raise ValueError(f"--out={file}: expected a name that ends in {' or '.join(ENDINGS)}.")
    if not file.resolve().parent.is_dir():
        raise ValueError(f"--out={file}: there is no folder {file.parent}.")
    for package in ["imageio", *(["imageio_ffmpeg"] if file.suffix.lower() == ".mp4" else [])]:
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"--out={file}: the package {package} is not installed: {INSTALL}")


def write_film(file: Path, frames: Sequence[NDArray[np.uint8]], fps: float = FPS) -> None:
    """Write the frames, (height, width, 3) each, as what the file's ending says."""
    import imageio.v3 as imageio

    if file.suffix.lower() == ".gif":
        imageio.imwrite(file, frames, duration=1000 / fps, loop=0)
    else:
        even = [frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2] for frame in frames]  # H.264 wants it
        imageio.imwrite(file, even, fps=fps, macro_block_size=1)
