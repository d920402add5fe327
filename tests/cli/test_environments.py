"""What an environment does wrong ends ``marl-pr train`` with one message that names it, and leaves nothing bad."""

from __future__ import annotations

import io
import re
import zipfile

import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback

from marl_pr_common import cli
from marl_pr_common.checkpoint import latest
from marl_pr_common.runs.status import read_status
from sb3_pr.study.recorder import Recorder

ODD = "tests.cli.odd_environments"
SMALL = (
    *("--timesteps-per-agent", "60", "--learning-starts", "20", "--eval-every", "1000", "--eval-episodes", "1"),
    *("--batch-size", "16", "--net-arch", "8", "--buffer-size", "500", "--device", "cpu", "--checkpoint-every", "20"),
)


@pytest.fixture(autouse=True)
def _no_stack_traces(monkeypatch):
    monkeypatch.delenv("MARL_PR_DEBUG", raising=False)


def train(name, out, *more):
    return cli.main(["train", "--env", f"{ODD}:Task{name}-v0", "--out", str(out), *SMALL, *more])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("RaisesWhenMade", "cannot be made: KeyError: 'port'"),
        ("ExitsWhenMade", "cannot be made: SystemExit: no licence"),
        ("NeedsAnArgument", "cannot be made: TypeError.*level"),
        ("Unbounded", "finite bounds"),
        ("NoWidth", "the lower one below the upper"),
        ("TooWide", "finite bounds"),
        ("WholeActions", "int32; DDPG, SAC and TD3 act with real numbers"),
        ("TupleObservations", r"Tuple\(.*FlattenObservation"),
        ("NestedObservations", "'a' in it is Dict"),
        ("TextObservations", "Text"),
        ("EmptyObservations", "no element"),
        ("CountsFromOne", "counts from 0. Subtract 1"),
    ],
)
def test_a_task_that_cannot_be_learnt_is_named_and_leaves_nothing(name, message, capsys, tmp_path):
    assert train(name, tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    last = error.strip().splitlines()[-1]
    assert f"env='{ODD}:Task{name}-v0'" in last
    assert re.search(message, last), last
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("RaisesInReset", "reset() of RaisesInReset (odd_environments.py, line"),
        ("RaisesInStep", "reward() of RaisesInStep (odd_environments.py, line"),
        ("OldReset", "reset() must return (observation, info)"),
        ("OldStep", "expected 5, got 4"),
        ("OtherShape", "does not fit the observation space Box(-1.0, 1.0, (2,), float32)"),
    ],
)
def test_code_that_raises_is_named_with_its_place(name, message, capsys, tmp_path):
    assert train(name, tmp_path / "run", "--algo", "td3") == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert message in error
    status = read_status(tmp_path / "run")
    assert status is None or status.state == "failed"
    assert not (tmp_path / "run" / "model.zip").exists()


def test_an_environment_that_cannot_close_ends_no_run(tmp_path):
    assert train("RaisesInClose", tmp_path / "run", "--algo", "td3") == 0
    assert read_status(tmp_path / "run").state == "complete"


@pytest.mark.parametrize(
    ("name", "what", "algo"),
    [
        *(("BadReward", "reward", algo) for algo in ("td3", "ddpg", "td3_pr", "ddpg_pr")),
        ("InfiniteInFloat32", "reward", "td3_pr"),
        *(("BadObservation", "observation", algo) for algo in ("td3", "td3_pr")),
        *(("BadTerminalObservation", "terminal observation", algo) for algo in ("ddpg", "ddpg_pr")),
    ],
)
def test_what_is_not_finite_fails_every_arm_where_it_enters(name, what, algo, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(Recorder, "_evaluate", lambda self: None)  # else it would be the first to meet it
    assert train(name, tmp_path / "run", "--algo", algo) == 2
    error = capsys.readouterr().err
    assert f"non-finite {what} of agent 0" in error
    assert "Traceback" not in error
    status = read_status(tmp_path / "run")
    assert status.state == "failed"
    assert what in status.error
    assert not (tmp_path / "run" / "model.zip").exists()
    assert latest(tmp_path / "run" / "checkpoints") is not None


def test_a_bad_evaluation_is_not_written(capsys, tmp_path):
    assert train("BadWhenEvaluated", tmp_path / "run", "--algo", "td3") == 2
    assert "non-finite return -inf of agent 0 in the evaluation at step 0" in capsys.readouterr().err
    assert not (tmp_path / "run" / "results.parquet").exists()


@pytest.mark.parametrize("algo", ["td3", "td3_pr"])
def test_no_model_of_nan_is_left(algo, capsys, tmp_path, monkeypatch):
    def broken_by_the_last_update(recorder):
        with th.no_grad():
            next(recorder.model.policy.actor.parameters()).fill_(float("nan"))

    monkeypatch.setattr(Recorder, "_on_training_end", broken_by_the_last_update)
    assert train("Fine", tmp_path / "run", "--algo", algo) == 2
    assert "the model was not saved: tensor actor." in capsys.readouterr().err
    assert not (tmp_path / "run" / "model.zip").exists()
    assert read_status(tmp_path / "run").state == "failed"


class NoGuards(BaseCallback):
    def _on_step(self):
        return True


def test_the_guards_of_upstreams_arms_change_nothing(tmp_path, monkeypatch):
    def weights(out):
        assert train("Fine", tmp_path / out, "--algo", "td3", "--checkpoint-every", "0", "--no-final-checkpoint") == 0
        with zipfile.ZipFile(tmp_path / out / "model.zip") as archive:
            return th.load(io.BytesIO(archive.read("policy.pth")), weights_only=True)

    guarded = weights("guarded")
    monkeypatch.setattr("sb3_pr.study.run.GuardCallback", NoGuards)
    plain = weights("plain")
    assert guarded.keys() == plain.keys()
    assert all(th.equal(tensor, plain[name]) for name, tensor in guarded.items())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--net-arch", "10000000000000"), "net_arch=[10000000000000]"),
        (("--device", "nonsense"), "device='nonsense'"),
    ],
)
def test_absurd_values_are_one_message(given, message, capsys, tmp_path):
    assert train("Fine", tmp_path / "run", *given) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
