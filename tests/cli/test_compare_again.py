"""A comparison given a second time: after it was killed, with more seeds or arms, after a mistyped setting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import pytest

from marl_pr_common import cells, run_guard
from marl_pr_common.cells import is_complete
from marl_pr_common.compare import CompareConfig, compare
from marl_pr_common.run_guard import exclusive
from marl_pr_common.runs import read_results
from marl_pr_common.status import read_status
from tests.cli.processes import CLI, LINUX_ONLY, said
from tests.events import wait_for


@LINUX_ONLY
def test_a_killed_comparison_takes_its_cells_along_and_goes_on_at_once(tiny, tmp_path, quiet):
    out = tmp_path / "out"
    cell = out / "cells" / "td3-seed0"
    options = ["--arms", "td3", "--seeds", "0", "--timesteps-per-agent", "1000000", "--eval-episodes", "1"]
    process = subprocess.Popen([*CLI, "compare", "--out", str(out), *options], start_new_session=True)
    try:
        wait_for(lambda: read_status(cell) is not None, process)
        process.kill()
        process.wait()
        outcome = compare(CompareConfig(arms=("td3",), seeds=(0,), train=tiny), out, quiet)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert outcome.failed == ()
    assert is_complete(cell)
    assert json.loads((cell / "run.json").read_text())["config"]["timesteps_per_agent"] == 120
    assert (cell / "progress.csv").is_file()
    left = read_status(cell.with_name("td3-seed0.incomplete-1"))
    assert left is not None
    assert (left.state, left.error) == ("stopped", None)


def test_added_seeds_and_arms_join_those_that_are_there(tiny, tmp_path, quiet):
    out = tmp_path / "out"
    compare(CompareConfig(arms=("td3",), seeds=(0, 1), train=tiny), out, quiet)
    outcome = compare(CompareConfig(arms=("ddpg", "td3"), seeds=(2,), train=tiny), out, quiet)
    assert outcome.complete == ("td3-seed0", "td3-seed1", "td3-seed2", "ddpg-seed2")
    assert list(dict.fromkeys(read_results([out])["run"])) == list(outcome.complete)
    claim = json.loads((out / "compare.json").read_text())
    assert (claim["arms"], claim["seeds"]) == (["td3", "ddpg"], [0, 1, 2])
    summary = (out / "summary.md").read_text()
    assert "# td3 / ddpg on Pendulum-v1" in summary
    assert "3 seeds (0, 1, 2)" in summary
    assert "not asked for this time: ddpg-seed0, ddpg-seed1." in summary


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": (0, 3_000_000_000)}, r"seed=3000000000: expected an integer in \[0, 2\*\*31 - 1\]"),
        ({"env": "Nope-v0"}, "env='Nope-v0' cannot be made"),
        ({"env": "CartPole-v1"}, "continuous actions"),
    ],
)
def test_what_is_refused_claims_no_directory(tiny, tmp_path, quiet, change, message):
    train = replace(tiny, env=change.get("env", tiny.env))
    config = CompareConfig(arms=("td3",), seeds=change.get("seeds", (0,)), train=train)
    with pytest.raises(ValueError, match=message):
        compare(config, tmp_path / "out", quiet)
    assert not (tmp_path / "out").exists()


def test_settings_without_a_complete_cell_may_be_replaced(tiny, tmp_path, monkeypatch, quiet):
    out = tmp_path / "out"
    config = CompareConfig(arms=("td3",), seeds=(0, 3), train=tiny)
    with monkeypatch.context() as patch:
        patch.setattr(cells, "command", lambda cell: [sys.executable, "-c", "raise SystemExit('boom')"])
        compare(config, out, quiet)
    compare(replace(config, seeds=(0,), train=replace(tiny, tau=0.5)), out, quiet)
    assert "its settings are replaced (tau was 0.005 and is now 0.5)" in said(quiet)
    claim = json.loads((out / "compare.json").read_text())
    assert (claim["seeds"], claim["train"]["tau"]) == ([0], 0.5)
    assert json.loads((out / "cells" / "td3-seed0" / "run.json").read_text())["config"]["tau"] == 0.5
    with pytest.raises(ValueError, match="tau was 0.5 and is now 0.005"):
        compare(config, out, quiet)


def test_settings_are_not_replaced_under_a_run_that_goes_on(tiny, tmp_path, monkeypatch, quiet):
    out = tmp_path / "out"
    (out / "cells" / "td3-seed0").mkdir(parents=True)
    (out / "compare.json").write_text("{}")
    monkeypatch.setattr(run_guard, "WAIT_SECONDS", 0.1)
    with exclusive(out / "cells" / "td3-seed0"), pytest.raises(ValueError, match="other settings"):
        compare(CompareConfig(arms=("td3",), seeds=(0,), train=tiny), out, quiet)
    assert (out / "compare.json").read_text() == "{}"
