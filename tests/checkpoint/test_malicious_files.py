"""Files that try to run code, or are damaged: an error each, no code run, nothing overwritten."""

import hashlib
import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch as th

from marl_pr_common import checkpoint
from marl_pr_common.checkpoint import CheckpointError
from marl_pr_common.config.shipped import read_yaml
from marl_pr_common.runs.files import read_json
from tests.checkpoint.bombs import Bomb

DEEP = 100_000


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
