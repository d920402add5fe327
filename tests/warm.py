"""Python programs in forks of one process that has imported what takes long: as in one of their own, seconds sooner.

One program at a time. What is about imports, terminals or groups of processes starts an interpreter of its own.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import random
import runpy
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.events import HANG

ROOT = Path(__file__).parents[1]
SLOW = (
    *("torch", "torch._dynamo", "numpy", "pandas", "scipy.stats", "pyarrow.parquet", "matplotlib.pyplot"),
    *("tyro", "gymnasium", "stable_baselines3", "torch.utils.tensorboard", "sacred", "lbforaging", "mpe2", "imageio"),
)
"""Imported before the forks; others' packages only, and none that starts a thread."""


class Program:
    """As much of ``subprocess.Popen`` as tests need, for ``python -m MODULE``, ``python FILE`` and ``python -c CODE``.

    :param command: its first part is the interpreter
    """

    def __init__(self, command: Sequence[str], folder: Path | None = None, variables: Mapping[str, str] | None = None):
        self.returncode: int | None = None
        self._place = tempfile.TemporaryDirectory()
        self._output = {name: f"{self._place.name}/{name}" for name in ("stdout", "stderr")}
        request = {"command": list(command[1:]), "folder": str(folder or Path.cwd()), **self._output}
        request["variables"] = dict(os.environ if variables is None else variables)
        server = _server()
        assert server.stdin is not None
        server.stdin.write(json.dumps(request).encode() + b"\n")
        self.pid = self._answer()

    def _answer(self) -> int:
        answers = _server().stdout
        assert answers is not None
        assert select.select([answers], [], [], HANG)[0], self.said()
        return int(answers.readline())

    def poll(self) -> int | None:
        if self.returncode is None and select.select([_server().stdout], [], [], 0)[0]:
            self.returncode = self._answer()
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = self._answer()
        return self.returncode

    def said(self) -> str:
        """What it has printed so far."""
        return "".join(Path(file).read_text() for file in self._output.values() if Path(file).exists())

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait()
        stdout, stderr = (Path(file).read_text() for file in self._output.values())
        return stdout, stderr


def run(
    command: Sequence[str], folder: Path | None = None, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    program = Program(command, folder, variables)
    stdout, stderr = program.communicate()
    return subprocess.CompletedProcess(command, program.wait(), stdout, stderr)


@functools.cache
def _server() -> subprocess.Popen[bytes]:
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.warm"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # no answer waits in a buffer where select can't see it
    )
    assert started.stdin is not None
    atexit.register(started.wait)
    atexit.register(started.stdin.close)  # before: it ends when nobody can ask any more
    return started


def serve() -> dict[str, Any] | None:
    """The request that this process is the fork for; None in the server, when nobody can ask any more."""
    for name in SLOW:
        with suppress(ImportError):
            importlib.import_module(name)
    for line in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if pid == 0:
            return dict(json.loads(line))
        print(pid, flush=True)  # noqa: T201
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201
    return None


def become(command: list[str], folder: str, variables: dict[str, str], stdout: str, stderr: str) -> None:
    """Be the program, to the end of this process, which the interpreter makes as it always does."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for descriptor, file in ((0, os.devnull), (1, stdout), (2, stderr)):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), descriptor)
    _seed()
    if "HALT_BEFORE" in variables:
        runpy.run_path(str(ROOT / "tests" / "halting" / "sitecustomize.py"))
    kind = command[0] if command[0] in ("-m", "-c") else ""
    sys.orig_argv[1:] = command
    sys.argv = command[1:] if kind else command
    sys.path[0] = "" if kind == "-c" else folder if kind else str(Path(command[0]).parent)
    path = [item for item in variables.get("PYTHONPATH", "").split(os.pathsep) if item]
    sys.path[1:1] = [item for item in path if item not in sys.path]
    if kind == "-m":
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv[0] = "-c"
        exec(compile(command[1], "<string>", "exec"), sys.modules["__main__"].__dict__)
    else:
        runpy.run_path(command[0], run_name="__main__")


def _seed() -> None:
    """Nobody's generator stands where another's stands unless a program seeds it."""
    import numpy as np
    import torch as th

    random.seed()
    np.random.seed()  # noqa: NPY002
    th.seed()


if __name__ == "__main__" and (request := serve()) is not None:
    become(**request)
