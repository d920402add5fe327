"""Files that try to run code, or are damaged: an error each, no code run, nothing overwritten."""

import base64
import hashlib
import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch as th
import yaml

from marl_pr_common import checkpoint
from marl_pr_common.checkpoint import CheckpointError
from marl_pr_common.config.shipped import read_yaml
from marl_pr_common.runs.files import read_json
from sb3_pr import TD3PR
from sb3_pr.saving.pickles import UntrustedFileError, _data_only_storage

DEEP = 100_000


class Bomb:
    """Writes the canary when it is unpickled."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


@pytest.fixture
def canary(tmp_path):
    """A file that exists only if foreign code ran."""
    return tmp_path / "canary"


@pytest.fixture
def good(tmp_path):
    tree = {"tensor": th.ones(3), "array": np.arange(6.0), "text": "x"}
    return checkpoint.save(tmp_path / "root", tree, step=1)


def reseal(path, name, content):
    """Replace a file of a checkpoint and make its manifest agree, as an attacker would."""
    (path / name).write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    change_manifest(path, lambda manifest: manifest["files"].update({name: entry}))


def change_manifest(path, change):
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    manifest.pop("checksum", None)
    plain = json.dumps(manifest, sort_keys=True).encode()
    (path / "manifest.json").write_text(json.dumps({**manifest, "checksum": hashlib.sha256(plain).hexdigest()}))


def npz(entries, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def header(shape, descr="'<f8'"):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (64 - (len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def tensors(description):
    text = json.dumps(description).encode()
    return struct.pack("<Q", len(text)) + text


ONE = {"0": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
PAYLOADS = {
    "npz: pickled objects": ("tree.npz", lambda c: npz([("0.npy", npy(np.array([Bomb(c)]), allow_pickle=True))])),
    "npz: a pickle instead of an array": ("tree.npz", lambda c: npz([("0.npy", pickle.dumps(Bomb(c)))])),
    "npz: path traversal": ("tree.npz", lambda c: npz([("../../canary", npy(np.ones(6))), ("0.npy", npy(np.ones(6)))])),
    "npz: absolute path": ("tree.npz", lambda c: npz([(str(c), npy(np.ones(6)))])),
    "npz: zip bomb": ("tree.npz", lambda c: npz([("0.npy", b"\0" * (64 << 20))], zipfile.ZIP_DEFLATED)),
    "npz: exabytes in the header": ("tree.npz", lambda c: npz([("0.npy", header((1 << 60,)) + b"\0" * 48)])),
    "npz: negative shape": ("tree.npz", lambda c: npz([("0.npy", header((-6,)) + b"\0" * 48)])),
    "npz: code in the header": ("tree.npz", lambda c: npz([("0.npy", header(f"__import__('os').mkdir('{c}')"))])),
    "npz: object type": ("tree.npz", lambda c: npz([("0.npy", header((6,), "'|O'") + b"\0" * 48)])),
    "npz: an entry twice": ("tree.npz", lambda c: npz([("0.npy", npy(np.ones(6))), ("0.npy", npy(np.ones(6)))])),
    "npz: a pickle": ("tree.npz", lambda c: pickle.dumps(Bomb(c))),
    "npz: empty": ("tree.npz", lambda c: b""),
    "safetensors: a pickle": ("tree.safetensors", lambda c: pickle.dumps(Bomb(c))),
    "safetensors: terabytes in the header": ("tree.safetensors", lambda c: tensors(ONE)),
    "safetensors: endless header": ("tree.safetensors", lambda c: struct.pack("<Q", 1 << 62) + b"{}"),
    "json: too deep": ("tree.json", lambda c: b"[" * DEEP + b"]" * DEEP),
    "json: deep tuples": ("tree.json", lambda c: b'{"$tuple": [' * 300 + b"]}" * 300),
    "json: unknown type": ("tree.json", lambda c: b'{"a": {"$object": "os.system"}}'),
    "json: reference to nothing": ("tree.json", lambda c: b'{"a": {"$tensor": "7"}}'),
    "json: a scalar of objects": ("tree.json", lambda c: b'{"a": {"$scalar": ["|O", "0000000000000000"]}}'),
    "json: a scalar of a false size": ("tree.json", lambda c: b'{"a": {"$scalar": ["<f8", "00"]}}'),
    "json: NaN": ("tree.json", lambda c: b'{"a": NaN}'),
    "json: a key twice": ("tree.json", lambda c: b'{"a": 1, "a": 2}'),
    "json: endless number": ("tree.json", lambda c: b'{"a": ' + b"9" * 100_000 + b"}"),
    "json: not UTF-8": ("tree.json", lambda c: b"\xff\xfe{}"),
    "json: a list": ("tree.json", lambda c: b"[]"),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_payloads_with_valid_checksums(name, good, canary):
    file, content = PAYLOADS[name]
    reseal(good, file, content(canary))
    before = sorted(path.name for path in canary.parent.iterdir())
    with pytest.raises(CheckpointError, match=r"tree"):
        checkpoint.load(good)
    assert not canary.exists()
    assert sorted(path.name for path in canary.parent.iterdir()) == before


MANIFESTS = {
    "another format": (lambda m: m.update(format="other"), "not written by marl-pr"),
    "a later format": (lambda m: m.update(version=2), "format version 2.*later marl-pr"),
    "a file elsewhere": (lambda m: m["files"].update({"../x.json": {"sha256": "", "bytes": 0}}), "no checkpoint has"),
    "an absolute file": (lambda m: m["files"].update({"/etc/passwd": {"sha256": "", "bytes": 0}}), "no checkpoint has"),
    "no tree": (lambda m: m.update(parts=[]), "'tree' is missing"),
    "a part without file": (lambda m: m.update(parts=["tree", "../tree"]), "has no file"),
    "files of another type": (lambda m: m.update(files=[]), "files is"),
    "a size of another type": (lambda m: m["files"]["tree.json"].update(bytes="1"), "no checksum or size"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_with_valid_checksum(name, good):
    change, message = MANIFESTS[name]
    change_manifest(good, change)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(good)


def test_damage_without_malice(good):
    content = (good / "manifest.json").read_text()
    for damaged, message in (
        (content.replace('"step": 1', '"step": 2'), "checksum does not hold"),
        (content[:100], "not valid JSON"),
        ("[" * DEEP, "not valid JSON"),
        ("{}", "not written by marl-pr"),
    ):
        (good / "manifest.json").write_text(damaged)
        with pytest.raises(CheckpointError, match=message):
            checkpoint.load(good)


def test_a_link_is_not_followed(good, tmp_path):
    (good / "tree.json").rename(tmp_path / "elsewhere.json")
    (good / "tree.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(CheckpointError, match="not a plain file"):
        checkpoint.load(good)


YAMLS = {
    "an object": ("algo: !!python/object/apply:os.system ['touch {canary}']", "algo"),
    "a module": ("algo: !!python/module:antigravity", "algo"),
    "aliases": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", r"alias \*a"),
    "itself": ("a: &a [*a]", r"alias \*a"),
    "deep": ("a: " + "[" * 50_000, "deeper than 20"),
    "deep mappings": ("a: " + "{a: " * 1_000, "deeper than 20"),
    "large": ("a: " + "x" * (2 << 20), "at most"),
    "a key twice": ("tau: 0.1\ntau: 0.2", "'tau' comes twice"),
    "a key twice below": ("pr:\n  kappa: 0.1\n  kappa: 0.2", "pr: key 'kappa' comes twice"),
    "no date": ("tau: 2020-13-45", "tau"),
    "an endless number": ("tau: " + "9" * 10_000, "tau"),
    "a list": ("[1, 2]", "expected one"),
    "nothing": ("", "expected one"),
    "two documents": ("a: 1\n---\nb: 2", "not valid YAML"),
    "a list as key": ("? [a]\n: 1", "a key is a list"),
    "not text": ("\x00", "not valid YAML"),
}


@pytest.mark.parametrize("name", YAMLS)
def test_yaml(name, tmp_path, canary):
    text, message = YAMLS[name]
    file = tmp_path / "config.yaml"
    file.write_text(text.replace("{canary}", str(canary)))
    with pytest.raises(ValueError, match=message):
        read_yaml(file)
    assert not canary.exists()


def test_json_beyond_depth(tmp_path):
    (tmp_path / "run.json").write_text('{"a": ' * DEEP)
    with pytest.raises(ValueError, match="is not JSON"):
        read_json(tmp_path / "run.json")


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
    "deep JSON": lambda c: lambda name, content: b"[" * DEEP if name == "data" else content,
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
    monkeypatch.syspath_prepend(tmp_path)

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
