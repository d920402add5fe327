"""Cells that differ in their seeds as one process: each is what it would be alone, and what it leaves is its own."""

import json
import logging
import os
import signal
import subprocess
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from stable_baselines3 import TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise

from marl_pr_common.runs.signals import Stopped
from marl_pr_common.runs.status import read_status
from marl_pr_common.runs.table import read_results
from marl_pr_common.study import cell, outlook, processes, stacks
from marl_pr_common.study.plan import resolve
from marl_pr_common.study.run import run_study
from sb3_pr import TD3PR, evaluate_agents
from sb3_pr.study import stack
from sb3_pr.study.team_records import TeamRecorder
from tests.sb3.tools import assert_same_bits
from tests.study.stacking import CELLS, SMALL, Breaks, assert_equal_cells, without_times
from tests.study.studies import TABULAR, console, study

MEANS = [f"train/{name}" for name in ("actor_loss", "critic_loss", "own_value", "peer_value", "value_gap")]
MEANS += [f"train/{name}" for name in ("critic_disagreement", "masked_peer_values", "trust")]
NAME = "td3_pr-Pendulum-v1-seeds-from-0"


@pytest.fixture(scope="module", autouse=True)
def _said():
    """As the process of a cell, which says what its cells do."""
    logger = logging.getLogger("marl_pr")
    before = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(before)


@pytest.fixture(scope="module")
def stacked(tmp_path_factory):
    """A stack of two seeds that ran once."""
    out = tmp_path_factory.mktemp("stacked")
    directory = claimed(out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "PLAYERS", 4)  # one episode of each agent after the other
        cell.run(directory)
    return out


def claimed(out, **changes):
    """The directory of a stack that can be run."""
    cells = resolve(study(SMALL, settings={**SMALL["settings"], **changes}), out)
    for one in cells:
        cell.write_manifest(one.directory, one.manifest)
    [unit] = stacks.units(cells, "auto", out)
    stacks.claim([unit])
    return unit.directory


@pytest.mark.slow
def test_a_stacked_cell_is_the_team_trained_directly(stacked):
    settings = SMALL["settings"]
    model = TD3PR(
        "MlpPolicy",
        "Pendulum-v1",
        n_agents=2,
        n_teams=2,
        seeds=[0, 1],
        learning_rate=3e-4,
        batch_size=8,
        learning_starts=20 * 4,
        buffer_size=80 * 4,
        policy_kwargs={"net_arch": [8]},
        action_noise=NormalActionNoise(np.zeros(1), 0.1 * np.ones(1)),
        device="cpu",
        **settings["pr"],
    ).learn(60 * 4)
    for team, name in enumerate(CELLS):
        folder = stacked / "cells" / name
        assert_same_bits(TD3PR.load(folder / "run" / "model.zip"), model.team(team))
        rows = read_results([folder]).query("env_steps_per_agent == 60")
        episodes = make_vec_env("Pendulum-v1", 2)
        expected = evaluate_agents(model.team(team), episodes, 2, seed=10_000 * (1 + team))
        found = rows.query("metric == 'eval/return'").sort_values("agent")["value"].to_numpy()
        np.testing.assert_allclose(found, np.mean(expected, 1), rtol=1e-6)
        vote = rows.query("metric == 'eval/vote'")["value"].item()
        assert vote == pytest.approx(np.mean(expected.vote), rel=1e-6)


@pytest.mark.slow
def test_every_cell_leaves_what_it_would_leave_alone(stacked, tmp_path):
    alone = resolve(study(SMALL, seeds=[1]), tmp_path)[0]
    cell.write_manifest(alone.directory, alone.manifest)
    cell.run(alone.directory)
    mine, folder = alone.directory, stacked / "cells" / alone.name
    assert {path.name for path in folder.iterdir()} == {path.name for path in mine.iterdir()} | {"log.txt"}
    kept = {path.name for path in (mine / "run").iterdir()} - {"checkpoints"}
    assert {path.name for path in (folder / "run").iterdir()} == kept
    keys = ["agent", "env_steps_per_agent", "total_env_steps", "updates", "metric"]
    found, expected = (without_times(path).set_index(keys)["value"] for path in (folder, mine))
    means = [index for index in expected.index if index[0] == -1 and index[-1] in MEANS]
    pd.testing.assert_series_equal(found.sort_index(), expected.drop(means).sort_index(), rtol=1e-3)
    assert read_status(folder / "run") == read_status(mine / "run")
    assert "seed1: 30 of 60" in (folder / "log.txt").read_text()
    assert "seed0" not in (folder / "log.txt").read_text()


@pytest.fixture
def no_report(monkeypatch, in_process):
    monkeypatch.setattr("marl_pr_common.study.report.report", lambda *_: ([], []))


@pytest.mark.slow
def test_upstreams_arm_is_stacked_if_asked_and_leaves_upstreams_model(tmp_path, no_report):
    few = {**SMALL["settings"], "timesteps_per_agent": 24, "eval_every": 24, "pr": {"kappa": 0.25}}
    asked = study(SMALL, arms={"td3": {}, "td3_pr": {}}, settings=few)
    plan = outlook.outlook(resolve(asked, tmp_path), 1, "auto")
    assert [unit.cells[0].manifest.arm for unit in plan.stacks] == ["td3_pr"]
    run_study(replace(asked, stack=True), tmp_path, console=console())
    model = TD3.load(tmp_path / "cells" / "td3-Pendulum-v1-seed1" / "run" / "model.zip")
    assert type(model) is TD3
    log = (tmp_path / "cells" / "td3-Pendulum-v1-seed1" / "log.txt").read_text()
    assert "without effect in td3: pr.kappa=0.25" in log
    written = json.loads((tmp_path / "study.json").read_text())
    assert written["config"]["stack"] is True
    assert written["stacks"][NAME] == CELLS
    [note] = stacks.said(resolve(asked, tmp_path))
    assert note.startswith("Stacked: seeds of TD3; TD3PR learned together, up to 2 in one process")
    assert not stacks.said(resolve(asked, tmp_path / "elsewhere"))


@pytest.mark.slow
def test_a_killed_stack_goes_on_as_if_nothing_had_been(tmp_path):
    folders = {name: claimed(tmp_path / name, timesteps_per_agent=200) for name in ("killed", "whole")}
    cell.run(folders["whole"])
    for step in (40, 100):
        process = subprocess.Popen(processes.command(folders["killed"]), stderr=subprocess.DEVNULL)
        while process.poll() is None and not list(folders["killed"].glob(f"checkpoints/*{4 * step}/manifest.json")):
            time.sleep(0.01)
        process.kill()
        process.wait()
    assert not cell.is_done(folders["killed"])
    cell.run(folders["killed"])
    assert_equal_cells(tmp_path / "killed", tmp_path / "whole")


def test_a_stack_goes_on_as_if_nothing_had_been(stacked, tmp_path, monkeypatch, no_report):
    step = TeamRecorder._on_step

    def ends(recorder):
        if recorder.total_env_steps == 2 * 44 and recorder.team == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(recorder)

    monkeypatch.setattr(TeamRecorder, "_on_step", ends)
    with pytest.raises(Stopped, match="the study's command goes on"):
        run_study(study(SMALL), tmp_path, 1, console=console())
    monkeypatch.setattr(TeamRecorder, "_on_step", step)
    assert [read_status(tmp_path / "cells" / name / "run").state for name in CELLS] == ["stopped"] * 2
    assert not any((tmp_path / "cells" / name / "DONE").exists() for name in CELLS)
    more = run_study(study(SMALL, seeds=3), tmp_path, 1, console=console())  # those that were begun go on together
    assert len(more.done) == 3
    written = json.loads((tmp_path / "study.json").read_text())["stacks"]
    assert written == {NAME: CELLS}
    assert_equal_cells(tmp_path, stacked)
    assert not list(tmp_path.glob("cells/*/run.incomplete*"))


def test_a_team_that_diverges_is_a_failed_cell_alone(tmp_path, no_report, monkeypatch):
    monkeypatch.setattr(Breaks, "seed", 6)
    task = {"tests.study.stacking:breaks": {}}
    of_all = study(SMALL, tasks=task, seeds=[0, 5, 9], stack=True)
    outcome = run_study(of_all, tmp_path, console=console())
    assert [name[-5:] for name in outcome.failed] == ["seed5"]
    assert [name[-5:] for name in outcome.done] == ["seed0", "seed9"]
    broken = tmp_path / "cells" / outcome.failed[0]
    status = read_status(broken / "run")
    assert status.state == "failed"
    assert "NonFiniteError: non-finite reward of agent 1 at step 60" in status.error
    assert "The other seeds of its stack went on" in (broken / "log.txt").read_text()
    assert not (broken / "DONE").exists()
    assert read_results([broken])["env_steps_per_agent"].max() < 60
    monkeypatch.setattr(Breaks, "seed", None)
    assert not run_study(of_all, tmp_path, console=console()).failed, "run again, by itself"


REFUSED = [
    ({"stack": "always"}, SMALL, r"stack='always': expected auto, true or false"),
    ({"stack": 3}, SMALL, r"stack=3: expected auto, true or false"),
    ({"stack": True}, TABULAR, r"stack=True, but iql on Landmarks-2 can't be stacked: host tabular runs every cell"),
    (
        {"stack": True, "tasks": {"CooperativeNavigation-2": {}}},
        SMALL,
        r"td3_pr on CooperativeNavigation-2 can't be stacked: its agents share one world",
    ),
]


@pytest.mark.parametrize(("given", "content", "message"), REFUSED, ids=lambda value: "" if value is SMALL else None)
def test_what_cannot_be_stacked_is_refused_before_anything_is_written(tmp_path, given, content, message):
    with pytest.raises(ValueError, match=message):
        run_study(study(content, **given), tmp_path / "out", console=console())
    assert not (tmp_path / "out").exists()
