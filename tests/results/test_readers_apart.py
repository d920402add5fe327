"""Every figure is what its log says: agents are counted, arms stay apart, and what cannot be told is asked for."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.logger import configure

from marl_pr_common import cli
from marl_pr_common.results import readers
from marl_pr_common.results.readers import apart
from marl_pr_common.results.readers.given import of, parse
from marl_pr_common.runs.table import TEAM, write_results
from sb3_pr import TD3PR, AgentEvalCallback

ZOO = "!!python/object/apply:collections.OrderedDict\n"


def evaluations(folder, steps=(100, 200), values=0.0):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "evaluations.npz", timesteps=np.array(steps), results=np.full((len(steps), 3), values))
    return folder


def identity(folder, **given):
    first = readers.read(folder, **given).iloc[0]
    return first["arm"], first["task"], int(first["seed"])


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """Three agents of ours that log as people let them."""
    folder = tmp_path_factory.mktemp("group") / "td3_pr" / "Pendulum-v1_0"
    model = TD3PR(
        *("MlpPolicy", "Pendulum-v1"),
        n_agents=3,
        learning_starts=1100,
        seed=0,
        policy_kwargs={"net_arch": [4]},
        batch_size=4,
    )
    model.set_logger(configure(str(folder), ["csv"]))
    callback = AgentEvalCallback(
        gym.make("Pendulum-v1"), eval_freq=200, n_eval_episodes=1, log_path=str(folder), verbose=0
    )
    model.learn(1200, callback=callback, log_interval=1)
    model.save(folder / "model.zip")
    return folder


@pytest.mark.slow
def test_the_agents_of_a_group_are_counted(group):
    table = readers.read(group)
    assert (table["total_env_steps"] == 3 * table["env_steps_per_agent"]).all()
    last = table[table["metric"] == "eval/return"].iloc[-1]
    assert (last["env_steps_per_agent"], last["total_env_steps"]) == (400, 1200)
    for metric in ("train/own_value", "rollout/return", "eval/return"):
        assert {0, 1, 2} <= set(table.loc[table["metric"] == metric, "agent"])
    assert not table["metric"].str.contains("agent_").any()


@pytest.mark.parametrize("kept", ["model.zip", "progress.csv"])
def test_either_file_tells_them_and_without_both_they_are_asked_for(group, kept, tmp_path):
    folder = tmp_path / "td3_pr" / "Pendulum-v1_0"
    folder.mkdir(parents=True)
    (folder / "evaluations.npz").write_bytes((group / "evaluations.npz").read_bytes())
    with pytest.raises(readers.UntoldError, match=r"n_agents of this run.*--given '.*Pendulum-v1_0:n_agents=\.\.\.'"):
        readers.read(folder)
    (folder / kept).write_bytes((group / kept).read_bytes())
    assert readers.read(folder)["env_steps_per_agent"].max() == 400


@pytest.mark.parametrize("algorithm", ["td3", "sac", "td3_pr", "td3_random_peer", "sac_pr_one_voice"])
@pytest.mark.parametrize("task", ["seals-Walker2d-v0", "dm_control-cheetah-run-v0", "Pendulum-v1"])
def test_folders_of_rl_zoo3_keep_hyphens(task, algorithm, tmp_path):
    folder = evaluations(tmp_path / "logs" / algorithm / f"{task}_2")
    assert identity(folder, n_agents=1) == (algorithm, task, 2)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("td3-Pendulum-v1-seed3", ("td3", "Pendulum-v1", 3)),
        ("my_td3-Pendulum-v1-seed3", ("my_td3", "Pendulum-v1", 3)),
        ("td3_Pendulum-v1_3", ("td3", "Pendulum-v1", 3)),
        ("td3/lr3/Pendulum-v1_3", ("td3-lr3", "Pendulum-v1", 3)),
        ("td3/Pendulum-v1/lr3/seed3", ("td3-lr3", "Pendulum-v1", 3)),
        ("td3/Pendulum-v1/seed3/eval", ("td3", "Pendulum-v1", 3)),
    ],
)
def test_other_names(folder, expected, tmp_path):
    assert identity(evaluations(tmp_path / "x" / folder)) == expected


@pytest.mark.parametrize("folder", ["logs/Pendulum-v1_1", "td3/sac-Pendulum-v1_1", "old/some-Pendulum-v1_1"])
def test_names_that_tell_two_things_are_asked_for(folder, tmp_path, capsys):
    evaluations(tmp_path / folder)
    assert cli.main(["plot", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"--given '{tmp_path / folder}:arm=..." in error
    said = f"{tmp_path / folder}:arm=td3,task=Pendulum-v1"
    assert cli.main(["plot", str(tmp_path), "--out", str(tmp_path / "out"), "--given", said]) == 0


def test_rl_zoo3s_own_files_count(tmp_path):
    folder = evaluations(tmp_path / "logs" / "td3" / "seals-Walker2d-v0_1")
    (folder / "seals-Walker2d-v0").mkdir()
    arguments = ZOO + "- - - algo\n    - td3\n  - - env\n    - seals/Walker2d-v0\n  - - seed\n    - 77\n"
    (folder / "seals-Walker2d-v0" / "args.yml").write_text(arguments)
    assert identity(folder) == ("td3", "seals/Walker2d-v0", 77)
    (folder / "seals-Walker2d-v0" / "args.yml").write_text("!!python/object/apply:os.system [exit 3]")
    assert identity(folder) == ("td3", "seals-Walker2d-v0", 1)


def zoo(root, number, rate):
    folder = evaluations(root / "td3" / f"Pendulum-v1_{number}")
    (folder / "config.yml").write_text(f"{ZOO}- - - learning_rate\n    - {rate}\n  - - gamma\n    - 0.98\n")
    return folder


def test_two_settings_are_two_arms(tmp_path):
    zoo(tmp_path, 1, 0.001)
    zoo(tmp_path, 2, 0.001)
    assert readers.read_all([tmp_path])["seed"].nunique() == 2
    other = zoo(tmp_path, 3, 0.01)
    with pytest.raises(ValueError, match=r"arm td3 on Pendulum-v1, but learning_rate is 0.001 in one and 0.01 in the"):
        readers.read_all([tmp_path])
    table = readers.read_all([tmp_path], given={other: {"arm": "td3-fast"}})
    assert list(table["arm"].unique()) == ["td3", "td3-fast"]
    assert set(readers.read_all([tmp_path], given={tmp_path: {"arm": "td3"}})["arm"]) == {"td3"}


def test_folders_that_nothing_explains_are_not_one_arm(tmp_path):
    evaluations(tmp_path / "lr3" / "td3" / "Pendulum-v1_1")
    evaluations(tmp_path / "lr4" / "td3" / "Pendulum-v1_2")
    with pytest.raises(ValueError, match="they lie in different folders"):
        readers.read_all([tmp_path])


def test_a_seed_comes_once(tmp_path):
    evaluations(tmp_path / "a" / "td3" / "Pendulum-v1_1")
    evaluations(tmp_path / "b" / "td3" / "Pendulum-v1_1", steps=(150, 250))
    with pytest.raises(ValueError, match="both seed 1 of arm td3 on Pendulum-v1"):
        readers.read_all([tmp_path])


def test_own_runs_of_other_settings_are_not_one_arm(tmp_path):
    for seed, rate in enumerate((0.001, 0.01)):
        folder = tmp_path / f"run{seed}"
        table = readers.read(evaluations(tmp_path / "logs" / "td3" / f"Pendulum-v1_{seed}"), run=f"td3-seed{seed}")
        write_results(folder / "results.parquet", table)
        config = f'"config": {{"env": "Pendulum-v1", "learning_rate": {rate}, "seed": {seed}}}'
        (folder / "run.json").write_text(f'{{"run": "td3-seed{seed}", "arm": "td3", {config}}}')
    paths = [tmp_path / "run0", tmp_path / "run1"]
    with pytest.raises(ValueError, match="learning_rate is 0.001 in one and 0.01 in the other"):
        readers.read_all(paths)
    assert len(set(readers.read_all(paths, given={paths[1]: {"arm": "slow"}})["arm"])) == 2


def monitor(path, start, rows):
    lines = "".join(f"{reward},{length},{seconds}\n" for reward, length, seconds in rows)
    path.write_text(f'#{{"t_start": {start}, "env_id": "Pendulum-v1"}}\nr,l,t\n{lines}')


def episodes(folder):
    return readers.read(folder).query("metric == 'rollout/episode_return'")


def test_episodes_of_several_environments_come_in_the_order_of_time(tmp_path):
    folder = tmp_path / "td3" / "seed1"
    folder.mkdir(parents=True)
    monitor(folder / "0.monitor.csv", 1000.0, [(1, 10, 5.0), (4, 10, 30.0), (6, 10, 2.0)])  # gone on with once
    monitor(folder / "1.monitor.csv", 1010.0, [(2, 10, 5.0), (3, 10, 10.0), (5, 10, 1.0)])
    monitor(folder / "eval.monitor.csv", 1000.0, [(99, 10, 6.0)])
    table = episodes(folder)
    assert list(table["value"]) in ([1, 2, 3, 4, 6, 5], [1, 2, 3, 4, 5, 6])
    assert list(table["env_steps_per_agent"]) == [10, 20, 30, 40, 50, 60]


def test_a_cut_that_one_file_does_not_show_is_where_the_others_have_it(tmp_path):
    folder = tmp_path / "td3" / "seed1"
    folder.mkdir(parents=True)
    monitor(folder / "0.monitor.csv", 1000.0, [(1, 10, 5.0), (3, 10, 10.0), (5, 10, 60.0)])
    monitor(folder / "1.monitor.csv", 1000.0, [(2, 10, 50.0), (4, 10, 12.0), (6, 10, 61.0)])
    monitor(folder / "env_eval.monitor.csv", 1000.0, [(99, 10, 6.0)])
    assert list(episodes(folder)["value"]) == [1, 2, 3, 4, 5, 6]
    monitor(folder / "0.monitor.csv", 1000.0, [(1, 10, 5.0), (2, 10, 51.0)])  # ended no episode afterwards
    monitor(folder / "1.monitor.csv", 1000.0, [(1.5, 20, 50.0), (3, 10, 12.0), (4, 10, 61.0)])
    assert list(episodes(folder)["value"]) == [1, 1.5, 2, 3, 4]


@pytest.mark.parametrize("arm", ["td3-pr", "pr_td3", "td3_policy_reciprocity", "TD3PR", "td3_lr3_pr"])
def test_arms_of_ours_are_asked_for_their_agents_however_they_are_written(arm, tmp_path):
    with pytest.raises(readers.UntoldError, match="n_agents of this run"):
        readers.read(evaluations(tmp_path / arm / "Pendulum-v1_1"))
    for theirs in ("td3-per", "td3-noise0.1", "sac-pro"):
        assert readers.read(evaluations(tmp_path / theirs / "Pendulum-v1_1"))["total_env_steps"].max() == 200


def test_a_folder_named_after_another_task_is_asked_about(tmp_path):
    folder = evaluations(tmp_path / "td3" / "Hopper-v4_1")
    monitor(folder / "0.monitor.csv", 1000.0, [(1, 10, 5.0)])
    with pytest.raises(readers.UntoldError, match=r"task of .*monitor files are of Pendulum-v1, .*:task=\.\.\."):
        readers.read(folder)
    assert identity(folder, task="Hopper-v4") == ("td3", "Hopper-v4", 1)


def test_a_header_in_the_middle_loses_no_column(tmp_path):
    folder = tmp_path / "td3" / "Pendulum-v1_1"
    folder.mkdir(parents=True)
    header = "time/total_timesteps,train/critic_loss,train/note\n"
    (folder / "progress.csv").write_text(f"{header}100,1.0,a\n200,2.0,b\n{header}300,3.0,c\n")
    table = readers.read(folder)
    assert list(table["value"]) == [1.0, 2.0, 3.0]
    assert set(table["agent"]) == {TEAM}


def test_what_is_nearer_counts(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    given = parse([f"{tmp_path}:arm=x,seed=1", f"{inner}:arm=y"])
    assert of(inner / "run", given) == {"arm": "y", "seed": 1}
    for wrong, message in ((f"{inner}", "expected FOLDER"), (f"{inner}:sed=1", "sed"), (f"{inner}:seed=x", "integer")):
        with pytest.raises(ValueError, match=message):
            parse([wrong])


def test_where_and_how_long_are_no_settings():
    assert apart.flat({"seed": 1, "device": "cpu", "pr": {"kappa": 0.5, "seed": 2}}) == {"pr.kappa": 0.5}
