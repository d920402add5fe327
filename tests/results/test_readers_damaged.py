"""Logs of others that are damaged are named in one ValueError, and left out below a folder of many runs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from marl_pr_common.results import readers
from marl_pr_common.results.comparable import comparable

CONFIG = {"name": "iql", "seed": 1, "env_args": {"key": "pp-3-v0"}}
METRIC = {"steps": [0, 100, 200], "values": [1.0, 2.0, 3.0], "timestamps": ["2024-01-01T00:00:00"] * 3}
MONITOR = '#{"t_start": 0.0, "env_id": "Pendulum-v1"}\nr,l,t\n'


def _sacred(folder, config=None, run=None, metric=METRIC, file="metrics.json"):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | (config or {})))
    (folder / "run.json").write_text(json.dumps({"status": "COMPLETED"} | (run or {})))
    if metric is not None:
        (folder / file).write_text(json.dumps({"test_return_mean": metric}))
    return folder


def _npz(folder, timesteps, results):
    folder.mkdir(parents=True)
    np.savez(folder / "evaluations.npz", timesteps=timesteps, results=results)
    return folder


def _monitor(folder, lines):
    folder.mkdir(parents=True)
    (folder / "0.monitor.csv").write_text(MONITOR + lines)
    return folder


def _progress(folder, steps):
    folder.mkdir(parents=True)
    (folder / "progress.csv").write_text(f"time/total_timesteps,train/loss\n{steps},1.0\n")
    return folder


DAMAGED = {
    "0-d timesteps": (lambda f: _npz(f, np.int64(5), np.zeros((3, 2))), r"evaluations\.npz.*timesteps of shape \(\)"),
    "NaN steps": (lambda f: _npz(f, np.array([1.0, np.nan]), np.zeros((2, 2))), r"evaluations\.npz.*nan.*finite"),
    "negative steps": (lambda f: _npz(f, np.array([-5, 5]), np.zeros((2, 2))), r"evaluations\.npz.*-5.*>= 0"),
    "no episodes": (lambda f: _npz(f, np.array([1, 2]), np.zeros((2, 0))), r"evaluations\.npz.*0 episodes"),
    "letter in r": (lambda f: _monitor(f, "1.0,200,1.0\nx,200,2.0\n"), r"0\.monitor\.csv: column r .*x"),
    "negative length": (lambda f: _monitor(f, "1.0,-200,1.0\n"), r"0\.monitor\.csv.*-200"),
    "infinite steps": (lambda f: _progress(f, "inf"), r"progress\.csv.*total_timesteps: inf"),
    "letter in steps": (lambda f: _progress(f, "x"), r"progress\.csv.*not numbers"),
    "no steps": (lambda f: _sacred(f, metric={"values": [1.0]}), r"metrics\.json: test_return_mean has no lists"),
    "null steps": (lambda f: _sacred(f, metric=METRIC | {"steps": None}), r"metrics\.json: test_return_mean"),
    "a list": (lambda f: _sacred(f, metric=[1, 2]), r"metrics\.json: test_return_mean has no lists"),
    "NaN in steps": (
        lambda f: _sacred(f, metric=METRIC | {"steps": [0, None, 2]}),
        r"metrics\.json: steps of test.*nan",
    ),
    "env_args": (lambda f: _sacred(f, {"env_args": "x"}), r"config\.json: env_args='x', expected a mapping"),
    "no agents": (lambda f: _sacred(f, {"n_agents": 0}), r"n_agents=0, expected an integer >= 1"),
    "experiment": (lambda f: _sacred(f, run={"experiment": "x"}), r"Pendulum-v1_0: damaged \(.*EPyMARL's sacred"),
    "no info.json": (lambda f: _sacred(f, metric=None), r"neither metrics in metrics\.json nor info\.json"),
    "no values": (lambda f: _sacred(f, metric=METRIC | {"values": []}), "no test return yet"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_one_error_that_names_the_file_and_is_left_out_among_others(tmp_path, damage):
    make, expected = DAMAGED[damage]
    folder = make(tmp_path / "runs" / "td3" / "Pendulum-v1_0")
    with pytest.raises(ValueError, match=expected) as caught:
        readers.read(folder)
    assert str(caught.value).startswith(str(folder))
    _npz(tmp_path / "runs" / "td3" / "Pendulum-v1_1", np.array([100, 200]), np.zeros((2, 2)))
    notes: list[str] = []
    assert set(readers.read_all([tmp_path / "runs"], notes)["seed"]) == {1}
    assert len(notes) == 1
    assert str(folder) in notes[0]


@pytest.mark.parametrize("key", ["steps", "values", "timestamps"])
def test_a_run_that_is_still_written_to_counts_as_far_as_it_is_whole(tmp_path, key):
    table = readers.read(_sacred(tmp_path / "1", metric=METRIC | {key: METRIC[key][:2]}))
    assert list(table["value"]) == [1.0, 2.0]
    assert list(table["total_env_steps"]) == [0, 300]


def test_what_is_only_unknown_is_no_damage(tmp_path, monkeypatch):
    _sacred(tmp_path / "iql" / "key" / "1", {"name": "iql"}, {"experiment": None})
    monkeypatch.chdir(tmp_path / "iql" / "key")
    table = readers.read("1")
    assert set(table["engine"]) == {"epymarl, commit unknown"}
    assert readers.read("1", n_agents=5)["total_env_steps"].max() == 1000


@pytest.mark.parametrize("n_agents", [0, -1, 1.5, "x"])
def test_a_wrong_number_of_agents_is_named(tmp_path, n_agents):
    folder = _npz(tmp_path / "td3" / "Pendulum-v1_0", np.array([100]), np.zeros((1, 2)))
    with pytest.raises(ValueError, match=f"n_agents={n_agents!r}"):
        readers.read(folder, n_agents=n_agents)
    with pytest.raises(TypeError, match="sed: expected names among"):
        readers.read(folder, sed=3)


@pytest.mark.parametrize("broken", [slice(1, 2), slice(2, None), slice(None)])
@pytest.mark.parametrize("kind", ["progress", "monitor"])
def test_nan_in_a_csv_file_is_a_value_and_an_empty_cell_is_none(tmp_path, kind, broken):
    values = ["1.0", "2.0", "3.0", ""] if kind == "progress" else ["1.0", "2.0", "3.0"]
    values[broken] = ["nan"] * len(values[broken])
    if kind == "progress":
        (tmp_path / "td3").mkdir()
        lines = [f"{100 * (at + 1)},{value}" for at, value in enumerate(values)]
        (tmp_path / "td3" / "progress.csv").write_text("\n".join(["time/total_timesteps,eval/mean_reward", *lines]))
        metric, file = "eval/return", tmp_path / "td3"
    else:
        lines = [f"{value},100,{at}" for at, value in enumerate(values)]
        metric, file = "rollout/episode_return", _monitor(tmp_path / "td3", "\n".join([*lines, ""]))
    read = readers.read_all([file], None, {file: {"arm": "td3", "task": "Pendulum-v1", "seed": 0}})
    part = read[read["metric"] == metric]
    assert part["env_steps_per_agent"].tolist() == [100 * (at + 1) for at, value in enumerate(values) if value]
    with pytest.raises(ValueError, match="is not finite in"):
        comparable(read, metric)


@pytest.mark.parametrize("text", ["", '{"test_return_mean": {"steps": [0, 10'])
def test_a_cut_file_of_metrics_is_read_from_the_other_one(tmp_path, text):
    folder = _sacred(tmp_path / "1")
    (folder / "metrics.json").write_text(text)
    with pytest.raises(ValueError, match=r"metrics.json is damaged, and there is no info.json beside it"):
        readers.read_all([folder])
    (folder / "info.json").write_text('{"test_return_mean": [1.0, 2.0], "test_return_mean_T": [0, 100]}')
    notes = []
    assert readers.read_all([folder], notes)["value"].tolist() == [1.0, 2.0]
    assert any("metrics.json is damaged: read from info.json" in note for note in notes)
