"""A film as GIF or MP4, from frames."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pr_common.runs.files import replacing

ENDINGS = (".gif", ".mp4")
FPS = 10
"""Frames per second where nobody says."""
INSTALL = 'pip install "marl-pr[film]"'
OWN = (
    ' An environment of your own is filmed if its factory makes it with render_mode="rgb_array", and render() then '
    "returns an array (height, width, 3)."
)


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


def default_film(folder: Path) -> Path:
    """Where a film goes if nobody says: an MP4, or a GIF where nothing writes the first."""
    return folder / ("film.mp4" if importlib.util.find_spec("imageio_ffmpeg") else "film.gif")


def picture(rendered: object) -> NDArray[np.uint8] | None:
    """What an environment's ``render`` gave as a frame, (height, width, 3); None if it is no picture."""
    frame = np.asarray(rendered)
    if frame.ndim != 3 or frame.shape[2] not in (3, 4):
        return None
    return frame[..., :3].astype(np.uint8)


def said(error: Exception) -> str:
    """What an environment's ``render`` raised; that of a base class, a NotImplementedError without a word."""
    if isinstance(error, NotImplementedError) and not str(error):
        return "it has no render()"
    return f"{type(error).__name__}: {error}".rstrip(": ")


def shot(env: Any, env_id: str) -> NDArray[np.uint8]:
    """A frame, (height, width, 3), of the environment as it stands.

    :raises ValueError: if it gives no picture
    """
    try:
        frame = picture(env.render())
    except Exception as error:  # whatever a third party's renderer raises
        hint = OWN if isinstance(error, NotImplementedError) else ""
        hint = " MUJOCO_GL=osmesa draws without a GPU." if "GL" in f"{type(error).__module__}{error}" else hint
        raise ValueError(f"env={env_id!r} can't be filmed: {said(error)}.{hint}") from error
    if frame is None:
        raise ValueError(f"env={env_id!r} can't be filmed: render() gives no picture.{OWN}")
    return frame


def write_film(file: Path, frames: Iterable[NDArray[np.uint8]], fps: float = FPS) -> int:
    """Write the frames, (height, width, 3) each, as what the file's ending says; an MP4's one by one as they come.

    :return: how many there were
    """
    import imageio.v2 as imageio
    import imageio.v3 as v3

    number = 0

    def counted() -> Iterator[NDArray[np.uint8]]:
        nonlocal number
        for number, frame in enumerate(frames, 1):  # noqa: B007
            yield frame

    with replacing(file) as temporary:
        if file.suffix.lower() == ".gif":
            v3.imwrite(temporary, list(counted()), duration=1000 / fps, loop=0)
        else:
            writer: Any
            with imageio.get_writer(temporary, fps=fps, macro_block_size=1) as writer:
                for frame in counted():
                    writer.append_data(frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2])  # H.264 wants it even
    return number
