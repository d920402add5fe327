"""A comparison: cells in processes, resumed, refused when it would mix settings, and undisturbed by one that fails."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import filelock
import pytest
from rich.console import Console

from marl_pr_common import cells
from marl_pr_common.arms import cell_config
from marl_pr_common.compare import CompareConfig, compare
from marl_pr_common.display import Display
from marl_pr_common.provenance import RUN
from marl_pr_common.runs import read_results
from marl_pr_common.status import read_status
from tests.events import HANG, wait_for

FILES = ("results.parquet", "learning_curves.png", "learning_curves.svg", "summary.md")


@pytest.fixture
def quiet():
    return Display(Console(file=io.StringIO(), width=300))


def said(display):
    return display.console.file.getvalue()


def fails_for(name, monkeypatch):
    """Make the cell ``name`` a process that crashes, as a bug in a task would."""
    real = cells.command

    def command(cell):
        crash = "import os, sys; sys.stderr.write('boom\\n'); sys.stderr.flush(); os.abort()"
        return [sys.executable, "-c", crash] if cell.name == name else real(cell)

    monkeypatch.setattr(cells, "command", command)


def test_cells_run_fail_alone_and_are_resumed(tiny, tmp_path, monkeypatch, quiet):
    out = tmp_path / "out"
    config = CompareConfig(arms=("td3", "td3_pr"), seeds=(0,), jobs=2, train=tiny)
    with monkeypatch.context() as patch:
        fails_for("td3_pr-seed0", patch)
        outcome = compare(config, out, quiet)
    assert (outcome.complete, outcome.failed) == (("td3-seed0",), ("td3_pr-seed0",))
    assert "td3_pr-seed0 FAILED: boom (log: " in said(quiet)
    assert "boom" in (out / "logs" / "td3_pr-seed0.log").read_text()
    assert "Cell td3_pr-seed0 failed; its log is logs/td3_pr-seed0.log." in (out / "summary.md").read_text()
    assert set(read_results([out])["arm"]) == {"td3"}

    kept = (out / "cells" / "td3-seed0" / RUN).read_bytes()
    half_done = out / "cells" / "td3_pr-seed0"
    half_done.mkdir()
    (half_done / "model.zip").write_text("of a run that was killed")
    outcome = compare(config, out, quiet)
    assert (len(outcome.complete), outcome.failed) == (2, ())
    assert (out / "cells" / "td3-seed0" / RUN).read_bytes() == kept
    assert (out / "cells" / "td3_pr-seed0.incomplete-1" / "model.zip").read_text() == "of a run that was killed"
    table = read_results([out])
    assert list(table["arm"].unique()) == ["td3", "td3_pr"]
    assert all((out / name).stat().st_size > 0 for name in FILES)

    with pytest.raises(
        ValueError, match=r"other settings: tau was 0.005 and is now 0.5; pr.kappa was 0.5 and is now 0.1"
    ):
        compare(replace(config, train=replace(tiny, tau=0.5, pr=replace(tiny.pr, kappa=0.1))), out, quiet)
    with monkeypatch.context() as patch:
        patch.setattr(cells, "command", lambda cell: pytest.fail("a complete cell ran again"))
        compare(replace(config, seeds=(0,), jobs=1), out, quiet)
    assert "2 of 2 cells are complete and kept." in said(quiet)


def test_no_complete_cell_gives_no_summary(tiny, tmp_path, monkeypatch, quiet):
    fails_for("td3-seed0", monkeypatch)
    outcome = compare(CompareConfig(arms=("td3",), seeds=(0,), train=tiny), tmp_path / "out", quiet)
    assert (outcome.complete, outcome.failed) == ((), ("td3-seed0",))
    assert not (tmp_path / "out" / "summary.md").exists()


def test_another_directory_is_left_alone(tiny, tmp_path, quiet):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(FileExistsError, match="not empty and holds no comparison"):
        compare(CompareConfig(train=tiny), tmp_path, quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_processes_do_not_share_a_directory(tiny, tmp_path, quiet):
    out = tmp_path / "out"
    config = CompareConfig(arms=("td3",), seeds=(0,), train=tiny)
    with pytest.MonkeyPatch.context() as patch:
        fails_for("td3-seed0", patch)
        compare(config, out, quiet)
        with filelock.FileLock(out / ".lock"), pytest.raises(ValueError, match="Another process is working on"):
            compare(config, out, quiet)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to catch")
def test_sigterm_ends_the_cells_too_and_the_comparison_can_go_on(tiny, tmp_path):
    out = tmp_path / "out"
    arguments = ["--arms", "td3", "--seeds", "0", "--timesteps-per-agent", "1000000", "--eval-episodes", "1"]
    command = [sys.executable, "-m", "marl_pr_common.cli", "compare", "--out", str(out), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: read_status(out / "cells" / "td3-seed0") is not None, process)
    process.terminate()
    assert "interrupted" in process.communicate(timeout=HANG)[1]
    assert process.returncode == 130
    status = read_status(out / "cells" / "td3-seed0")
    assert status is not None
    assert (status.state, status.error) == ("stopped", None)


def test_an_interrupt_ends_the_running_processes(tiny, tmp_path, monkeypatch, quiet):
    started = []
    real = subprocess.Popen

    def popen(*args, **kwargs):
        started.append(real([sys.executable, "-c", "import time; time.sleep(60)"]))
        return started[-1]

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cells.subprocess, "Popen", popen)
    monkeypatch.setattr(quiet, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare(CompareConfig(arms=("td3",), seeds=(0, 1, 2), jobs=1, train=tiny), tmp_path / "out", quiet)
    assert len(started) == 1
    assert started[0].wait(timeout=HANG) != 0


def test_arms_differ_only_in_what_they_are_about(tiny):
    shared = replace(tiny, pr=replace(tiny.pr, kappa=0.3))
    seen = {
        name: cell_config(shared, name, 7)
        for name in ("td3", "td3_pr", "td3_independent", "td3_shared_replay", "ddpg_pr_shared_replay")
    }
    assert {name: (c.algo, c.team_size, c.shared_replay, c.pr.kappa) for name, c in seen.items()} == {
        "td3": ("td3", 1, False, 0.0),
        "td3_pr": ("td3_pr", 3, False, 0.3),
        "td3_independent": ("td3_pr", 3, False, 0.0),
        "td3_shared_replay": ("td3_pr", 3, True, 0.0),
        "ddpg_pr_shared_replay": ("ddpg_pr", 3, True, 0.3),
    }
    same = {"shared_replay": False, "pr": shared.pr, "final_checkpoint": shared.final_checkpoint}
    for config in seen.values():
        assert replace(config, algo=shared.algo, seed=shared.seed, **same) == shared


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": ("td3", "td3_rp")}, "'td3_rp' is not one of .*Did you mean 'td3_pr'"),
        ({"arms": ()}, "arms is empty"),
        ({"arms": ("td3", "td3")}, "named twice"),
        ({"seeds": ()}, "seeds="),
        ({"seeds": (1, 1)}, "each once"),
        ({"seeds": (-1,)}, "seeds="),
        ({"jobs": 0}, "jobs=0"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        CompareConfig(**change)
