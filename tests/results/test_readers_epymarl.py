"""EPyMARL's folders say what they are runs of: settings of one run alone tell arms apart, and agents are counted."""

from __future__ import annotations

import json

import pytest

from marl_pr_common.results import readers
from marl_pr_common.results.readers.apart import Source, require_apart


def sacred(folder, **config):
    """An EPyMARL run, as far as it is read."""
    folder.mkdir(parents=True)
    config = {"name": "iql", "seed": 1, "env_args": {"key": "pz-mpe-simple-spread-v3"}} | config
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "run.json").write_text('{"status": "COMPLETED"}')
    (folder / "info.json").write_text('{"test_return_mean": [1.0, 2.0], "test_return_mean_T": [0, 100]}')
    return folder


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"env_args": {"key": "pz-mpe-simple-spread-v3", "N": 6}}, "env_args.N is missing in one and 6"),
        ({"pr_kappa": 0.0}, "pr_kappa is missing in one and 0.0"),
        ({"double_q": False}, "double_q is missing in one and False"),
        ({"pr_version": "1", "pr_kappa": 0.5}, "pr_kappa is missing in one and 0.5"),
        (
            {"checkpoint_path": "results/models/1", "load_step": 28},
            "begun with saved networks is False in one and True",
        ),
        ({"evaluate": False, "mixer": None}, ""),
        ({"pr_full_checkpoint": True, "checkpoint_path": "results/models/2"}, ""),
    ],
)
def test_a_setting_of_one_run_alone_is_a_difference(tmp_path, more, found):
    sacred(tmp_path / "1")
    sacred(tmp_path / "2", seed=2, **more)
    if found:
        with pytest.raises(ValueError, match=found):
            readers.read_all([tmp_path])
    else:
        assert set(readers.read_all([tmp_path])["seed"]) == {1, 2}


@pytest.mark.parametrize("key", ["evaluate", "save_replay"])
def test_who_played_saved_networks_is_no_further_seed(tmp_path, key):
    sacred(tmp_path / "1")
    played = sacred(tmp_path / "2", seed=7, checkpoint_path="results/models/1", **{key: True})
    sacred(tmp_path / "3", seed=3, **{key: True})  # without a path EPyMARL trains
    notes = []
    assert set(readers.read_all([tmp_path], notes)["seed"]) == {1, 3}
    assert [f"2 played saved networks ({key}=True)" in note for note in notes] == [True]
    with pytest.raises(ValueError, match=f"played saved networks .{key}=True.: it is no run that learnt"):
        readers.read_all([tmp_path / "1", played])


def test_a_run_that_was_gone_on_with_is_counted_once(tmp_path):
    (first := sacred(tmp_path / "1", pr_full_checkpoint=True)).joinpath("info.json").write_text(
        '{"test_return_mean": [1.0], "test_return_mean_T": [0]}'
    )
    gone_on = sacred(tmp_path / "2", pr_full_checkpoint=True, checkpoint_path="results/models/1")
    notes = []
    assert len(readers.read_all([tmp_path], notes)) == 2
    assert notes == [f"Left out: {first} was gone on with in {gone_on}, which holds its curve."]
    killed_later = '{"test_return_mean": [1.0, 2.0, 9.0], "test_return_mean_T": [0, 5000, 10000]}'  # than it saved
    longer = '{"test_return_mean": [1.0, 2.0, 3.5, NaN], "test_return_mean_T": [0, 5000, 10000, 15000]}'
    first.joinpath("info.json").write_text(killed_later)
    gone_on.joinpath("info.json").write_text(longer)
    assert readers.read_all([tmp_path])["env_steps_per_agent"].max() == 15000
    for path, values in ((first, [0, 0, 0.3]), (gone_on, [0, 0, 0, 0.1])):  # two runs of a task with rare rewards
        curve = {"test_return_mean": values, "test_return_mean_T": [5000 * at for at in range(len(values))]}
        path.joinpath("info.json").write_text(json.dumps(curve))
    with pytest.raises(ValueError, match="the same rows twice"):
        readers.read_all([tmp_path])
    first.joinpath("info.json").write_text('{"test_return_mean": [1.5], "test_return_mean_T": [0]}')
    with pytest.raises(ValueError, match="the same rows twice"):
        readers.read_all([tmp_path])


def test_a_later_releases_settings_are_none(tmp_path):
    sacred(tmp_path / "1", pr_version="1", pr_kappa=0.5)
    sacred(tmp_path / "2", seed=2, pr_version="2", pr_kappa=0.5, pr_new="yes")
    assert set(readers.read_all([tmp_path])["seed"]) == {1, 2}
    other = Source(tmp_path, "b", "td3", "x", 2, {"batch_size": 8}, "", kind="model")
    require_apart([Source(tmp_path, "a", "td3", "x", 1, {"gamma": 0.9}, "", kind="config.yml"), other])


@pytest.mark.parametrize(
    ("env_args", "n_agents"),
    [
        ({"key": "pz-mpe-simple-spread-v3", "N": 5}, 5),
        ({"key": "pz-mpe-simple-spread-v3"}, 3),
        ({"map_name": "10gen_terran", "capability_config": {"n_units": 4}}, 4),
        *(({"map_name": name}, n) for name, n in [("2s3z", 5), ("1c3s5z", 9), ("3s5z_vs_3s6z", 8), ("3s_vs_5z", 3)]),
        *(({"map_name": name}, n) for name, n in [("MMM2", 10), ("protoss_5_vs_5", 5), ("smacv2_10_units", 10)]),
        ({"key": "my-env-v0", "N": 5}, 1),
    ],
)
def test_agents_of_epymarls_teams(tmp_path, env_args, n_agents):
    table = readers.read(sacred(tmp_path / "1", env_args=env_args))
    assert table["total_env_steps"].max() == 100 * n_agents


@pytest.mark.parametrize("args", [{"time_limit": 500}, {"N": 6}])
def test_arms_on_a_task_of_other_arguments_are_not_compared(tmp_path, args):
    sacred(tmp_path / "1")
    other = sacred(tmp_path / "2", name="vdn", env_args={"key": "pz-mpe-simple-spread-v3", **args})
    with pytest.raises(ValueError, match=rf"not of one task: env_args.{next(iter(args))} is missing and"):
        readers.read_all([tmp_path])
    apart = readers.read_all([tmp_path], given={other: {"task": "wide"}})
    assert set(apart["task"]) == {"pz-mpe-simple-spread-v3", "wide"}
    assert readers.read_all([tmp_path], given={tmp_path: {"task": "both"}})["arm"].nunique() == 2


def test_tasks_of_two_packages_are_two(tmp_path):
    for number, package in enumerate(("one", "two")):
        sacred(tmp_path / package, seed=number, env_args={"key": f"{package}:Maze-v0"})
    assert set(readers.read_all([tmp_path])["task"]) == {"one:Maze-v0", "two:Maze-v0"}
