"""Nested values as plain JSON with references to tensors and arrays, and back with every type kept.

A JSON object with one key that starts with "$" is a value that JSON lacks; every other object is a dictionary.
    {"$tensor": "0"}  {"$array": "0"}     entry of the .safetensors or .npz file
    {"$tuple": [...]}  {"$dict": [[key, value], ...]}  {"$float": "nan"}  {"$scalar": ["<f4", "0000803f"]}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from marl_pr_common.checkpoint.errors import CheckpointError
from marl_pr_common.checkpoint.rng import of_torch

if TYPE_CHECKING:
    import torch as th

MAX_DEPTH = 100
"""Levels of nesting that are written and read."""
_SCALAR_KINDS = "biufcSUmM"
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass
class Encoded:
    """A tree in three parts."""

    structure: Any = None
    """What JSON holds."""
    tensors: dict[str, th.Tensor] = field(default_factory=dict)
    """Contiguous CPU tensors that share no memory."""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def encode(tree: Any) -> Encoded:
    """Take a tree apart. Tensors are copied to the CPU (gradients and aliases are not kept); arrays are not copied.

    :raises TypeError: naming the place and the type of a value that cannot be kept
    """
    encoded = Encoded()
    encoded.structure = _encode(tree, "tree", 0, encoded)
    return encoded


def decode(structure: Any, tensors: Mapping[str, th.Tensor], arrays: Mapping[str, np.ndarray]) -> Any:
    """Put a tree together again: the inverse of :func:`encode`. Tensors are on the CPU.

    :raises CheckpointError: for a structure that ``encode`` does not make, or a reference to nothing
    """
    return _decode(structure, _Parts(tensors, arrays), 0)


def _encode(value: Any, where: str, depth: int, out: Encoded) -> Any:
    if depth > MAX_DEPTH:
        raise TypeError(f"{where}: nested deeper than {MAX_DEPTH} levels, or inside itself.")
    if isinstance(value, np.generic):  # first: numpy.float64 is a float, numpy.str_ a str
        return _encode_scalar(value, where)
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if type(value) is list:
        return [_encode(item, f"{where}[{i}]", depth + 1, out) for i, item in enumerate(value)]
    if type(value) is tuple:
        return {"$tuple": [_encode(item, f"{where}[{i}]", depth + 1, out) for i, item in enumerate(value)]}
    if isinstance(value, dict):
        return _encode_dict(value, where, depth, out)
    if of_torch(value, "Tensor"):
        return {"$tensor": _put(out.tensors, _plain_tensor(value, where))}
    if isinstance(value, np.ndarray):
        return {"$array": _put(out.arrays, _plain_array(value, where))}
    raise TypeError(
        f"{where}: {type(value).__module__}.{type(value).__qualname__} cannot be kept in a checkpoint. Expected "
        "dictionaries, lists, tuples, tensors, arrays, numbers, strings, booleans or None."
    )


def _encode_dict(value: Mapping[Any, Any], where: str, depth: int, out: Encoded) -> Any:
    for key in value:
        if type(key) not in (str, int):
            raise TypeError(f"{where}: key {key!r} is a {type(key).__name__}; expected str or int keys.")
    items = [[key, _encode(item, f"{where}[{key!r}]", depth + 1, out)] for key, item in value.items()]
    if all(type(key) is str and not key.startswith("$") for key, _ in items):
        return dict(items)
    return {"$dict": items}


def _encode_scalar(value: np.generic, where: str) -> Any:
    if value.dtype.hasobject or value.dtype.kind not in _SCALAR_KINDS:
        raise TypeError(f"{where}: a NumPy scalar of type {value.dtype} cannot be kept in a checkpoint.")
    data = value.tobytes() if value.dtype.itemsize else b""  # NumPy pads an empty string
    return {"$scalar": [value.dtype.str, data.hex()]}


def _plain_tensor(tensor: th.Tensor, where: str) -> th.Tensor:
    import torch as th

    if tensor.layout is not th.strided or tensor.is_quantized or tensor.is_complex():
        raise TypeError(f"{where}: only dense real tensors can be kept in a checkpoint, not {tensor.dtype}.")
    return tensor.detach().cpu().clone(memory_format=th.contiguous_format)


def _plain_array(array: np.ndarray, where: str) -> np.ndarray:
    if type(array) not in (np.ndarray, np.memmap) or array.dtype.hasobject:
        raise TypeError(
            f"{where}: {type(array).__name__} of {array.dtype} cannot be kept in a checkpoint; expected an array of "
            "numbers, booleans or strings of fixed length."
        )
    return array


def _put(store: dict[str, Any], value: Any) -> str:
    name = str(len(store))
    store[name] = value
    return name


class _Parts:
    """What references lead to."""

    def __init__(self, tensors: Mapping[str, th.Tensor], arrays: Mapping[str, np.ndarray]) -> None:
        self.stores: dict[str, Mapping[str, Any]] = {"tensor": tensors, "array": arrays}

    def get(self, kind: str, name: Any) -> Any:
        if not isinstance(name, str) or name not in self.stores[kind]:
            raise CheckpointError(f"the tree refers to {kind} {name!r}, which is not there")
        return self.stores[kind][name]


def _decode(value: Any, parts: _Parts, depth: int) -> Any:
    if depth > 2 * MAX_DEPTH + 2:  # a tuple or dictionary takes two levels of JSON
        raise CheckpointError(f"the tree is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_decode(item, parts, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (key := next(iter(value))).startswith("$"):
        reader = _READERS.get(key)
        if reader is None:
            raise CheckpointError(f"the tree holds a value of unknown type {key!r}")
        return reader(value[key], parts, depth + 1)
    return {key: _decode(item, parts, depth + 1) for key, item in value.items()}


def _decode_tuple(value: Any, parts: _Parts, depth: int) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise CheckpointError("a tuple of the tree is not a list")
    return tuple(_decode(item, parts, depth + 1) for item in value)


def _decode_dict(value: Any, parts: _Parts, depth: int) -> dict[Any, Any]:
    pairs: list[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(pair, list) and len(pair) == 2 and type(pair[0]) in (str, int) for pair in pairs):
        raise CheckpointError("a dictionary of the tree is not a list of pairs with str or int keys")
    return {key: _decode(item, parts, depth + 1) for key, item in pairs}


def _decode_float(value: Any, parts: _Parts, depth: int) -> float:
    if not isinstance(value, str) or value not in _FLOATS:
        raise CheckpointError(f"{value!r} is not a number")
    return _FLOATS[value]


def _decode_scalar(value: Any, parts: _Parts, depth: int) -> np.generic:
    try:
        name, content = value
        dtype = np.dtype(name)
        data = bytes.fromhex(content)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"a NumPy scalar of the tree is malformed: {error}") from error
    if dtype.hasobject or dtype.kind not in _SCALAR_KINDS or dtype.subdtype or len(data) != dtype.itemsize:
        raise CheckpointError(f"a NumPy scalar of the tree has type {dtype} and {len(data)} bytes")
    return np.frombuffer(data, dtype)[0] if data else dtype.type()  # type: ignore[no-any-return]


_READERS: dict[str, Callable[[Any, _Parts, int], Any]] = {
    "$tensor": lambda value, parts, depth: parts.get("tensor", value),
    "$array": lambda value, parts, depth: parts.get("array", value),
    "$tuple": _decode_tuple,
    "$dict": _decode_dict,
    "$float": _decode_float,
    "$scalar": _decode_scalar,
}
