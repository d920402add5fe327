"""``marl-pr train --resume``: a killed run goes on as if nothing had happened, by hash over everything."""

import json
import subprocess

import pandas as pd
import pytest
import yaml

from marl_pr_common.checkpoint import checkpoints
from tests.cli.processes import CLI
from tests.resume.tools import assert_equal, done, environment, hashes, kill_after, log_content

SMALL = {
    "timesteps_per_agent": 600,
    "learning_starts": 100,
    "buffer_size": 450,
    "batch_size": 16,
    "net_arch": [16, 16],
    "eval_every": 150,
    "eval_episodes": 1,
    "checkpoint_every": 100,
    "device": "cpu",
}
RUNS = [
    {"algo": "td3_pr", "n_agents": 3},
    {"algo": "td3_pr", "n_agents": 1},
    {"algo": "ddpg_pr", "n_agents": 3, "env": "InvertedPendulum-v5", "pr": {"adjacency": "noise", "peers": "random"}},
    {"algo": "ddpg_pr", "n_agents": 1, "env": "Hopper-v5"},
    {"algo": "td3"},
    {"algo": "td3_pr", "n_agents": 3, "env": "Ant-v5", "fast": True, "pr": {"sync_interval": 7, "adjacency": "drop"}},
]


def name(options):
    return "-".join(str(options[key]) for key in ("algo", "n_agents", "env") if key in options)


def train(config, out):
    return subprocess.Popen(
        [*CLI, "train", "--config", str(config), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def resume(out):
    command = [*CLI, "train", "--resume", str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


@pytest.fixture
def config(request, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **request.param}))
    return path


def results(out):
    table = pd.read_parquet(out / "results.parquet")
    return table.drop(columns=["wall_time", "cpu_time"]).to_dict("records")


@pytest.mark.parametrize(
    "config",
    [pytest.param(run, marks=[pytest.mark.slow] if i not in (0, 2) else []) for i, run in enumerate(RUNS)],
    indirect=True,
)
def test_killed_and_resumed_is_the_same_run(config, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done(train(config, whole))
    kill_after(train(config, killed), killed / "checkpoints", 3)
    first = checkpoints(killed / "checkpoints")[-1].name
    assert f"resumed at step {first.rpartition('-')[2]} of" in done(resume(killed))
    assert_equal(hashes(whole / "checkpoints"), hashes(killed / "checkpoints"))
    assert log_content((whole / "progress.csv").read_text()) == log_content((killed / "progress.csv").read_text())
    assert results(whole) == results(killed)
    assert json.loads((killed / "status.json").read_text())["state"] == "complete"
    assert json.loads((killed / "run.json").read_text())["resumed"][0]["checkpoint"] == first
