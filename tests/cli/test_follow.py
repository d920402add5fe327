"""Runs that are followed elsewhere, and names and figures that the command line offers."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from marl_pr_common import cli
from marl_pr_common.cli.completion import candidates
from sb3_pr.study import tracking
from tests.cli.test_front import run
from tests.cli.test_watch import BRIEF, SMALL, SPOT, last


class Wandb(ModuleType):
    """What is asked of the package."""

    def __init__(self):
        super().__init__("wandb")
        self.logged, self.given, self.finished = [], [], 0
        self.__spec__ = SimpleNamespace(name="wandb")

    def init(self, **given):
        self.given.append(given)
        return SimpleNamespace(log=lambda values, step: self.logged.append((step, values)), finish=self.finish)

    def finish(self):
        self.finished += 1


def test_a_run_is_followed_in_weights_and_biases(tmp_path, monkeypatch):
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    out = tmp_path / "run"
    assert run("train", "--env", SPOT, "--n-agents", "2", *SMALL, "--out", str(out), "--track", "wandb", *BRIEF) == 0
    (given,) = wandb.given
    assert (given["project"], given["name"], given["config"]["n_agents"]) == ("marl-pr", "td3_pr-seed0", 2)
    assert json.loads((out / "run.json").read_text())["track"] == {"kind": "wandb", "id": given["id"]}
    evaluations = [(step, values) for step, values in wandb.logged if "eval/return" in values]
    assert [step for step, _ in evaluations] == [0, 40, 80]
    assert evaluations[-1][1]["eval/agent_1/return"] == last(out)[1]
    assert any("train/critic_loss" in values for _, values in wandb.logged)
    assert wandb.finished == 1
    with (out / "progress.csv").open() as log:
        assert "eval/" not in log.readline()


@pytest.mark.slow
def test_the_real_package_keeps_an_offline_run(tmp_path, monkeypatch):
    pytest.importorskip("wandb.sdk", reason="needs the extra wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    out = tmp_path / "run"
    assert run("train", "--env", SPOT, "--algo", "td3", *SMALL, "--out", str(out), "--track", "wandb", *BRIEF) == 0
    (kept,) = out.glob("wandb/offline-run-*/*.wandb")
    assert kept.stat().st_size > 1_000


def test_a_run_is_followed_in_tensorboard(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "run"
    assert (
        run("train", "--env", SPOT, "--algo", "td3", *SMALL, "--out", str(out), "--track", "tensorboard", *BRIEF) == 0
    )
    found = events.EventAccumulator(str(out / "tensorboard")).Reload()
    assert [row.step for row in found.Scalars("eval/return")] == [0, 20, 40]
    assert found.Scalars("eval/return")[-1].value == pytest.approx(last(out)[0], rel=1e-5)


def test_a_tracker_that_is_not_installed_is_told_before_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None)
    assert run("train", "--env", "Pendulum-v1", "--out", str(tmp_path / "run"), "--track", "wandb") == 2
    assert "the package wandb is not installed" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_cuda_that_is_not_there_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert run("train", "--env", SPOT, *SMALL, "--device", "cuda", "--out", str(tmp_path / "run")) == 2
    assert "device='cuda': this PyTorch" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_lists_and_completion_name_what_a_command_takes(capsys):
    assert run("list", "environments") == 0
    names = capsys.readouterr().out.split()
    assert {"Pendulum-v1", "Hopper-v5", "Navigation-N"} <= {*names}
    assert not {"CartPole-v1", "Acrobot-v1", "FrozenLake-v1", "Taxi-v4"} & {*names}
    assert run("list") == 0
    assert "teams of ours (epymarl, tabular): Landmarks-N" in capsys.readouterr().out
    assert "Navigation-N" not in candidates(["train", "--env", ""])
    assert "CooperativeNavigation-N" in candidates(["train", "--env", ""])
    arms = candidates(["compare", "--arms", ""])
    assert {"td3", "td3_pr", "sac_pr"} <= {*arms}
    assert not {"qmix", "iql", "mappo_pr"} & {*arms}


@pytest.mark.parametrize(("number", "study"), [(5, "fig5"), (6, "fig6"), (7, "fig7a"), (8, "fig8")])
def test_a_figure_starts_its_smallest_study(number, study, monkeypatch):
    from marl_pr_common.cli import figure

    seen = []
    monkeypatch.setattr(figure.study_command.Command, "run", lambda self: seen.append(self) or 0)
    assert cli.main(["figure", str(number), "--dry-run", "--jobs", "3"]) == 0
    assert (seen[0].study, seen[0].scale, seen[0].dry_run, seen[0].jobs) == (study, None, True, 3)
    assert cli.main(["figure", str(number), "--steps", "100"]) == 2
