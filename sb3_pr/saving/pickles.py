"""Pickles of SB3, read by a reader that knows the classes which SB3 and this package write, and refuses every other
name before it is imported. What it has read is what is used: nothing is unpickled again by another reader."""

from __future__ import annotations

import base64
import binascii
import functools
import io
import json
import pickle
import sys
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.save_util import open_path

from sb3_pr.algorithms.spec import ALGORITHMS, model_class

HARMLESS = {
    "builtins": {"set", "frozenset", "slice", "complex", "bytearray"},
    "collections": {"OrderedDict", "deque"},
    "gymnasium.spaces.box": {"Box"},
    "gymnasium.spaces.dict": {"Dict"},
    "gymnasium.spaces.discrete": {"Discrete"},
    "gymnasium.spaces.graph": {"Graph"},
    "gymnasium.spaces.multi_binary": {"MultiBinary"},
    "gymnasium.spaces.multi_discrete": {"MultiDiscrete"},
    "gymnasium.spaces.oneof": {"OneOf"},
    "gymnasium.spaces.sequence": {"Sequence"},
    "gymnasium.spaces.text": {"Text"},
    "gymnasium.spaces.tuple": {"Tuple"},
    "marl_pr_common.config": {"ReciprocityConfig"},  # these four in models saved by version 0.1.0
    "marl_pr_common.moments": {"RunningMoments"},
    "marl_pr_common.peer_statistics": {"PeerStatistics"},
    "marl_pr_common.reciprocity": {"Reciprocity"},
    "numpy": {"dtype", "ndarray", "bool_"},  # and its types of numbers
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy.random._mt19937": {"MT19937"},
    "numpy.random._pcg64": {"PCG64", "PCG64DXSM"},
    "numpy.random._philox": {"Philox"},
    "numpy.random._sfc64": {"SFC64"},
    "numpy.random._pickle": {"__bit_generator_ctor", "__generator_ctor", "__randomstate_ctor"},
    "numpy.random.bit_generator": {"SeedSequence", "__pyx_unpickle_SeedSequence"},
    "pathlib": {"Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "pathlib._local": {"Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "sb3_pr.buffers": {"_empty"},  # in models saved by version 0.1.0
    "sb3_pr.replay.buffers": {"_empty"},
    "stable_baselines3.common.buffers": {"ReplayBuffer", "DictReplayBuffer", "NStepReplayBuffer"},
    "stable_baselines3.common.noise": {"NormalActionNoise", "OrnsteinUhlenbeckActionNoise", "VectorizedActionNoise"},
    "stable_baselines3.common.running_mean_std": {"RunningMeanStd"},
    "stable_baselines3.common.torch_layers": {"FlattenExtractor", "NatureCNN", "CombinedExtractor"},
    "stable_baselines3.common.type_aliases": {"TrainFreq", "TrainFrequencyUnit"},
    "stable_baselines3.common.utils": {"ConstantSchedule", "FloatSchedule", "LinearSchedule"},
    "stable_baselines3.common.vec_env.vec_normalize": {"VecNormalize"},
    "stable_baselines3.her.goal_selection_strategy": {"GoalSelectionStrategy"},
    "stable_baselines3.her.her_replay_buffer": {"HerReplayBuffer"},
    "torch": {"device", "Size"},  # and its types of numbers
    "torch._utils": {"_rebuild_tensor_v2", "_rebuild_parameter"},
}
"""Module -> names that a file may refer to: making any of them from data runs no code of the file's author."""
MAX_JSON = 256 << 20
"""Bytes of a model's description that are read."""


class UntrustedFileError(ValueError):
    """A file could run code when it is loaded, or is not what it should be; nothing of it was executed."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _data_only_storage
        if name in HARMLESS.get(module, ()) or (module, name) in _policies():
            return super().find_class(module, name)
        found = _of_torch_or_numpy(module, name)
        if found is None:
            raise UntrustedFileError(f"it refers to {module}.{name}")
        return found


@functools.cache
def _policies() -> set[tuple[str, str]]:
    """Module and name of the policy classes of every algorithm, SB3's and ours."""
    algorithms = [model_class(algo) for algo in ALGORITHMS]
    policies = [policy for algorithm in algorithms for policy in algorithm.policy_aliases.values()]
    return {(policy.__module__, policy.__name__) for policy in policies}


def _of_torch_or_numpy(module: str, name: str) -> Any:
    """A layer, activation or loss of ``torch.nn``, an optimiser of ``torch.optim``, a type of numbers; else None.

    Classes only, where they are defined, from modules that torch itself has imported: a class of these makes an object
    from data and calls nothing that it is given, whereas functions and schedulers beside them do.
    """
    found = getattr(sys.modules.get(module), name, None)
    if module in ("torch", "numpy") and isinstance(found, th.dtype):
        return found
    if not isinstance(found, type) or found.__name__ != name or found.__module__ != module:
        return None
    if module.startswith("torch.nn.modules."):
        return found if issubclass(found, th.nn.Module) else None
    if module == "torch.optim" or module.startswith("torch.optim."):
        return found if issubclass(found, th.optim.Optimizer) else None
    return found if module == "numpy" and issubclass(found, np.generic) else None


def _data_only_storage(content: bytes) -> Any:
    return th.load(io.BytesIO(content), weights_only=True)


def read_zip(path: Any, replaced: Collection[str] = ()) -> tuple[io.BytesIO, dict[str, Any]]:
    """Every pickle in the description of a model that SB3 saved, by a reader that runs no foreign code.

    :param path: as for SB3's ``load``: a path, with or without ".zip", or an open file
    :param replaced: entries that the caller replaces (``custom_objects``) and nobody reads
    :return: the file as it was read, for SB3 (what lies at ``path`` may be another one by then); and name of the entry
        -> what it holds: as ``custom_objects`` for SB3, which then unpickles nothing itself
    :raises UntrustedFileError: if it refers to anything but the classes above, or is not a model
    """
    with _opened(path, "zip") as file:
        whole = io.BytesIO(file.read())
    description = _description(whole, path)
    if "env" in description and "env" not in replaced:  # SB3 never writes one, but would make it: "module:id" is code
        raise UntrustedFileError(f"{path} was not loaded: it names an environment to be made, {description['env']!r}.")
    whole.seek(0)
    return whole, {
        name: _read(io.BytesIO(_decoded(entry[":serialized:"], path, name)), path, f"entry {name!r}")
        for name, entry in description.items()
        if isinstance(entry, dict) and ":serialized:" in entry and name not in replaced
    }


def read_pickle(path: Any) -> Any:
    """The same for a replay buffer that SB3 saved.

    :raises UntrustedFileError: if it refers to anything but the classes above, or is not a pickle
    """
    with _opened(path, "pkl") as file:
        return _read(file, path, "it")


@contextmanager
def _opened(path: Any, suffix: str) -> Iterator[Any]:
    """The user's own file is left where it was."""
    file = open_path(path, "r", suffix=suffix)
    start = file.tell()
    try:
        yield file
    finally:
        file.seek(start)
        if file is not path:
            file.close()


_waiting: dict[int, Any] = {}


@contextmanager
def handed(content: Any) -> Iterator[io.BytesIO]:
    """A file whose unpickling gives ``content`` itself, here and now: for SB3, which takes files only."""
    _waiting[id(content)] = content
    try:
        yield io.BytesIO(pickle.dumps(_Ticket(id(content))))
    finally:
        _waiting.pop(id(content), None)


class _Ticket:
    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _redeem, (self.number,)


def _redeem(number: int) -> Any:
    return _waiting.pop(number)


def _description(file: Any, path: Any) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(file) as archive:
            if "data" not in archive.namelist():
                return {}
            size = archive.getinfo("data").file_size
            if size > MAX_JSON:
                raise UntrustedFileError(f"{path}: its description has {size} bytes, more than {MAX_JSON}.")
            content = json.loads(archive.read("data"))
    except (zipfile.BadZipFile, json.JSONDecodeError, UnicodeDecodeError, RecursionError, EOFError) as error:
        raise UntrustedFileError(f"{path} is not a model that Stable-Baselines3 saved: {error}.") from error
    if not isinstance(content, dict):
        raise UntrustedFileError(f"{path} is not a model that Stable-Baselines3 saved: no description.")
    return content


def _decoded(text: Any, path: Any, name: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, TypeError, ValueError) as error:
        raise UntrustedFileError(f"{path}: entry {name!r} is damaged: {error}.") from error


def _read(file: Any, path: Any, what: str) -> Any:
    try:
        return _Reader(file).load()
    except UntrustedFileError as error:
        raise UntrustedFileError(
            f"{path} was not loaded: {what} is a pickle that could run code: {error}. Nothing was executed. If "
            "you made the file yourself (your own class, a lambda), load it with trust=True."
        ) from error
    except Exception as error:  # a damaged pickle can fail in any way; none of it ran foreign code
        raise UntrustedFileError(f"{path} was not loaded: {what} is damaged: {error}.") from error
