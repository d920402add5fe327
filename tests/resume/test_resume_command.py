"""``marl-pr train --resume``: a killed run goes on as if nothing had happened, by hash over everything."""

import io
import json
import os
import signal

import pandas as pd
import pytest
import yaml
from rich.console import Console

from marl_pr_common.checkpoint import checkpoints, latest
from marl_pr_common.cli import main
from marl_pr_common.runs.console import Display
from marl_pr_common.runs.provenance import as_plain
from marl_pr_common.runs.signals import Stopped
from sb3_pr.study import run as training
from sb3_pr.study.config import TrainConfig
from tests.events import wait_for
from tests.processes import CLI
from tests.resume.tools import assert_equal, done, hashes, kill, log_content, run, serial

SMALL = {
    "timesteps_per_agent": 170,
    "learning_starts": 50,
    "buffer_size": 120,
    "batch_size": 16,
    "net_arch": [16, 16],
    "eval_every": 85,
    "eval_episodes": 1,
    "checkpoint_every": 50,
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
    return [*CLI, "train", "--config", str(config), "--out", str(out)]


def resume(out):
    return run([*CLI, "train", "--resume", str(out)])


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
    [pytest.param(run, marks=[pytest.mark.slow] if i != 0 else []) for i, run in enumerate(RUNS)],
    indirect=True,
)
@pytest.mark.slow
def test_killed_and_resumed_is_the_same_run(config, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done(run(train(config, whole)))
    kill(train(config, killed), tmp_path / "halted", before_save=3)
    first = checkpoints(killed / "checkpoints")[-1].name
    assert f"resumed at step {first.rpartition('-')[2]} of" in done(resume(killed))
    assert_equal(hashes(whole / "checkpoints"), hashes(killed / "checkpoints"))
    assert log_content((whole / "progress.csv").read_text()) == log_content((killed / "progress.csv").read_text())
    assert results(whole) == results(killed)
    assert json.loads((killed / "status.json").read_text())["state"] == "complete"
    assert json.loads((killed / "run.json").read_text())["resumed"][0]["checkpoint"] == first


def begun(out):
    """A run that was interrupted after its second checkpoint, as a process that still runs."""
    config = out.with_suffix(".yaml")
    config.write_text(yaml.safe_dump({**SMALL, "algo": "td3_pr", "n_agents": 2, "timesteps_per_agent": 100_000}))
    return run(train(config, out))


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_signal_saves_once_and_says_how_to_resume(number, tmp_path):
    out = tmp_path / "a run"
    process = begun(out)
    wait_for(lambda: serial(out / "checkpoints") >= 1, process)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == 128 + number
    newest = checkpoints(out / "checkpoints")[-1]
    assert f"{number.name} after {newest.name.rpartition('-')[2]} steps. Saved {newest}" in said
    assert f"resume with: marl-pr train --resume '{out}'" in said
    assert "Traceback" not in said
    assert latest(out / "checkpoints") == newest
    assert json.loads((out / "status.json").read_text())["state"] == "stopped"


@pytest.mark.parametrize("algo", ["td3_pr", "td3"])
def test_a_run_that_was_stopped_at_its_first_evaluation_begins_no_second_time(algo, tmp_path, monkeypatch):
    quiet = Display(Console(file=io.StringIO()))
    settings = {**SMALL, "net_arch": (8,), "timesteps_per_agent": 100, "learning_starts": 20, "eval_every": 50}
    config = TrainConfig(algo=algo, **settings)
    training.train(config, tmp_path / "whole", display=quiet)
    begin = training.Recorder._on_training_start

    def stopped(self):
        begin(self)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(training.Recorder, "_on_training_start", stopped)
        with pytest.raises(Stopped, match="after 0 steps"):
            training.train(config, tmp_path / "stopped", display=quiet)
    assert training.resume(tmp_path / "stopped", display=quiet)
    assert results(tmp_path / "whole") == results(tmp_path / "stopped")


@pytest.mark.slow
def test_a_complete_run_is_left_alone(tmp_path):
    quiet = Display(Console(file=io.StringIO()))
    out = tmp_path / "run"
    settings = {**SMALL, "net_arch": (8,), "timesteps_per_agent": 150, "checkpoint_every": 60}
    training.train(TrainConfig(algo="td3_pr", **settings), out, display=quiet)
    assert [path.name for path in checkpoints(out / "checkpoints")] == ["000003-step-450"]
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for _ in range(2):  # the figure alone is drawn, where it is missing
        assert main(["train", "--resume", str(out)]) == 0
        after = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert after.pop(out / "learning_curves.png", b"").startswith(b"\x89PNG")
        assert after == before


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--resume", "{run}", "--tau", "0.1"], "give it alone"),
        (["--resume", "{run}", "--out", "x"], "give it alone"),
        (["--resume", "{run}"], "no complete checkpoint"),
        (["--resume", "{empty}"], "not the directory of a run"),
        (["--resume", "{foreign}"], "no config or arm"),
        (["--resume", "{empty}/absent"], "is no directory"),
        ([], "give --out DIR for a new run, or --resume DIR"),
    ],
)
def test_what_cannot_be_resumed_is_said_so(arguments, message, tmp_path, capsys):
    for name, content in (("run", {"config": as_plain(TrainConfig()), "arm": "x"}), ("foreign", {"config": 1})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(content))
    (tmp_path / "empty").mkdir()
    places = {name: tmp_path / name for name in ("run", "empty", "foreign")}
    before = sorted(tmp_path.rglob("*.json"))
    assert main(["train", *(argument.format(**places) for argument in arguments)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert sorted(tmp_path.rglob("*.json")) == before


@pytest.mark.slow  # tests/study/test_kills.py kills a study
def test_a_killed_comparison_resumes_its_cells(tmp_path):
    out = tmp_path / "comparison"
    options = [*("--timesteps-per-agent", "160"), *("--learning-starts", "50"), *("--batch-size", "16")]
    options += ["--eval-every", "80", "--eval-episodes", "1", "--net-arch", "16", "--buffer-size", "120"]
    command = [*CLI, "compare", "--out", str(out), "--arms", "td3_pr", "--seeds", "0", "--jobs", "1", *options]
    command += ["--checkpoint-every", "50", "--device", "cpu"]
    name = "td3_pr-Pendulum-v1-seed0"
    cell = out / "cells" / name / "run"
    kill(command, tmp_path / "halted", before_save=3)
    done(run(command))
    assert json.loads((cell / "run.json").read_text())["resumed"][0]["step"] >= 300
    assert sorted(path.name for path in (out / "cells").iterdir() if path.is_dir()) == [name]
    assert checkpoints(cell / "checkpoints") == []
    rows = pd.read_parquet(out / "results.parquet")
    assert sorted(rows[rows["metric"] == "eval/return"]["env_steps_per_agent"].unique()) == [0, 80, 160]
    assert not rows.duplicated(["agent", "env_steps_per_agent", "metric"]).any()
