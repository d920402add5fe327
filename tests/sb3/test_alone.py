"""One agent has no peers, and is told so once; a task without a version gets its own; MuJoCo's words; rl_zoo3."""

from __future__ import annotations

import logging
import runpy
import sys
import warnings
from pathlib import Path

import gymnasium as gym
import pytest
from mpe2 import simple_spread_v3
from stable_baselines3.common.env_util import make_vec_env

from marl_pr_common import cli
from marl_pr_common.envs import mujoco
from marl_pr_common.runs.files import write_json
from marl_pr_common.study.run import STUDY
from sb3_pr import TD3PR, advice
from sb3_pr.cli.compare import Command as Compare
from sb3_pr.cli.compare import SharedSettings
from sb3_pr.study.teams import versioned

SMALL = {"policy_kwargs": {"net_arch": [4]}, "buffer_size": 50, "device": "cpu"}


def test_one_agent_says_once_that_it_has_no_peers(tmp_path, caplog):
    advice.say.cache_clear()
    with caplog.at_level(logging.WARNING, "marl_pr"), warnings.catch_warnings():
        warnings.simplefilter("error")
        TD3PR("MlpPolicy", "Pendulum-v1", kappa=0, **SMALL)
        assert not caplog.messages
        for _ in range(2):
            model = TD3PR("MlpPolicy", "Pendulum-v1", **SMALL)
        model.save(tmp_path / "model")
        TD3PR.load(tmp_path / "model", env=gym.make("Pendulum-v1"))
    (said,) = caplog.messages
    assert said.startswith("TD3PR with one agent has no peers: it is plain TD3, and kappa=0.5 has no effect.")


def test_copies_with_equal_weights_are_told_once_what_these_did(caplog):
    advice.say.cache_clear()
    with caplog.at_level(logging.WARNING, "marl_pr"), warnings.catch_warnings():
        warnings.simplefilter("error")
        for other in ({"kappa": 0}, {"trust": "td"}, {"own_critics": True}, {"shared_replay": True}):
            TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, **other, **SMALL)
        TD3PR("MlpPolicy", simple_spread_v3.parallel_env(continuous_actions=True), **SMALL)
        assert not caplog.messages
        TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, **SMALL)
        TD3PR("MlpPolicy", make_vec_env("Pendulum-v1", n_envs=2), **SMALL)
    (said,) = caplog.messages
    assert said.startswith("TD3PR: peers with equal weights among copies of one task lowered returns on HalfCheetah-v5")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HalfCheetah", "HalfCheetah-v5"),
        ("HalfCheetah-v4", "HalfCheetah-v4"),
        ("Pendulum", "Pendulum-v1"),
        ("CooperativeNavigation-3", "CooperativeNavigation-3"),
        ("tests.cli.odd_environments:Fine", "tests.cli.odd_environments:Fine"),
        ("Nope", "Nope"),
    ],
)
def test_a_name_without_a_version_is_the_newest(name, meant):
    assert versioned(name) == meant


def test_the_task_is_stored_with_its_version(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("sb3_pr.study.run.train", lambda config, *_, **__: seen.append(config))
    monkeypatch.setattr("sb3_pr.cli.train.conclude", lambda *_: None)
    assert cli.main(["train", "--env", "Pendulum", "--out", str(tmp_path / "run")]) == 0
    assert seen[0].env == "Pendulum-v1"
    assert [*Compare(tmp_path / "new", train=SharedSettings(env="Pendulum")).study().tasks] == ["Pendulum-v1"]


def test_a_comparison_goes_on_with_the_task_and_the_evaluations_that_it_began_with(tmp_path):
    settings = SharedSettings(env="Pendulum", timesteps_per_agent=2_000)
    assert Compare(tmp_path, train=settings).study().settings["eval_every"] == 100
    before = {"title": "Arms on Pendulum", "seeds": [0], "settings": {"eval_every": 5_000}, "tasks": {"Pendulum": {}}}
    write_json(tmp_path / STUDY, {"config": {**before, "arms": {"td3": {}}}})
    found = Compare(tmp_path, train=settings).study()
    assert (found.settings["eval_every"], [*found.tasks]) == (5_000, ["Pendulum"])


def test_mujoco_says_nothing_of_gymnasiums_models_and_the_rest_to_the_log(tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.chdir(tmp_path)
    mujoco.log_warnings()
    gym.make("HalfCheetah-v5").close()
    captured = capfd.readouterr()
    assert "settotalmass" not in captured.out + captured.err
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(mujoco, "_told", set())
    with caplog.at_level(logging.WARNING, "marl_pr"):
        for _ in range(2):
            mujoco._tell("Nan, Inf or huge value in QACC at DOF 0.")
    assert caplog.messages == ["MuJoCo: Nan, Inf or huge value in QACC at DOF 0."]


@pytest.mark.slow
def test_rl_zoo_trains_three_agents(tmp_path, monkeypatch):
    pytest.importorskip("rl_zoo3.train", reason="needs rl_zoo3")
    (tmp_path / "own.yml").write_text(
        "Pendulum-v1:\n  policy: MlpPolicy\n  n_timesteps: 60\n  n_envs: 3\n  learning_starts: 30\n  kappa: 0.5\n"
    )
    words = ["rl_zoo.py", "--algo", "td3_pr", "--env", "Pendulum-v1", "--conf-file", str(tmp_path / "own.yml")]
    monkeypatch.setattr(sys, "argv", [*words, "--log-folder", str(tmp_path), "--eval-freq", "-1"])
    runpy.run_path(str(Path(__file__).parents[2] / "examples" / "rl_zoo.py"), run_name="__main__")
    assert TD3PR.load(tmp_path / "td3_pr" / "Pendulum-v1_1" / "Pendulum-v1.zip").n_agents == 3
