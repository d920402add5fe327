"""Studies of users' own environments: cells import them from the directory the study runs in, and reports name them."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pettingzoo", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from marl_pr_common.results.readers import read_all
from marl_pr_common.study.config import Task, load_study
from marl_pr_common.study.plan import cell_name, resolve
from marl_pr_common.study.processes import run_cell
from marl_pr_common.study.run import report_only, run_study
from tests.envs import own_envs
from tests.study.studies import console

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_env_study"
SMALL = {"steps_per_agent": 60, "eval_every": 30, "eval_episodes": 2}


@pytest.fixture
def in_example(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(EXAMPLE)


def small(**changes):
    asked = load_study(str(EXAMPLE / "study.yaml"))
    return replace(asked, settings={**asked.settings, **SMALL}, seeds=(0,), **changes)


def test_the_example_runs_in_processes_of_its_own_and_is_reported_on(in_example, tmp_path, monkeypatch):
    out = tmp_path / "out"
    ended = run_study(small(), out, console=console())
    assert not ended.failed
    assert ended.done == ("iql-my_envs-still_lake-seed0", "iql_pr_decision-my_envs-still_lake-seed0")
    assert set(read_all([out])["task"]) == {"my_envs:still_lake"}
    assert "my_envs:still_lake" in (out / "summary.md").read_text()
    monkeypatch.delitem(sys.modules, "my_envs")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(EXAMPLE)])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rf"no module 'my_envs' in {tmp_path}.*The study was begun in {EXAMPLE}"):
        report_only(small(), out)


@pytest.mark.slow
def test_a_cluster_that_runs_elsewhere_imports_from_the_studys_directory(in_example, tmp_path, monkeypatch):
    from marl_pr_common.study.cell import write_manifest

    (cell, _) = resolve(small(), tmp_path / "out")
    cell.directory.mkdir(parents=True)
    write_manifest(cell.directory, cell.manifest)
    monkeypatch.chdir(tmp_path)
    assert run_cell(str(cell.directory), here=str(EXAMPLE)).state == "done"


def test_names_of_cells_stay_apart():
    names = {cell_name("td3", task, 0) for task in ("my:env_a", "my_env:a", "my.env:a", "my:env.a")}
    assert names == {"td3-my-env_a-seed0", "td3-my_env-a-seed0", "td3-my.env-a-seed0", "td3-my-env.a-seed0"}
    assert cell_name("td3", "smax:3m", 0) == "td3-smax_3m-seed0"
    assert cell_name("td3", "mod:Id-v0", 0) == "td3-mod_Id-v0-seed0", "as it was"


def test_tasks_that_are_one_name_as_files_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(own_envs, "LAKE", own_envs.lake, raising=False)
    tasks = {"tests.envs.own_envs:lake": Task(), "tests.envs.own_envs:LAKE": Task()}
    with pytest.raises(ValueError, match=r"the tasks .*:lake and .*:LAKE have one name as files"):
        resolve(small(tasks=tasks), tmp_path)
