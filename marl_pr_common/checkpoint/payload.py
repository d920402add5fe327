"""One part of a checkpoint as three files: NAME.json, NAME.safetensors, NAME.npz. Sizes are checked before memory is
taken, and nothing is unpickled."""

from __future__ import annotations

import base64
import errno
import json
import math
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from marl_pr_common.checkpoint.errors import CheckpointError
from marl_pr_common.checkpoint.tree import Encoded, decode, encode

FILE_NAME = re.compile(r"[a-z][a-z0-9_]*\.(json|npz|safetensors)")
_ENTRY_NAME = re.compile(r"[0-9]+\.npy")
_MAX_HEADER = 10_000
_ARRAY = "array."


def write_part(directory: Path, name: str, tree: Any) -> list[Path]:
    """Write ``tree`` as files of that name into ``directory``; only the kinds of file that it needs.

    :raises TypeError: for a value that cannot be kept
    :raises OSError: if the disk takes no more
    """
    encoded: Encoded = encode(tree)
    files = [directory / f"{name}.json"]
    files[0].write_text(json.dumps(encoded.structure, allow_nan=False), encoding="utf-8")
    if encoded.tensors:
        import safetensors.torch

        files.append(directory / f"{name}.safetensors")
        try:
            safetensors.torch.save_file(encoded.tensors, files[-1])
        except safetensors.SafetensorError as error:  # of a full disk: no OSError
            known = re.search(r"\(os error (\d+)\)", str(error))
            number = int(known[1]) if known else errno.EIO
            raise OSError(number, os.strerror(number) if known else str(error), str(files[-1])) from error
        files[-1].chmod(0o644)  # as the other files
    if encoded.arrays:
        files.append(directory / f"{name}.npz")
        np.savez(files[-1], allow_pickle=False, **encoded.arrays)
    return files


def read_part(directory: Path, name: str, files: list[str]) -> Any:
    """The tree that :func:`write_part` wrote.

    :param files: the files that belong to the checkpoint; others of the name are not read
    :raises CheckpointError: if a file is not what ``write_part`` writes
    """
    paths = {kind: directory / f"{name}.{kind}" for kind in ("json", "safetensors", "npz")}
    structure = read_json_value(paths["json"])
    tensors = _read_tensors(paths["safetensors"]) if paths["safetensors"].name in files else {}
    arrays = _read_arrays(paths["npz"]) if paths["npz"].name in files else {}
    try:
        return decode(structure, tensors, arrays)
    except CheckpointError as error:
        raise CheckpointError(f"{paths['json']}: {error}.") from error


def to_plain(tree: Any) -> dict[str, Any]:
    """The tree as data that JSON holds, for files that are not checkpoints of ours: tensors and arrays of numbers as
    safetensors, in base64.

    :raises TypeError: for a value that cannot be kept
    """
    import safetensors.torch
    import torch as th

    encoded: Encoded = encode(tree)
    arrays = {_ARRAY + name: th.from_numpy(np.array(array, order="C")) for name, array in encoded.arrays.items()}
    content = safetensors.torch.save({**encoded.tensors, **arrays})
    return {"tree": encoded.structure, "tensors": base64.b64encode(content).decode()}


def from_plain(content: Any) -> Any:
    """The inverse of :func:`to_plain`.

    :raises CheckpointError: if it is not what ``to_plain`` makes
    """
    import safetensors.torch

    try:
        tensors = safetensors.torch.load(base64.b64decode(content["tensors"]))
        arrays = {
            name.removeprefix(_ARRAY): tensor.numpy() for name, tensor in tensors.items() if name.startswith(_ARRAY)
        }
        return decode(content["tree"], tensors, arrays)
    except (KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"the saved state is damaged: {error}.") from error


def read_json_value(path: Path) -> Any:
    """Strict JSON: no NaN, no key twice, no nesting beyond what Python's reader takes.

    :raises CheckpointError: if it is anything else
    """
    try:
        return json.loads(path.read_bytes(), parse_constant=_no_constant, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise CheckpointError(f"{path} is not valid JSON: {error}.") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key comes twice in one object")
    return content


def _read_tensors(path: Path) -> dict[str, Any]:
    import safetensors.torch  # torch is there where a host has tensors; tables need none

    try:
        # cloned: the file's memory map must not outlive the checkpoint, which may be rotated away
        return {name: tensor.clone() for name, tensor in safetensors.torch.load_file(path).items()}
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path} is not a valid safetensors file: {error}.") from error


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_archive(archive, path.stat().st_size)
            return {info.filename.removesuffix(".npy"): _read_array(archive, info) for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise CheckpointError(f"{path} is not a valid npz file: {error}.") from error


def _check_archive(archive: zipfile.ZipFile, size: int) -> None:
    """Entries as NumPy writes them: uncompressed, plain names, together no larger than the file."""
    names = [info.filename for info in archive.infolist()]
    if len(set(names)) < len(names):
        raise ValueError("an entry comes twice")
    for info in archive.infolist():
        if not _ENTRY_NAME.fullmatch(info.filename):
            raise ValueError(f"entry {info.filename[:100]!r} has a name that checkpoints do not use")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
            raise ValueError(f"entry {info.filename} is compressed or encrypted; checkpoints are neither")
    if sum(info.file_size for info in archive.infolist()) > size:
        raise ValueError("the entries claim to be larger than the file")


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array, after its header was held against the entry's size."""
    with archive.open(info) as stream:
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"entry {info.filename} has npy version {version}")
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(stream, max_header_size=_MAX_HEADER)
        if dtype.hasobject:
            raise ValueError(f"entry {info.filename} holds Python objects, which could run code when loaded")
        wanted = math.prod(shape) * dtype.itemsize
        if any(length < 0 for length in shape) or wanted != info.file_size - stream.tell():
            raise ValueError(f"entry {info.filename} has {info.file_size} bytes, its header asks for {wanted}")
        stream.seek(0)
        array = npy.read_array(stream, allow_pickle=False, max_header_size=_MAX_HEADER)
        if stream.read(1):
            raise ValueError(f"entry {info.filename} is longer than its array")  # reading to the end checks the CRC
    return array
