"""Logs that Stable-Baselines3 itself wrote become results, without a word of ours in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import stable_baselines3
from stable_baselines3 import TD3
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from marl_pr_common.cli.plot import Command
from marl_pr_common.results import readers
from marl_pr_common.results.readers.rows import UNKNOWN
from marl_pr_common.runs.table import COLUMNS, TEAM, read_results, write_results

ENGINE = f"stable-baselines3 {stable_baselines3.__version__}"


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """A real run of upstream's TD3 with EvalCallback, Monitor and the csv logger; 600 steps in two environments."""
    folder = tmp_path_factory.mktemp("logs") / "td3" / "Pendulum-v1_3"
    env = make_vec_env("Pendulum-v1", n_envs=2, seed=3, monitor_dir=str(folder))
    model = TD3("MlpPolicy", env, seed=3, learning_starts=50, policy_kwargs={"net_arch": [8]}, batch_size=8)
    model.set_logger(configure(str(folder), ["csv"]))
    test_env = Monitor(make_vec_env("Pendulum-v1", seed=9).envs[0])
    callback = EvalCallback(
        DummyVecEnv([lambda: test_env]), eval_freq=100, n_eval_episodes=3, verbose=0, log_path=str(folder)
    )
    model.learn(600, callback=callback, log_interval=1)
    model.save(folder / "model.zip")
    env.close()
    return folder


def test_every_file_of_a_run_becomes_rows(logs):
    table = readers.read(logs)
    assert tuple(table.columns) == COLUMNS
    identity = table[["run", "arm", "task", "engine", "seed", "evaluation"]].drop_duplicates().to_numpy().tolist()
    assert identity == [["td3-Pendulum-v1-seed3", "td3", "Pendulum-v1", ENGINE, 3, "3 episodes, EvalCallback"]]
    evaluations = table[table["metric"] == "eval/return"]
    with np.load(logs / "evaluations.npz") as stored:
        np.testing.assert_array_equal(evaluations["env_steps_per_agent"], [200, 400, 600])
        np.testing.assert_allclose(evaluations["value"], stored["results"].mean(axis=1))
    assert set(evaluations["agent"]) == {TEAM}
    assert set(evaluations["updates"]) == {UNKNOWN}


def test_progress_and_monitor_agree_with_the_files(logs):
    table = readers.read(logs)
    progress = pd.read_csv(logs / "progress.csv").dropna(subset=["train/critic_loss"])
    losses = table[table["metric"] == "train/critic_loss"]
    last = progress.drop_duplicates("time/total_timesteps", keep="last")
    np.testing.assert_allclose(losses["value"], last["train/critic_loss"])
    np.testing.assert_array_equal(losses["updates"], last["train/n_updates"])
    np.testing.assert_array_equal(losses["env_steps_per_agent"], last["time/total_timesteps"])
    np.testing.assert_array_equal(losses["wall_time"], last["time/time_elapsed"])  # NaN where it is not written
    episodes = table[table["metric"] == "rollout/episode_return"]
    steps = 0
    for path in sorted(logs.glob("*.monitor.csv")):
        monitor = pd.read_csv(path, skiprows=1)
        steps += monitor["l"].sum()
        assert set(monitor["r"]) & set(episodes["value"])
    assert episodes["env_steps_per_agent"].max() == steps == 400


def test_columns_of_one_vec_env_can_be_agents(logs):
    table = readers.read(logs, n_agents=2, arm="td3_independent")
    evaluations = table[table["metric"] == "eval/return"]
    assert list(evaluations["env_steps_per_agent"]) == [100, 200, 300]
    assert list(evaluations["total_env_steps"]) == [200, 400, 600]
    assert set(table["run"]) == {"td3_independent-Pendulum-v1-seed3"}


@pytest.mark.parametrize("name", ["evaluations.npz", "progress.csv", "0.monitor.csv"])
def test_one_file_is_enough_and_half_of_it_is_an_error_that_names_it(logs, tmp_path, name):
    alone = readers.read(logs / name)
    assert set(alone["seed"]) == {3}
    broken = tmp_path / name
    content = (logs / name).read_bytes()
    broken.write_bytes(content[: len(content) // 3] if name.endswith("npz") else content[:20])
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        readers.read(broken, arm="td3", task="Pendulum-v1", seed=0)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("td3/Pendulum-v1_1", ("td3", "Pendulum-v1", 1)),
        ("td3/Pendulum-v1/seed4", ("td3", "Pendulum-v1", 4)),
        ("sac-Pendulum-v1-seed12", ("sac", "Pendulum-v1", 12)),
        ("my_td3/seed_7", ("my_td3", "Pendulum-v1", 7)),
    ],
)
def test_arm_task_and_seed_come_from_folder_names(logs, tmp_path, folder, expected):
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "0.monitor.csv").write_bytes((logs / "0.monitor.csv").read_bytes())
    table = readers.read(tmp_path / folder)
    assert (table["arm"][0], table["task"][0], table["seed"][0]) == expected


def test_what_cannot_be_told_is_asked_for(logs, tmp_path):
    folder = tmp_path / "a" / "b" / "log"
    folder.mkdir(parents=True)
    (folder / "evaluations.npz").write_bytes((logs / "evaluations.npz").read_bytes())
    with pytest.raises(ValueError, match=r"task and seed of this run cannot be told.*task=..., seed=..."):
        readers.read(folder)
    table = readers.read(folder, arm="td3", task="Pendulum-v1", seed=8)
    assert set(table["run"]) == {"td3-Pendulum-v1-seed8"}
    assert set(table["engine"]) == {"stable-baselines3, version unknown"}
    with pytest.raises(ValueError, match="holds neither"):
        readers.read(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        readers.read(tmp_path / "nowhere")


def test_evaluations_with_swapped_axes_or_of_two_runs_are_refused(tmp_path):
    known = {"arm": "td3", "task": "Pendulum-v1", "seed": 0}
    np.savez(tmp_path / "evaluations.npz", timesteps=np.arange(4), results=np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"shape \(3, 4\) for timesteps of shape \(4,\).*axes are swapped"):
        readers.read(tmp_path, **known)
    np.savez(tmp_path / "evaluations.npz", timesteps=np.array([100, 200, 100]), results=np.zeros((3, 4)))
    with pytest.raises(ValueError, match="go back"):
        readers.read(tmp_path, **known)


def test_foreign_and_own_runs_are_read_together_and_damaged_ones_noted(logs, tmp_path):
    write_results(tmp_path / "own" / "results.parquet", readers.read(logs, arm="td3_pr"))
    foreign = tmp_path / "td3" / "Pendulum-v1_3"
    foreign.mkdir(parents=True)
    (foreign / "evaluations.npz").write_bytes((logs / "evaluations.npz").read_bytes())
    half = tmp_path / "td3" / "Pendulum-v1_4"
    half.mkdir()
    (half / "evaluations.npz").write_bytes(b"PK")
    begun = tmp_path / "own" / "td3-seed1"  # a run of ours that was killed before its first evaluation
    begun.mkdir()
    (begun / "run.json").write_text("{}")
    (begun / "progress.csv").write_bytes((logs / "progress.csv").read_bytes())
    notes: list[str] = []
    table = readers.read_all([tmp_path], notes)
    assert set(table["run"]) == {"td3_pr-Pendulum-v1-seed3", "td3-Pendulum-v1-seed3"}
    assert len(notes) == 1
    assert "Pendulum-v1_4" in notes[0]
    with pytest.raises(ValueError, match="Pendulum-v1_4"):
        readers.read_all([half], notes)
    assert len(read_results([tmp_path / "own"]))


def test_plot_draws_them(logs, tmp_path):
    assert Command((logs,), tmp_path / "out").run() == 0
    text = (tmp_path / "out" / "summary.md").read_text()
    assert "one single run: only its points are shown" in text
    assert ENGINE in text
    assert "3 episodes, EvalCallback" in text
    assert Command((logs,), tmp_path / "training", metric="rollout/episode_return").run() == 0
