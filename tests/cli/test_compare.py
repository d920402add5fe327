"""A comparison is a study of options: refused when it would mix settings, extended, and named when it is an old one."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import pytest
from rich.console import Console

from marl_pr_common.cli import main
from marl_pr_common.runs import lock as run_guard
from marl_pr_common.runs.lock import exclusive
from marl_pr_common.runs.provenance import as_plain
from marl_pr_common.runs.status import read_status
from marl_pr_common.runs.table import read_results, write_results
from marl_pr_common.study import processes
from marl_pr_common.study.cell import is_done
from marl_pr_common.study.plan import resolve
from sb3_pr.cli.compare import Command, SharedSettings
from tests import warm
from tests.events import wait_for
from tests.processes import CLI, LINUX_ONLY

FILES = ("results.parquet", "report.html", "summary.md", "study.json", "figures/learning_curves.png")
LONG = ["--timesteps-per-agent", "1000000", "--eval-episodes", "1"]


@pytest.fixture
def shared(tiny):
    return SharedSettings(**{name: getattr(tiny, name) for name in as_plain(tiny)})


def compare(out, arms, seeds, train, jobs=2):
    """Exit code, and what was said."""
    console = Console(file=io.StringIO(), width=400)
    code = Command(out, arms=arms, seeds=seeds, jobs=jobs, train=train).run(console)
    return code, console.file.getvalue()


@pytest.mark.slow
def test_arms_are_run_kept_and_not_mixed_with_other_settings(shared, tmp_path, in_process):
    out = tmp_path / "out"
    code, said = compare(out, ("td3",), (0,), shared, jobs=1)
    assert code == 0
    assert all((out / name).stat().st_size > 0 for name in FILES)
    code, said = compare(out, ("td3_pr", "td3"), (1,), shared, jobs=1)
    assert code == 0
    assert "1 of 4 cells are done and kept." in said
    names = [f"{arm}-Pendulum-v1-seed{seed}" for seed in range(2) for arm in ("td3", "td3_pr")]
    assert set(read_results([out])["run"]) == set(names)
    asked = json.loads((out / "study.json").read_text())["config"]
    assert (list(asked["arms"]), asked["seeds"]) == (["td3", "td3_pr"], [0, 1])
    summary = (out / "summary.md").read_text()
    assert "TD3 (reference): 2 seeds" in summary
    changed = replace(shared, tau=0.5, pr=replace(shared.pr, kappa=0.1))
    with pytest.raises(ValueError, match=r"settings.tau was 0.005 and is now 0.5; settings.pr.kappa was 0.5 and is"):
        compare(out, ("td3", "td3_pr"), (0,), changed)
    with pytest.raises(ValueError, match=r"other settings: tasks.Hopper-v5 was 'absent'"):
        compare(out, ("td3",), (0,), replace(shared, env="Hopper-v5"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": (0, 3_000_000_000)}, r"integers in \[0, 2\*\*31 - 1\]"),
        ({"env": "Nope-v0"}, "env='Nope-v0' cannot be made"),
        ({"env": "CartPole-v1"}, "continuous actions"),
        ({"arms": ("td3", "td3_rp")}, "'td3_rp' is not one of .*Did you mean 'td3_pr'"),
        ({"arms": ()}, "arms is empty"),
        ({"arms": ("td3", "td3")}, "named twice"),
        ({"seeds": ()}, "seeds="),
        ({"seeds": (1, 1)}, "each once"),
        ({"seeds": (-1,)}, "seeds="),
        ({"jobs": 0}, "jobs=0"),
    ],
)
def test_what_is_refused_claims_no_directory(shared, tmp_path, change, message):
    train = replace(shared, env=change.get("env", shared.env))
    with pytest.raises(ValueError, match=message):
        compare(tmp_path / "out", change.get("arms", ("td3",)), change.get("seeds", (0,)), train, change.get("jobs", 1))
    assert not (tmp_path / "out").exists()


def test_settings_without_a_done_cell_may_be_replaced(shared, tmp_path, monkeypatch, request):
    out, name = tmp_path / "out", "td3-Pendulum-v1-seed0"
    with monkeypatch.context() as patch:
        patch.setattr(processes, "serving", lambda: [sys.executable, "-c", "raise SystemExit('boom')"])
        assert compare(out, ("td3",), (0, 3), shared)[0] == 1
    request.getfixturevalue("in_process")
    code, said = compare(out, ("td3",), (0,), replace(shared, tau=0.5))
    assert code == 0
    assert "its settings are replaced (settings.tau was 0.005 and is now 0.5)" in said
    asked = json.loads((out / "study.json").read_text())["config"]
    assert (asked["seeds"], asked["settings"]["tau"]) == ([0], 0.5)
    assert json.loads((out / "cells" / name / "run" / "run.json").read_text())["config"]["tau"] == 0.5
    with pytest.raises(ValueError, match=r"tau was 0.5 and is now 0.005"):
        compare(out, ("td3",), (0,), shared)


def test_settings_are_not_replaced_under_a_run_that_goes_on(shared, tmp_path, monkeypatch):
    out, cell = tmp_path / "out", tmp_path / "out" / "cells" / "td3-Pendulum-v1-seed0"
    cell.mkdir(parents=True)
    asked = json.dumps({"config": as_plain(Command(out, arms=("td3",), train=shared).study())})
    (out / "study.json").write_text(asked)
    monkeypatch.setattr(run_guard, "WAIT_SECONDS", 0.1)
    with exclusive(cell), pytest.raises(ValueError, match="other settings"):
        compare(out, ("td3",), (0,), replace(shared, tau=0.5))
    assert (out / "study.json").read_text() == asked


def test_a_comparison_of_an_earlier_version_is_named_and_reported_on(shared, tmp_path, make_results, capsys):
    out = tmp_path / "old"
    out.mkdir()
    (out / "compare.json").write_text('{"arms": ["td3"], "seeds": [0], "train": {}}')
    write_results(out / "results.parquet", make_results(lambda arm, seed, agent, steps: steps + seed, 3))
    before = sorted(out.iterdir())
    with pytest.raises(FileExistsError, match=r"comparison of an earlier version.*`marl-pr report .*old --out REPORT`"):
        compare(out, ("td3",), (0,), shared)
    assert sorted(out.iterdir()) == before
    assert main(["report", str(out), "--out", str(tmp_path / "report")]) == 0
    assert "TD3PR, 3 agents" in (tmp_path / "report" / "summary.md").read_text()


@pytest.mark.slow  # tests/study/test_kills.py ends a study's
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to catch")
def test_sigterm_ends_the_cells_too_and_the_comparison_can_go_on(tmp_path):
    out = tmp_path / "out"
    run = out / "cells" / "td3-Pendulum-v1-seed0" / "run"
    command = [*CLI, "compare", "--out", str(out), "--arms", "td3", "--seeds", "0", *LONG]
    process = warm.Program(command)
    wait_for(lambda: read_status(run) is not None, process)
    process.send_signal(signal.SIGTERM)
    assert "interrupted" in process.communicate()[1]
    assert process.returncode == 130
    status = read_status(run)
    assert status is not None
    assert (status.state, status.error) == ("stopped", None)


@pytest.mark.slow  # test_resume_command and tests/study kill one, too
@LINUX_ONLY
def test_a_killed_comparison_takes_its_cells_along_and_goes_on_at_once(shared, tmp_path):
    out = tmp_path / "out"
    run = out / "cells" / "td3-Pendulum-v1-seed0" / "run"
    command = [*CLI, "compare", "--out", str(out), "--arms", "td3", "--seeds", "0", *LONG]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        wait_for(lambda: read_status(run) is not None, process)
        process.kill()
        process.wait()
        code, said = compare(out, ("td3",), (0,), shared)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert code == 0, said
    assert is_done(run.parent)
    assert json.loads((run / "run.json").read_text())["config"]["timesteps_per_agent"] == 120
    left = read_status(run.with_name("run.incomplete-1"))
    assert left is not None
    assert (left.state, left.error) == ("stopped", None)


def test_arms_differ_only_in_what_they_are_about(shared, tmp_path):
    shared = replace(shared, pr=replace(shared.pr, kappa=0.3))
    arms = ("td3", "td3_pr", "td3_independent", "td3_shared_replay", "ddpg_pr_shared_replay")
    cells = resolve(Command(tmp_path, arms=arms, seeds=(7,), train=shared).study(), tmp_path)
    seen = {cell.manifest.arm: cell.manifest.plan.settings for cell in cells}
    teams = {cell.manifest.arm: cell.manifest.plan.n_agents for cell in cells}
    assert {name: (c["algo"], teams[name], c["shared_replay"]) for name, c in seen.items()} == {
        "td3": ("td3", 1, False),
        "td3_pr": ("td3_pr", 3, False),
        "td3_independent": ("td3_pr", 3, False),
        "td3_shared_replay": ("td3_pr", 3, True),
        "ddpg_pr_shared_replay": ("ddpg_pr", 3, True),
    }
    kappas = {name: c["pr"]["kappa"] for name, c in seen.items() if name != "td3"}
    assert kappas == {
        "td3_pr": 0.3,
        "td3_independent": 0.0,
        "td3_shared_replay": 0.0,
        "ddpg_pr_shared_replay": 0.3,
    }
    decided = ("algo", "seed", "shared_replay", "pr", "final_checkpoint")
    expected = {key: value for key, value in as_plain(shared).items() if key not in decided}
    for settings in seen.values():
        assert {key: value for key, value in settings.items() if key not in decided} == expected
        assert settings["seed"] == 7
