"""Publishing and rotating: whatever happens during a save, the newest complete checkpoint loads."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch as th

from marl_pr_common import checkpoint
from marl_pr_common.checkpoint import CheckpointError, store
from tests.events import HANG

ROOT = str(Path(__file__).resolve().parents[2])
KILLER = """
import os, random, signal, sys, warnings
import numpy as np, torch as th
from marl_pr_common import checkpoint
root, kills, rng = sys.argv[1], int(sys.argv[2]), random.Random(sys.argv[3])
warnings.simplefilter("error")  # the newest of all must load: no fallback
newest = 0
checkpoint.save(root, {"array": np.full(50_000, 0), "tensor": th.full((50_000,), 0.0)}, step=0)
for _ in range(kills):
    calls, told = os.pipe()
    child = os.fork()
    if child == 0:
        sys.addaudithook(lambda event, arguments: os.write(told, b"x"))  # open, rename, mkdir, remove, ...
        for step in range(newest + 1, 10**9):
            tree = {"array": np.full(50_000, step), "tensor": th.full((50_000,), float(step))}
            checkpoint.save(root, tree, step=step)
    left = rng.randrange(1, 400)  # one save makes about 160
    while left:
        left -= len(os.read(calls, left))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(calls)
    os.close(told)
    found = checkpoint.load(root)
    assert found.path == checkpoint.checkpoints(root)[-1]
    assert (found.tree["array"] == found.manifest.step).all()
    assert (found.tree["tensor"] == found.manifest.step).all()
    assert found.manifest.step >= newest
    newest = found.manifest.step
print(newest)
"""
"""Forks children that save without end, kills each after a random number of calls of the system, and loads."""


def tree(step):
    return {"step": step, "array": np.arange(step), "tensor": th.full((4,), float(step))}


def saved(root, *steps):
    return [checkpoint.save(root, tree(step), step=step) for step in steps][-1]


def test_the_newest_two_stay_and_the_manifest_says_what_it_is(tmp_path):
    saved(tmp_path, 1, 2, 3)
    assert [path.name for path in checkpoint.checkpoints(tmp_path)] == ["000002-step-2", "000003-step-3"]
    path = checkpoint.save(tmp_path, {}, step=9, exact=False, reason="no env", kind="X", meta={"a": [1]}, keep=1)
    manifest = checkpoint.load(tmp_path, kind="X").manifest
    assert (manifest.exact, manifest.reason, manifest.meta, manifest.step) == (False, "no env", {"a": [1]}, 9)
    assert [path.name, ".lock"] == sorted(p.name for p in tmp_path.iterdir())[::-1]
    with pytest.raises(CheckpointError, match="of X, expected Y|of kind X|X, expected Y"):
        checkpoint.load(tmp_path, kind="Y")


@pytest.mark.parametrize("options", [{"exact": False}, {"reason": "x"}, {"keep": 0}, {"step": -1}])
def test_contradictions_are_refused(options, tmp_path):
    with pytest.raises(ValueError, match="expected a reason exactly if"):
        checkpoint.save(tmp_path, {}, **{"step": 0, **options})


def test_a_damaged_one_is_named_and_the_older_one_is_taken(tmp_path):
    newest = saved(tmp_path, 1, 2)
    (newest / "tree.npz").write_bytes((newest / "tree.npz").read_bytes()[:-7])
    with pytest.warns(RuntimeWarning, match=r"000002-step-2.*tree\.npz.*truncated or altered"):
        assert checkpoint.load(tmp_path).tree["step"] == 1
    assert checkpoint.latest(tmp_path).name == "000001-step-1"
    with pytest.raises(CheckpointError, match="truncated or altered"):
        checkpoint.load(newest)
    saved(tmp_path, 2)  # its number is not used again
    assert checkpoint.load(tmp_path).path.name == "000003-step-2"


def test_nothing_there_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        checkpoint.load(tmp_path)
    assert checkpoint.latest(tmp_path / "absent") is None


def kill_saves(root, kills, seed):
    environment = {**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLER, str(root), str(kills), str(seed)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_killed_at_20_random_points(tmp_path):
    assert kill_saves(tmp_path, 20, seed=1) > 0


@pytest.mark.slow
def test_killed_at_200_random_points(tmp_path):
    assert kill_saves(tmp_path, 200, seed=0) > 100
    saved(tmp_path, 10**9)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".staging", ".removing"))]


CALLS = [
    (os, "fsync"),
    (os, "replace"),
    (np, "savez"),
    (safetensors.torch, "save_file"),
    (store, "write_manifest"),
    (store, "_hash"),
    (store.shutil, "rmtree"),
    (store.tempfile, "mkdtemp"),
]


@pytest.mark.parametrize("module, function", CALLS, ids=[name for _, name in CALLS])
def test_an_error_at_any_call_leaves_a_valid_checkpoint(module, function, tmp_path, monkeypatch):
    """Disk full at the n-th call of everything that writes: at every n there is one that loads."""
    real = getattr(module, function)
    saved(tmp_path, 1, 2)
    for n in range(12):
        calls = iter(range(10**6))

        def fails(*args, n=n, calls=calls, **kwargs):
            if next(calls) == n:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(module, function, fails)
            try:
                checkpoint.save(tmp_path, tree(3 + n), step=3 + n)
            except OSError as error:
                assert "Earlier checkpoints are unchanged" in str(error)  # noqa: PT017
                assert error.errno == errno.ENOSPC  # noqa: PT017
        found = checkpoint.load(checkpoint.latest(tmp_path))
        assert found.tree["step"] == found.manifest.step >= 2
    saved(tmp_path, 100)
    assert checkpoint.load(tmp_path).tree["step"] == 100


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 1 MiB; skipped where none can be mounted."""
    directory = tmp_path / "disk"
    directory.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(directory)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no tmpfs can be mounted here; the errors are simulated above")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


def test_a_disk_that_is_really_full(full_disk):
    saved(full_disk, 1)
    with pytest.raises(OSError, match="Earlier checkpoints are unchanged"):
        checkpoint.save(full_disk, {"large": np.zeros(1 << 18)}, step=2)
    assert checkpoint.load(full_disk).manifest.step == 1
    saved(full_disk, 3)


def test_a_read_only_directory(tmp_path):
    saved(tmp_path, 1)
    if os.geteuid() == 0:  # root may write anywhere but where the kernel forbids it
        if subprocess.run(["chattr", "+i", str(tmp_path)], capture_output=True, check=False).returncode:
            pytest.skip("root, and the file system has no immutable directories")
    else:
        tmp_path.chmod(0o555)
    try:
        with pytest.raises(OSError, match="Earlier checkpoints are unchanged"):
            saved(tmp_path, 2)
        assert checkpoint.load(tmp_path).manifest.step == 1
    finally:
        tmp_path.chmod(0o755) if os.geteuid() else subprocess.run(["chattr", "-i", str(tmp_path)], check=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_after_one_save(number, tmp_path):
    script = """
import sys, time
from marl_pr_common import checkpoint
with checkpoint.catch_signals() as stop:
    print("ready", flush=True)
    while not stop:
        time.sleep(0.01)
    path = checkpoint.save(sys.argv[1], {}, step=7)
    stop.finish(f"{stop.name}: saved {path.name}; resume with: x --resume y")
"""
    environment = {**os.environ, "PYTHONPATH": ROOT}
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        process.stdout.readline()
        process.send_signal(number)
        _, said = process.communicate(timeout=HANG)
    assert process.returncode == 128 + number
    assert said == f"{number.name}: saved 000001-step-7; resume with: x --resume y\n"
    assert checkpoint.load(tmp_path).manifest.step == 7


def test_a_second_signal_does_not_wait(monkeypatch):
    before = signal.getsignal(signal.SIGINT)  # a shell's background jobs ignore it
    with checkpoint.catch_signals() as stop:
        assert not stop
        signal.raise_signal(signal.SIGTERM)
        assert stop
        assert stop.name == "SIGTERM"
        signal.raise_signal(signal.SIGTERM)  # at once: the same request
        monkeypatch.setattr("marl_pr_common.runs.signals.SAME_REQUEST", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
