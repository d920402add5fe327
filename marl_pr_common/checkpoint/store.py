"""A directory of checkpoints, the newest few of a run.

root/000007-step-35000/manifest.json     format, kind, step, exact or approximate, checksums; written last
root/000007-step-35000/tree.json, tree.safetensors, tree.npz, and further parts
root/.staging-*                          a save in progress, or what a killed one left: removed by the next save
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from marl_pr_common.checkpoint.errors import CheckpointError
from marl_pr_common.checkpoint.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from marl_pr_common.checkpoint.payload import read_part, write_part
from marl_pr_common.runs.provenance import versions

MAIN = "tree"
"""The part that holds what has no part of its own."""
_NAME = re.compile(r"(\d{6,})-step-(\d+)")
_STAGING, _REMOVING, _LOCK = ".staging-", ".removing-", ".lock"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read."""

    tree: Any
    manifest: Manifest
    path: Path


def save(
    root: Path | str,
    tree: Mapping[str, Any],
    *,
    step: int,
    exact: bool = True,
    reason: str = "",
    kind: str = "",
    meta: Mapping[str, Any] | None = None,
    keep: int = 2,
    separate: Sequence[str] = (),
) -> Path:
    """Write a checkpoint into ``root`` and return its directory, ``root/SERIAL-step-STEP``.

    It appears under that name only when every byte is on the disk; what it makes superfluous goes only after that.

    :param tree: what to keep, see :mod:`marl_pr_common.checkpoint`
    :param step: how far training is; the number in the name
    :param exact: whether resuming continues bit for bit; if not, ``reason`` says what is missing
    :param kind: what wrote it, for instance "TD3PR"; ``load`` can ask for it
    :param meta: JSON for readers: it is in the manifest and can be read without the payload
    :param keep: newest checkpoints that stay, at least 1
    :param separate: top-level keys of ``tree`` that get files of their own
    :raises TypeError: if a value of ``tree`` cannot be kept; nothing is left behind
    :raises OSError: if the disk is full or read-only; earlier checkpoints are unchanged
    """
    if exact == bool(reason) or keep < 1 or step < 0:
        raise ValueError(
            f"exact={exact!r} with reason={reason!r}, keep={keep!r}, step={step!r}: expected a reason exactly if "
            "exact is False, keep >= 1 and step >= 0."
        )
    root = Path(root)
    parts = {MAIN: {key: value for key, value in tree.items() if key not in separate}}
    parts |= {key: tree[key] for key in separate}
    with _told(root), _locked(root):
        _remove_leftovers(root)
        staging = Path(tempfile.mkdtemp(dir=root, prefix=_STAGING))
        try:
            files = [file for name, part in parts.items() for file in write_part(staging, name, part)]
            manifest = Manifest(
                kind=kind,
                step=step,
                exact=exact,
                reason=reason,
                meta=json.loads(json.dumps(meta or {})),
                parts=list(parts),
                files={file.name: {"sha256": _hash(file, sync=True), "bytes": file.stat().st_size} for file in files},
                created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
                versions=versions(),
            )
            write_manifest(staging, manifest)
            _hash(staging / MANIFEST, sync=True)
            path = _publish(staging, root, step)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        _rotate(root, keep)
    return path


def load(path: Path | str, kind: str = "") -> Checkpoint:
    """Read a checkpoint: the one at ``path``, or the newest complete one below it.

    A damaged one is named in a warning, and the next older one is taken.

    :param kind: what must have written it; "" takes any
    :raises FileNotFoundError: if there is no checkpoint
    :raises CheckpointError: if the one at ``path`` is damaged or foreign, or every one below it is
    """
    path = Path(path)
    if (path / MANIFEST).exists():
        return _read(path, kind)
    found = checkpoints(path)
    if not found:
        raise FileNotFoundError(f"{path} holds no checkpoint. Give a checkpoint directory, or the one above it.")
    problems = []
    for candidate in reversed(found):
        try:
            return _read(candidate, kind)
        except (CheckpointError, OSError) as error:
            problems.append(str(error))
            if candidate is not found[0]:
                warnings.warn(f"checkpoint {candidate} is passed over: {error}", RuntimeWarning, stacklevel=2)
    raise CheckpointError(f"no checkpoint in {path} can be read. " + " ".join(problems))


def latest(root: Path | str) -> Path | None:
    """The newest checkpoint in ``root`` whose checksums hold, or None."""
    for candidate in reversed(checkpoints(root)):
        try:
            verify(candidate)
        except (CheckpointError, OSError):
            continue
        return candidate
    return None


def checkpoints(root: Path | str) -> list[Path]:
    """Directories in ``root`` with a checkpoint's name, oldest first; nothing is read."""
    root = Path(root)
    if not root.is_dir():
        return []
    found = [(int(match[1]), path) for path in root.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def verify(path: Path | str) -> Manifest:
    """Check a checkpoint's manifest and the checksum of every file.

    :raises CheckpointError: naming the file that is missing, altered or not a plain file
    """
    path = Path(path)
    manifest = read_manifest(path)
    for name, expected in manifest.files.items():
        file = path / name
        if file.is_symlink() or not file.is_file():
            raise CheckpointError(f"{file} is missing or not a plain file.")
        if file.stat().st_size != expected["bytes"] or _hash(file) != expected["sha256"]:
            raise CheckpointError(
                f"{file} is not what was saved: it is truncated or altered. Delete this checkpoint and resume from an "
                "older one."
            )
    return manifest


def _read(path: Path, kind: str) -> Checkpoint:
    manifest = verify(path)
    if kind and manifest.kind != kind:
        raise CheckpointError(f"{path} is a checkpoint of {manifest.kind or 'unknown kind'}, expected {kind}.")
    parts = {name: read_part(path, name, list(manifest.files)) for name in manifest.parts}
    tree = parts.pop(MAIN)
    if not isinstance(tree, dict):
        raise CheckpointError(f"{path}: the tree is a {type(tree).__name__}, expected a dictionary.")
    return Checkpoint({**tree, **parts}, manifest, path)


def _publish(staging: Path, root: Path, step: int) -> Path:
    _sync_directory(staging)
    serial = 1 + max((int(path.name.partition("-")[0]) for path in checkpoints(root)), default=0)
    path = root / f"{serial:06d}-step-{step}"
    staging.chmod(0o755)
    os.replace(staging, path)
    _sync_directory(root)
    return path


def _rotate(root: Path, keep: int) -> None:
    for path in checkpoints(root)[:-keep]:
        condemned = root / f"{_REMOVING}{path.name}"
        os.replace(path, condemned)  # so that no half-removed one has a checkpoint's name
        shutil.rmtree(condemned, ignore_errors=True)


def _remove_leftovers(root: Path) -> None:
    for path in root.iterdir():
        if path.name.startswith((_STAGING, _REMOVING)):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _told(root: Path) -> Iterator[None]:
    """An error of the disk says what it means for the run."""
    try:
        yield
    except OSError as error:
        text = f"no checkpoint was saved in {root}: {error.strerror or error}. Earlier checkpoints are unchanged"
        raise OSError(error.errno, text, error.filename) from error


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    if not root.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        _sync_directory(root.parent)
    with filelock.FileLock(root / _LOCK):
        yield


def _hash(file: Path, sync: bool = False) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        if sync:
            os.fsync(stream.fileno())
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
