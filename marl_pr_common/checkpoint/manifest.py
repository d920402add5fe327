"""``manifest.json``: what a checkpoint is, and the checksum of every file in it and of itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marl_pr_common.checkpoint.errors import CheckpointError
from marl_pr_common.checkpoint.payload import FILE_NAME, read_json_value

MANIFEST = "manifest.json"
FORMAT = "marl-pr checkpoint"
VERSION = 1
_MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Manifest:
    """What is known of a checkpoint without reading its payload."""

    kind: str
    """What wrote it, for instance "TD3PR"."""
    step: int
    exact: bool
    """Whether resuming continues bit for bit."""
    reason: str
    """Why it is only approximate; "" if it is exact."""
    meta: dict[str, Any]
    parts: list[str]
    """Names of the payload's parts; "tree" is the main one."""
    files: dict[str, dict[str, Any]]
    """File name -> {"sha256": ..., "bytes": ...}."""
    created: str
    versions: dict[str, str | None]
    """Distributions that were installed when it was written."""


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write it; the caller sees to it that it comes last and reaches the disk."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "resume": "exact" if manifest.exact else "approximate",
        **dataclasses.asdict(manifest),
    }
    content["checksum"] = _checksum(content)
    (directory / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_manifest(directory: Path) -> Manifest:
    """Read and check it.

    :raises CheckpointError: if it is missing, damaged, foreign, or of a later format
    """
    path = directory / MANIFEST
    if path.is_symlink() or not path.is_file():
        raise CheckpointError(f"{path} is missing: {directory} is not a complete checkpoint.")
    if path.stat().st_size > _MAX_BYTES:
        raise CheckpointError(f"{path} has {path.stat().st_size} bytes; a manifest has at most {_MAX_BYTES}.")
    content = read_json_value(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} was not written by marl-pr: its format is not {FORMAT!r}.")
    version = content.get("version")
    if type(version) is not int or version > VERSION:
        raise CheckpointError(
            f"{path} has format version {version!r}; this marl-pr reads up to {VERSION}. Load it with a later marl-pr."
        )
    if content.get("checksum") != _checksum(content):
        raise CheckpointError(f"{path} is not what was saved: its checksum does not hold.")
    return _checked(content, path)


def _checked(content: dict[str, Any], path: Path) -> Manifest:
    expected = {"kind": str, "step": int, "exact": bool, "reason": str, "meta": dict, "parts": list, "files": dict,
                "created": str, "versions": dict}  # fmt: skip
    for key, kind in expected.items():
        if type(content.get(key)) is not kind:
            raise CheckpointError(f"{path}: {key} is {content.get(key)!r}, expected a {kind.__name__}.")
    files: dict[Any, Any] = content["files"]
    for name, entry in files.items():
        if not FILE_NAME.fullmatch(name) or name == MANIFEST:
            raise CheckpointError(f"{path} names the file {name[:100]!r}, which no checkpoint has.")
        if not isinstance(entry, dict) or type(entry.get("bytes")) is not int or type(entry.get("sha256")) is not str:
            raise CheckpointError(f"{path}: the entry of {name} has no checksum or size.")
    for part in content["parts"]:
        if not isinstance(part, str) or f"{part}.json" not in files:
            raise CheckpointError(f"{path}: the part {part!r} has no file.")
    if "tree" not in content["parts"]:
        raise CheckpointError(f"{path}: the part 'tree' is missing.")
    return Manifest(**{key: content[key] for key in expected})


def _checksum(content: dict[str, Any]) -> str:
    plain = {key: value for key, value in content.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
