"""Files that are either whole or absent: write beside the target, then rename over it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_LONGEST = 180
"""Characters of a name: file systems take 255, and files beside a folder are named after it."""


def file_name(text: str) -> str:
    """``text`` as the name of a file or folder that Linux, macOS, Windows and shells take without quotes.

    What a name may not hold (":", spaces, "/", ...) becomes "_". Names that are fine already stay what they are. The
    same text always gives the same name; texts that differ in such characters only give the same one.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", text).rstrip(".")
    if not name or name[0] in "-." or _RESERVED.match(name):  # an option, hidden, or a device
        name = f"_{name}"
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return name


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in ``path``'s folder that replaces ``path`` when the block ends without an error.

    A reader, or a crash, sees the old file or the new one and never half of either. The temporary path keeps
    ``path``'s suffix, because writers such as matplotlib choose the format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the content of ``path`` by ``text`` (UTF-8)."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace the content of ``path`` by ``content`` as indented JSON."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The mapping that :func:`write_json` left in ``path``.

    :raises FileNotFoundError: if there is no such file
    :raises ValueError: if the file is not a JSON mapping
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error}). It was not written by marl-pr, or was edited.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected a JSON mapping.")
    return content


def require_unused(path: Path) -> None:
    """Raise FileExistsError if ``path`` is a file or a directory that holds anything; nothing is touched."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(
            f"{path} already exists and is not empty; nothing in it was changed. Choose another --out, or move it away."
        )
