"""One run: equal meaning of steps in all arms, whole results, nothing overwritten."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch as th
from gymnasium.envs.classic_control import PendulumEnv
from stable_baselines3 import DDPG, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env

from marl_pr_common import cli
from marl_pr_common.reciprocity import ReciprocityConfig
from marl_pr_common.runs import lock as run_guard
from marl_pr_common.runs.status import read_status, write_status
from marl_pr_common.runs.table import TEAM, read_results
from sb3_pr import DDPGPR, SACPR, TD3PR
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.run import build_model, resume, train

CLASSES = {"td3": TD3, "td3_pr": TD3PR, "ddpg": DDPG, "ddpg_pr": DDPGPR, "sac": SAC, "sac_pr": SACPR}


@pytest.mark.parametrize("algo", ["ddpg", "td3_pr"])
@pytest.mark.few(1)
def test_a_run_leaves_everything(tiny, tmp_path, algo):
    config = replace(tiny, algo=algo)
    train(config, tmp_path / "run")
    status = read_status(tmp_path / "run")
    assert status is not None
    assert (status.state, status.total_env_steps) == ("complete", 120 * config.team_size)

    returns = read_results([tmp_path / "run"]).query("metric == 'eval/return'")
    assert sorted(returns["agent"].unique()) == list(range(config.team_size))
    for _, rows in returns.groupby("agent"):
        assert list(rows["env_steps_per_agent"]) == [0, 50, 100, 120]
        assert list(rows["total_env_steps"]) == [steps * config.team_size for steps in (0, 50, 100, 120)]
        assert np.all(np.diff(rows["wall_time"]) > 0)
    # after learning_starts every step of an agent is one update of it; the last evaluation comes after the last update
    assert int(returns["updates"].max()) == 120 - 40

    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert described["config"]["algo"] == algo
    assert described["versions"]["torch"].startswith(th.__version__.partition("+")[0])
    assert described["hardware"]["torch_threads"] == 1
    with (tmp_path / "run" / "progress.csv").open() as log:
        assert "time/total_timesteps" in next(csv.reader(log))
    model = CLASSES[algo].load(tmp_path / "run" / "model.zip")
    assert model.num_timesteps == 120 * config.team_size


@pytest.mark.slow
def test_the_algorithms_own_log_is_kept_by_agent(tiny, tmp_path):
    train(tiny, tmp_path / "run")
    table = read_results([tmp_path / "run"])
    assert set(table.query("metric == 'train/critic_loss'")["agent"]) == {TEAM}
    assert {0, 1, 2} <= set(table.query("metric == 'train/own_value'")["agent"])
    assert not table["metric"].str.contains("agent_").any()


@pytest.mark.slow
def test_it_tells_what_the_team_would_be_deployed_as(tiny, tmp_path):
    train(tiny, tmp_path / "run")
    table = read_results([tmp_path / "run"])
    members = table[table["metric"] == "eval/return"].groupby("env_steps_per_agent")["value"]
    teams = {name: table[table["metric"] == f"eval/{name}"] for name in ("best_member", "leader", "vote")}
    for found in teams.values():
        assert set(found["agent"]) == {TEAM}
        assert len(found) == len(members)
    assert teams["best_member"]["value"].tolist() == members.max().tolist()
    assert set(teams["leader"]["value"]) <= set(table[table["metric"] == "eval/return"]["value"])
    train(replace(tiny, eval_vote=False), tmp_path / "without")
    assert "eval/vote" not in set(read_results([tmp_path / "without"])["metric"])


@pytest.mark.parametrize("algo", CLASSES)
def test_per_agent_counts_mean_the_same_in_all_arms(tiny, algo):
    config = replace(tiny, algo=algo)
    env = make_vec_env(config.env, n_envs=config.team_size)
    model = build_model(config, env)
    assert type(model) is CLASSES[algo]
    assert model.replay_buffer.buffer_size == config.buffer_size  # rows; each holds one transition of every agent
    assert model.learning_starts == config.learning_starts * config.team_size
    assert model.batch_size == config.batch_size
    if not algo.startswith("sac"):
        assert model.policy_delay == (1 if algo.startswith("ddpg") else config.policy_delay)
        assert model.action_noise is not None


def test_options_of_sac_reach_the_model_and_those_of_others_are_said_to_have_no_effect(tiny, tmp_path, caplog):
    config = replace(tiny, algo="sac_pr", ent_coef="auto_0.2", target_entropy=-0.5, action_noise=0.3)
    model = build_model(config, make_vec_env(config.env, n_envs=3))
    assert (model.ent_coef, model.target_entropy, model.action_noise) == ("auto_0.2", -0.5, None)
    with pytest.raises(ValueError, match="ent_coef='outo': expected a number"):
        replace(config, ent_coef="outo")
    with caplog.at_level("INFO", "marl_pr"):
        train(replace(config, timesteps_per_agent=5, eval_episodes=1), tmp_path / "run")
        small = {"algo": "td3", "timesteps_per_agent": 5, "eval_episodes": 1, "shared_replay": True}
        train(replace(tiny, **small, pr=ReciprocityConfig(kappa=0.8)), tmp_path / "upstream")
    assert "without effect in sac_pr: action_noise=0.3" in caplog.text
    assert "without effect in td3: shared_replay=True, pr.kappa=0.8" in caplog.text


def test_options_of_reciprocity_reach_the_model(tiny):
    config = replace(tiny, shared_replay=True, pr=ReciprocityConfig(kappa=0.25, adjacency="noise", rho=2))
    model = build_model(config, make_vec_env(config.env, n_envs=3))
    assert model.pr == config.pr
    assert model.shared_replay is True


@pytest.mark.slow
def test_the_same_seed_gives_the_same_results(tiny, tmp_path):
    tables = []
    for name in ("a", "b"):
        train(tiny, tmp_path / name)
        tables.append(read_results([tmp_path / name]).drop(columns=["wall_time", "cpu_time"]))
    assert tables[0].equals(tables[1])
    train(replace(tiny, seed=1, timesteps_per_agent=5), tmp_path / "c")
    assert not np.allclose(read_results([tmp_path / "c"])["value"].iloc[:3], tables[0]["value"].iloc[:3])


def test_no_two_seeds_have_an_evaluation_episode_in_common(tiny, tmp_path, monkeypatch):
    begun = {}
    reset = PendulumEnv.reset

    def noted(env, *, seed=None, options=None):
        observation, info = reset(env, seed=seed, options=options)
        begun.setdefault(seed_of_run, set()).add(tuple(observation))
        return observation, info

    monkeypatch.setattr(PendulumEnv, "reset", noted)
    for seed_of_run in (3, 4):
        train(replace(tiny, algo="td3", seed=seed_of_run, eval_episodes=4), tmp_path / f"run{seed_of_run}")
    assert len(begun[3]) >= 4 + 1  # those of evaluations, and of training
    assert not begun[3] & begun[4]


def test_a_run_is_not_resumed_with_evaluations_of_another_kind(tiny, tmp_path, monkeypatch):
    train(replace(tiny, checkpoint_every=60), tmp_path / "run")
    write_status(tmp_path / "run", replace(read_status(tmp_path / "run"), state="stopped"))
    before = (tmp_path / "run" / "results.parquet").read_bytes()
    monkeypatch.setattr(TrainConfig, "evaluation_protocol", "one episode")
    with pytest.raises(ValueError, match=r"its evaluations are .*, this version's 'one episode'"):
        resume(tmp_path / "run")
    assert (tmp_path / "run" / "results.parquet").read_bytes() == before
    monkeypatch.undo()
    assert resume(tmp_path / "run") is True


def test_an_existing_run_is_never_touched(tiny, tmp_path):
    (tmp_path / "model.zip").write_text("precious")
    with pytest.raises(FileExistsError, match=r"not empty; nothing in it was changed.*--out"):
        train(tiny, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]
    assert (tmp_path / "model.zip").read_text() == "precious"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"env": "Hoper-v5"}, r"env='Hoper-v5' cannot be made.*Hopper"),
        ({"env": "CartPole-v1"}, r"CartPole-v1.*Discrete\(2\).*continuous actions"),
        ({"pr": ReciprocityConfig(normalize="sum", kappa=0.5)}, "gamma"),
    ],
)
def test_a_refused_setting_leaves_no_directory(tiny, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        train(replace(tiny, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_breaks_says_so_and_keeps_its_results(tiny, tmp_path, monkeypatch):
    def broken(self, path):
        path.write_bytes(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(TD3PR, "save", broken)
    with pytest.raises(OSError, match="disk full"):
        train(tiny, tmp_path / "run")
    status = read_status(tmp_path / "run")
    assert status is not None
    assert (status.state, status.error) == ("failed", "OSError: disk full")
    assert not list((tmp_path / "run").glob("*model*"))
    assert len(read_results([tmp_path / "run"])) > 0


@pytest.mark.parametrize("options", [["--out", ""], ["--out="], ["--resume", ""]])
def test_a_directory_without_a_name_is_refused(tmp_path, monkeypatch, capsys, options):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *options]) == 2
    assert 'the directory given is ""' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("out", ["/proc/x", "file/run"])
def test_a_place_that_cannot_be_written_to_is_not_called_in_use(tmp_path, monkeypatch, capsys, out):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_guard, "WAIT_SECONDS", 0.1)
    (tmp_path / "file").touch()
    if out.startswith("/proc") and not sys.platform.startswith("linux"):
        pytest.skip("no /proc")
    assert cli.main(["train", "--out", out]) == 2
    said = capsys.readouterr().err
    assert f"{out} cannot be made" in said
    assert "another process" not in said
