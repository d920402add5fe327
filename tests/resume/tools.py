"""Runs that are killed for real, and everything of a checkpoint as one dictionary of hashes."""

import csv
import hashlib
import io
import os
import signal
import sys
import textwrap
from pathlib import Path

import numpy as np
import torch as th

from marl_pr_common import checkpoint
from tests import warm
from tests.events import SAVE, halting, send

TIMES = ("time/fps", "time/time_elapsed")
"""Columns of a log that tell how long something took: no two runs agree on them."""
CLOCK = {*TIMES, "t", "t_start", "elapsed", "episode_times"}
"""The same in a checkpoint: Monitor's clocks, and the recorder's."""


def hashes(path):
    """Every leaf of a checkpoint's tree -> its hash; times of the clock are left out, and logs read by column."""
    found = {}
    _collect(checkpoint.load(path).tree, "", found)
    return found


def _collect(value, where, found):
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in CLOCK:
                text = key == "text" and "/files/" in where
                _collect(log_content(item) if text else item, f"{where}/{key}", found)
    elif where.endswith(".csv/keys"):
        found[where] = repr(sorted(value))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _collect(item, f"{where}/{index}", found)
    else:
        found[where] = hashlib.sha256(_bytes(value)).hexdigest()


def _bytes(value):
    if isinstance(value, th.Tensor):
        return (
            f"{value.dtype}{tuple(value.shape)}".encode()
            + value.contiguous().flatten().view(th.uint8).numpy().tobytes()
        )
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}".encode() + value.tobytes()
    return repr(value).encode()


def log_content(text):
    """The rows of a CSV log by column name, without times; SB3 orders columns differently in every process."""
    rows = [sorted((k, v) for k, v in row.items() if k not in TIMES) for row in csv.DictReader(io.StringIO(text))]
    return repr(rows)


def assert_equal(one, other):
    assert not one.keys() ^ other.keys(), sorted(one.keys() ^ other.keys())[:9]
    different = [key for key in one if one[key] != other[key]]
    assert not different, different


def script(text, *arguments):
    """The command that runs a Python script."""
    return [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]


def run(command, variables=None):
    """A command in a process of its own."""
    variables = environment() if variables is None else variables
    return warm.Program(command, variables=variables)


def environment():
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "MARL_PR_DEBUG": "1"}


def kill(command, mark, before_save):
    """Run a command and SIGKILL it before it writes a checkpoint: what it did since the last one is lost."""
    process = run(command, halting(SAVE, before_save, mark, environment()))
    send(process, signal.SIGKILL, mark, process.communicate)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def serial(root):
    found = checkpoint.checkpoints(root)
    return int(found[-1].name.split("-")[0]) if found else 0


def done(process):
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out + err
