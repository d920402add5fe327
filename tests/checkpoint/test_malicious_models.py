"""Models and buffers in SB3's format that try to run code: an error each, no code run."""

import base64
import io
import json
import pickle
import sys
import zipfile

import numpy as np
import pytest
import torch as th
import yaml

from sb3_pr import TD3PR
from sb3_pr.saving.pickles import UntrustedFileError, _data_only_storage
from tests.checkpoint.bombs import Bomb


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model that SB3's format holds: description, weights."""
    path = tmp_path_factory.mktemp("zip") / "model.zip"
    TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, policy_kwargs={"net_arch": [4]}, buffer_size=10).save(path)
    return path


def rewritten(saved, path, change):
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return path


def poisoned(content, pickled, key="learning_rate"):
    description = json.loads(content)
    description[key] = {":type:": "x", ":serialized:": base64.b64encode(pickled).decode()}
    return json.dumps(description).encode()


def in_data(pickled):
    return lambda name, content: poisoned(content, pickled) if name == "data" else content


def in_storage(canary):
    """A pickle in a tensor in a pickle: torch reads storages with torch.load."""
    inner = io.BytesIO()
    th.save(Bomb(canary), inner)

    class Storage:
        def __reduce__(self):
            return th.storage._load_from_bytes, (inner.getvalue(),)

    return pickle.dumps(Storage())


def in_weights(canary):
    weights = io.BytesIO()
    th.save({"w": Bomb(canary)}, weights)
    return lambda name, content: weights.getvalue() if name == "policy.pth" else content


ZIPS = {
    "a command": lambda c: in_data(pickle.dumps(Bomb(c))),
    "an old protocol": lambda c: in_data(f"cos\nsystem\n(S'touch {c}'\ntR.".encode()),
    "builtins": lambda c: in_data(b"c__builtin__\nexec\n(S'open(\"" + str(c).encode() + b'", "w")\'\ntR.'),
    "a class that overwrites files": lambda c: in_data(
        f"cstable_baselines3.common.logger\nCSVOutputFormat\n(S'{c}'\ntR.".encode()
    ),
    "SB3's own reader of pickles": lambda c: in_data(
        f"cstable_baselines3.common.save_util\nload_from_pkl\n(S'{c}'\ntR.".encode()
    ),
    "inside a tensor": lambda c: in_data(in_storage(c)),
    "in the weights": in_weights,
    "a damaged pickle": lambda c: in_data(b"\x80\x05."),
    "no base64": lambda c: (
        lambda name, content: json.dumps({"a": {":serialized:": "é"}}).encode() if name == "data" else content
    ),
    "deep JSON": lambda c: lambda name, content: b"[" * 100_000 if name == "data" else content,
    "no mapping": lambda c: lambda name, content: b"[]" if name == "data" else content,
}


@pytest.mark.parametrize("name", ZIPS)
def test_models_in_sb3s_format(name, saved, tmp_path, canary):
    path = rewritten(saved, tmp_path / "model.zip", ZIPS[name](canary))
    with pytest.raises(UntrustedFileError, match=r"model\.zip"):
        TD3PR.load(path)
    with path.open("rb") as file, pytest.raises(UntrustedFileError):
        TD3PR.load(file)
    assert not canary.exists()


def test_no_zip_at_all(tmp_path):
    (tmp_path / "model.zip").write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(UntrustedFileError, match="not a model"):
        TD3PR.load(tmp_path / "model.zip")


def test_replay_buffers(saved, tmp_path, canary):
    model = TD3PR.load(saved)
    for content in (pickle.dumps(Bomb(canary)), pickle.dumps([Bomb(canary)]), b"", in_storage(canary)):
        (tmp_path / "buffer.pkl").write_bytes(content)
        with pytest.raises(UntrustedFileError, match="was not loaded"):
            model.load_replay_buffer(tmp_path / "buffer.pkl")
    assert not canary.exists()


def test_a_function_that_is_only_named_is_not_the_one_that_reads_pickles(saved, tmp_path):
    """Else a model could be made to call it later, with bytes of the file."""
    pickled = pickle.dumps(th.storage._load_from_bytes)

    def change(name, content):
        return poisoned(content, pickled, "tensorboard_log") if name == "data" else content

    assert TD3PR.load(rewritten(saved, tmp_path / "model.zip", change)).tensorboard_log is _data_only_storage


def test_a_function_that_is_only_named_is_not_called_by_a_buffer(tmp_path, canary):
    model = TD3PR("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [4]}, buffer_size=1)
    poison = io.BytesIO()
    th.save(Bomb(canary), poison)
    buffer = model.replay_buffer
    buffer.observations = np.frombuffer(poison.getvalue(), np.uint8).reshape(1, 1, -1)
    buffer.pos = 1
    buffer.__dict__["to_torch"] = th.storage._load_from_bytes
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    other = TD3PR("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [4]}, buffer_size=1)
    other.load_replay_buffer(tmp_path / "buffer.pkl")
    with pytest.raises(Exception):  # noqa: B017, PT011
        other.replay_buffer.sample(1)
    assert not canary.exists()


@pytest.mark.parametrize(
    "name",
    [
        "torch.nn.init normal_",
        "torch.nn.functional importlib",
        "torch.nn.modules.module register_module_forward_hook",
        "torch.nn.parallel.data_parallel DataParallel",
        "torch.nn.modules.module Module.apply",
        "torch.optim.lr_scheduler LambdaLR",
        "torch.optim.swa_utils AveragedModel",
        "torch.optim.optimizer warnings",
        "torch load",
        "torch.hub load",
        "numpy memmap",
        "numpy load",
        "stable_baselines3.common.monitor Monitor",
    ],
)
def test_of_torch_numpy_and_sb3_only_classes_that_call_nothing(name, saved, tmp_path):
    module, attribute = name.split()
    pickled = b"\x80\x04" + pickle.dumps(module, 4)[2:-1] + pickle.dumps(attribute, 4)[2:-1] + b"\x93."
    with pytest.raises(UntrustedFileError, match="could run code"):
        TD3PR.load(rewritten(saved, tmp_path / "model.zip", in_data(pickled)))


def test_a_model_names_no_environment_to_be_made(saved, tmp_path, canary, monkeypatch):
    """gymnasium imports the module in "module:id"."""
    (tmp_path / "rv_canary.py").write_text(f"open({str(canary)!r}, 'w').close()")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def change(name, content):
        return json.dumps({**json.loads(content), "env": "rv_canary:Foo-v0"}).encode() if name == "data" else content

    with pytest.raises(UntrustedFileError, match="names an environment to be made, 'rv_canary:Foo-v0'"):
        TD3PR.load(rewritten(saved, tmp_path / "model.zip", change))
    assert not canary.exists()


@pytest.mark.parametrize("key, value", [("reciprocity", {}), ("pr", [1]), ("pr", None)])
def test_a_damaged_state_of_reciprocity_is_said_so(saved, tmp_path, key, value):
    def change(name, content):
        return json.dumps({**json.loads(content), key: value}).encode() if name == "data" else content

    with pytest.raises(ValueError, match="saved (state|options).* (is|are) damaged"):
        TD3PR.load(rewritten(saved, tmp_path / "model.zip", change))


def test_what_one_made_oneself_loads_when_trusted(tmp_path):
    options = {"policy_kwargs": {"net_arch": [4]}, "buffer_size": 10, "n_agents": 2}
    model = TD3PR("MlpPolicy", "Pendulum-v1", learning_rate=lambda left: 1e-3 * left, **options)
    model.save(tmp_path / "model")
    with pytest.raises(UntrustedFileError, match="cloudpickle.*trust=True"):
        TD3PR.load(tmp_path / "model")
    assert TD3PR.load(tmp_path / "model", trust=True).learning_rate(0.5) == 5e-4


def test_the_bomb_would_go_off(tmp_path, canary):
    """Else the tests above would prove nothing."""
    pickle.loads(pickle.dumps(Bomb(canary)))
    assert canary.exists()
    canary.unlink()
    yaml.load("!!python/object/apply:os.system ['touch " + str(canary) + "']", Loader=yaml.UnsafeLoader)
    assert canary.exists()
