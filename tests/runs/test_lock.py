"""A run directory belongs to one process at a time, which ends with the comparison that started it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from marl_pr_common.runs import lock as run_guard
from marl_pr_common.runs.lock import PARENT, RunInUseError, exclusive, in_use
from marl_pr_common.runs.status import Status, write_status
from marl_pr_common.study import processes
from marl_pr_common.study.processes import Running
from tests.events import HANG
from tests.processes import LINUX_ONLY


@LINUX_ONLY
@pytest.mark.parametrize("serving", [False, True])
def test_a_cell_whose_study_is_gone_does_not_begin(tmp_path, serving):
    (tmp_path / "manifest.json").write_text("{}")
    command = processes.serving() if serving else processes.command(tmp_path)
    done = subprocess.run(command, env={**os.environ, PARENT: "1"}, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 1
    assert "(process 1) has ended" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_cell_that_another_process_trains_is_left_alone(tmp_path, monkeypatch):
    cell = tmp_path / "out" / "cells" / "td3-seed0"
    cell.mkdir(parents=True)
    (cell / "manifest.json").write_text("{}")
    waits = "from marl_pr_common.study import cell; import sys; cell.SECONDS_TO_SAVE = 0.2; sys.exit(cell.main())"
    monkeypatch.setattr(processes, "command", lambda path: [sys.executable, "-c", waits, str(path)])
    monkeypatch.setattr(run_guard, "WAIT_SECONDS", 0.2)
    with exclusive(cell):
        write_status(cell, Status("running", 1, 120))
        assert in_use(cell)
        with (
            pytest.raises(RunInUseError, match="trained by another process.*Wait for that process or end it"),
            exclusive(cell),
        ):
            pass
        ended = Running().run(str(cell))
    assert ended.state == "failed"
    assert "is being trained by another process" in ended.error
    assert [path.name for path in cell.parent.iterdir() if path.is_dir()] == ["td3-seed0"]
    assert not in_use(cell)


def test_training_holds_the_lock(tiny, tmp_path, monkeypatch):
    from sb3_pr.cli.train import Command
    from sb3_pr.study import run as training

    held = []
    monkeypatch.setattr(run_guard, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(training, "train", lambda *_, **__: held.append(in_use(tmp_path / "run")))
    monkeypatch.setattr("sb3_pr.cli.train.conclude", lambda *_: None)
    Command(out=tmp_path / "run", train=tiny).run()
    assert held == [True]
