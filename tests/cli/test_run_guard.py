"""A run directory belongs to one process at a time, which ends with the comparison that started it."""

from __future__ import annotations

import os
import subprocess

import pytest

from marl_pr_common import cells, run_guard
from marl_pr_common.cells import is_complete
from marl_pr_common.run_guard import PARENT, RunInUseError, exclusive, in_use
from marl_pr_common.status import Status, write_status
from tests.cli.processes import CLI, LINUX_ONLY, said


@LINUX_ONLY
def test_a_cell_whose_comparison_is_gone_does_not_begin(tmp_path):
    command = [*CLI, "train", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, env={**os.environ, PARENT: "1"}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "(process 1) has ended" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_cell_that_another_process_trains_is_left_alone(tmp_path, monkeypatch, quiet):
    out = tmp_path / "out"
    cell = out / "cells" / "td3-seed0"
    monkeypatch.setattr(run_guard, "WAIT_SECONDS", 0.2)
    with exclusive(cell):
        write_status(cell, Status("running", 1, 120))
        assert in_use(cell)
        with (
            pytest.raises(RunInUseError, match="trained by another process.*Wait for that process or end it"),
            exclusive(cell),
        ):
            pass
        results = cells.run_cells([_cell(out)], 1, quiet)
    assert results == ("td3-seed0",)
    assert "td3-seed0 FAILED: " in said(quiet)
    assert "is being trained by another process" in said(quiet)
    assert [path.name for path in cell.parent.iterdir() if path.is_dir()] == ["td3-seed0"]
    assert not in_use(cell)


def _cell(out):
    name = "td3-seed0"
    return cells.Cell(name, "td3", out / "none.yaml", out / "cells" / name, out / "logs" / f"{name}.log", 120, 1)


def test_training_holds_the_lock(tiny, tmp_path, monkeypatch):
    from marl_pr_common.commands.train import Command
    from sb3_pr import training

    held = []
    monkeypatch.setattr(run_guard, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(training, "train", lambda *args: held.append(in_use(tmp_path / "run")))
    Command(out=tmp_path / "run", train=tiny).run()
    assert held == [True]


@pytest.mark.parametrize("missing", ["run.json", "results.parquet", "model.zip"])
def test_complete_is_what_says_so_and_has_its_files(tmp_path, missing):
    for name in ("run.json", "results.parquet", "model.zip"):
        (tmp_path / name).write_text("")
    assert not is_complete(tmp_path)
    write_status(tmp_path, Status("running", 120, 120))
    assert not is_complete(tmp_path)
    write_status(tmp_path, Status("complete", 120, 120))
    assert is_complete(tmp_path)
    (tmp_path / missing).unlink()
    assert not is_complete(tmp_path)
