"""Whether a pickle of SB3 could run code: it is read by a reader that knows the classes which SB3 and this package
write, and refuses every other name before it is imported."""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import zipfile
from collections.abc import Collection
from typing import Any

import torch as th
from stable_baselines3.common.save_util import open_path

HARMLESS = {
    "builtins": {"set", "frozenset", "slice", "complex", "bytearray"},
    "collections": {"OrderedDict", "deque"},
    "gymnasium.spaces.box": {"Box"},
    "gymnasium.spaces.dict": {"Dict"},
    "gymnasium.spaces.discrete": {"Discrete"},
    "gymnasium.spaces.multi_binary": {"MultiBinary"},
    "gymnasium.spaces.multi_discrete": {"MultiDiscrete"},
    "gymnasium.spaces.tuple": {"Tuple"},
    "marl_pr_common.config": {"ReciprocityConfig"},  # these four in models saved by version 0.1.0
    "marl_pr_common.moments": {"RunningMoments"},
    "marl_pr_common.peer_statistics": {"PeerStatistics"},
    "marl_pr_common.reciprocity": {"Reciprocity"},
    "numpy": {"dtype", "ndarray", "float32", "float64", "int32", "int64", "uint8", "bool_", "bool"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy.random._mt19937": {"MT19937"},
    "numpy.random._pcg64": {"PCG64", "PCG64DXSM"},
    "numpy.random._philox": {"Philox"},
    "numpy.random._pickle": {"__bit_generator_ctor", "__generator_ctor", "__randomstate_ctor"},
    "numpy.random.bit_generator": {"SeedSequence", "__pyx_unpickle_SeedSequence"},
    "sb3_pr.buffers": {"_empty"},
    "sb3_pr.policies": {"MlpPolicy", "CnnPolicy", "MultiInputPolicy"},
    "stable_baselines3.common.buffers": {"ReplayBuffer", "DictReplayBuffer", "NStepReplayBuffer"},
    "stable_baselines3.common.noise": {"NormalActionNoise", "OrnsteinUhlenbeckActionNoise", "VectorizedActionNoise"},
    "stable_baselines3.common.torch_layers": {"FlattenExtractor", "NatureCNN", "CombinedExtractor"},
    "stable_baselines3.common.type_aliases": {"TrainFreq", "TrainFrequencyUnit"},
    "stable_baselines3.common.utils": {"ConstantSchedule", "FloatSchedule", "LinearSchedule"},
    "stable_baselines3.her.goal_selection_strategy": {"GoalSelectionStrategy"},
    "stable_baselines3.her.her_replay_buffer": {"HerReplayBuffer"},
    "stable_baselines3.td3.policies": {"TD3Policy", "CnnPolicy", "MultiInputPolicy"},
    "torch": {"device", "float32", "float64", "Size"},
    "torch._utils": {"_rebuild_tensor_v2", "_rebuild_parameter"},
    "torch.nn.modules.activation": {"ReLU", "ELU", "Tanh", "LeakyReLU", "SiLU", "GELU", "Sigmoid", "Softplus", "Mish"},
    "torch.optim.adam": {"Adam"},
    "torch.optim.adamw": {"AdamW"},
    "torch.optim.rmsprop": {"RMSprop"},
    "torch.optim.sgd": {"SGD"},
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
        if name not in HARMLESS.get(module, ()):
            raise UntrustedFileError(f"it refers to {module}.{name}")
        return super().find_class(module, name)


def _data_only_storage(content: bytes) -> Any:
    return th.load(io.BytesIO(content), weights_only=True)


def require_harmless_zip(path: Any, replaced: Collection[str] = ()) -> None:
    """Read every pickle in the description of a model that SB3 saved, with a reader that runs no foreign code.

    :param path: as for SB3's ``load``: a path, with or without ".zip", or an open file
    :param replaced: entries that the caller replaces (``custom_objects``) and SB3 does not read
    :raises UntrustedFileError: if it refers to anything but the classes above, or is not a model
    """
    file = open_path(path, "r", suffix="zip")
    start = file.tell()
    try:
        for name, entry in _description(file, path).items():
            if isinstance(entry, dict) and ":serialized:" in entry and name not in replaced:
                _read(io.BytesIO(_decoded(entry[":serialized:"], path, name)), path, f"entry {name!r}")
    finally:
        file.seek(start)
        if file is not path:
            file.close()


def require_harmless_pickle(path: Any) -> None:
    """The same for a replay buffer that SB3 saved; it is read once and dropped.

    :raises UntrustedFileError: if it refers to anything but the classes above, or is not a pickle
    """
    file = open_path(path, "r", suffix="pkl")
    start = file.tell()
    try:
        _read(file, path, "it")
    finally:
        file.seek(start)
        if file is not path:
            file.close()


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


def _read(file: Any, path: Any, what: str) -> None:
    try:
        _Reader(file).load()
    except UntrustedFileError as error:
        raise UntrustedFileError(
            f"{path} was not loaded: {what} is a pickle that could run code: {error}. Nothing was executed. If "
            "you made the file yourself (your own class, a lambda), load it with trust=True."
        ) from error
    except Exception as error:  # a damaged pickle can fail in any way; none of it ran foreign code
        raise UntrustedFileError(f"{path} was not loaded: {what} is damaged: {error}.") from error
