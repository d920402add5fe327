"""Names that people and other programs give to runs: when one began is no seed, and a file for each run is a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from marl_pr_common.results import readers
from marl_pr_common.results.budget import ENVIRONMENTS, EPISODES
from marl_pr_common.results.readers import given
from marl_pr_common.results.readers.folders import family, named
from marl_pr_common.runs.provenance import record
from tests.results.test_readers_apart import monitor

TIMES = [
    "2024-01-05_12-30-44",
    "20240105-123044",
    "2024.01.05.12.30",
    "Jan05_12-30-44_host-3",
    "1700000000",
    "2024-01-05",
]


@pytest.mark.parametrize("time", TIMES)
def test_when_a_run_began_is_no_seed(time):
    assert named(Path("/x/ppo/CartPole-v1") / time).seed is None
    assert named(Path("/x/ppo/CartPole-v1") / f"seed7_{time}").seed == 7
    found = named(Path("/x/runs") / f"CartPole-v1__my_ppo__3__{time}")  # CleanRL's
    assert (found.arm, found.task, found.seed) == ("my_ppo", "CartPole-v1", 3)
    assert family(Path("/x/ppo") / time) == family(Path("/x/ppo/2023-11-30_01-02-03"))
    assert family(Path("/x") / f"CartPole-v1__my_ppo__4__{time}") == family(
        Path("/x/CartPole-v1__my_ppo__31__1600000000")
    )


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        *(("seed_2024", 2024), ("Seed20240105", 20240105), ("seed-1700000000", 1700000000)),
        *(("CartPole-v1_12345678", 12345678), ("CartPole-v1_20001301", 20001301), ("Jan05_12-30-41_host_seed1", 1)),
    ],
)
def test_what_only_looks_like_a_time_is_one(name, seed):
    assert named(Path("/x/ppo/CartPole-v1") / name).seed == seed


def test_a_monitor_file_with_a_seed_in_its_name_is_a_run(tmp_path):
    folder = tmp_path / "ppo" / "Pendulum-v1"
    folder.mkdir(parents=True)
    for seed in range(3):
        monitor(folder / f"seed{seed}.monitor.csv", 1000.0 * seed, [(seed, 10, 5.0), (seed, 10, 30.0)])
    monitor(folder / "seed0_eval.monitor.csv", 1000.0, [(99, 10, 6.0)])
    table = readers.read_all([tmp_path])
    runs = table.groupby("seed")["env_steps_per_agent"].max()
    assert runs.to_dict() == {0: 20, 1: 20, 2: 20}
    assert set(table["arm"]) == {"ppo"}
    one = readers.read(folder / "seed2.monitor.csv")
    assert (one["seed"].unique().tolist(), one["value"].tolist()) == ([2], [2.0, 2.0])


def test_two_seeds_of_cleanrl_are_one_arm(tmp_path):
    for seed in (1, 2):
        folder = tmp_path / f"Pendulum-v1__ppo__{seed}__170000000{seed}"
        folder.mkdir()
        monitor(folder / "monitor.csv", 1000.0, [(seed, 10, 5.0)])
    table = readers.read_all([tmp_path])
    assert (set(table["arm"]), set(table["seed"])) == ({"ppo"}, {1, 2})


def test_monitor_files_of_one_seed_are_one_runs_environments(tmp_path):
    folder = tmp_path / "ppo" / "Pendulum-v1" / "seed1"
    folder.mkdir(parents=True)
    for number in range(2):
        monitor(folder / f"env{number}_seed1.monitor.csv", 1000.0, [(1, 10, 5.0 + number)])
    table = readers.read_all([tmp_path])
    episodes = table[table["metric"] == EPISODES]
    assert (episodes["env_steps_per_agent"].tolist(), set(table["seed"])) == ([10, 20], {1})
    assert table.loc[table["metric"] == ENVIRONMENTS, "value"].tolist() == [2.0]


def test_monitor_files_that_are_neither_are_asked_about(tmp_path):
    folder = tmp_path / "ppo" / "Pendulum-v1" / "seed1"
    folder.mkdir(parents=True)
    monitor(folder / "left.monitor.csv", 1000.0, [(1, 10, 5.0)])
    assert len(readers.read_all([tmp_path])) == 1
    monitor(folder / "right.monitor.csv", 1000.0, [(1, 10, 5.0)])
    with pytest.raises(
        ValueError, match=r"left.monitor.csv, right.monitor.csv: they may be the environments of one run"
    ):
        readers.read_all([tmp_path])
    assert len(readers.read(folder / "left.monitor.csv")) == 1
    assert readers.read(folder, seed=1)["env_steps_per_agent"].max() == 20


def test_one_file_of_a_run_of_ours_is_not_the_run(tmp_path):
    record(tmp_path, {}, 0)
    (tmp_path / "progress.csv").write_text("time/total_timesteps\n1\n")
    with pytest.raises(ValueError, match="give the run's directory"):
        readers.read_all([tmp_path / "progress.csv"])


def test_a_lone_monitor_file_may_name_the_seed(tmp_path):
    folder = tmp_path / "ppo" / "Pendulum-v1" / "run9"
    folder.mkdir(parents=True)
    monitor(folder / "seed3.monitor.csv", 1000.0, [(1, 10, 5.0)])
    assert set(readers.read_all([tmp_path])["seed"]) == {3}


@pytest.mark.parametrize(
    "name", ["ppo_large-Pendulum-v1-seed0", "td3_pr_kappa0.3-Pendulum-v1-seed1", "sac_fast_Hopper-v5_1"]
)
def test_what_may_be_of_the_arm_or_of_the_task_is_asked_for(name):
    found = named(Path("/x/runs") / name)
    assert (found.arm, found.task) == (None, None)


def test_what_a_link_is_called_counts(tmp_path):
    folder = tmp_path / "all" / "td3-Pendulum-v1-seed4"
    folder.mkdir(parents=True)
    monitor(folder / "monitor.csv", 1000.0, [(1, 10, 5.0)])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "seed2").symlink_to(folder)
    paths, said = given.named([f"mine={tmp_path / 'mine'}"])
    table = readers.read_all(paths, given=said)
    assert (set(table["arm"]), set(table["seed"]), set(table["task"])) == ({"mine"}, {2}, {"Pendulum-v1"})
