"""What a message says to do: the nearest name, the budget that makes arms equal, how a run goes on."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from marl_pr_common.config.mapping import near_path, suggest
from tests.cli.test_front import run
from tests.cli.test_watch import SMALL, SPOT

POINTS = {"mine": 3, "base": 5}


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """EvalCallback's files of two arms of one agent, the second with longer runs."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for arm, points in POINTS.items():
        for seed in range(3):
            folder = tmp_path / "logs" / arm / f"seed{seed}"
            folder.mkdir(parents=True)
            steps = 100 * np.arange(1, points + 1)
            np.savez(folder / "evaluations.npz", timesteps=steps, results=rng.normal(size=(points, 2)))
    return tmp_path / "logs"


def said(capsys, *command):
    assert run(*map(str, command)) == 2
    return capsys.readouterr().err


def test_unequal_budgets_are_told_what_makes_them_equal_in_words_for_one_agent(logs, capsys):
    message = said(capsys, "plot", "mine=logs/mine", "base=logs/base")
    assert "mine: 300 env steps; base: 500 env steps" in message
    assert "--budget 300 cuts all of them" in message
    assert "per agent" not in message
    assert run("plot", "mine=logs/mine", "base=logs/base", "--budget", "300", "--out", "report") == 0


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        (["--reference", "bsae", "--budget", "300"], "Did you mean 'base'?"),
        (["--metric", "eval/retrun"], "Did you mean 'eval/return'?"),
        (["--metric", "x"], "Give --metric eval/return."),
        (["--exclude", "base-seed0"], "Did you mean 'base-one task-seed0'?"),
        (["--exclude", "mine-seed0"], "Did you mean 'mine-one task-seed0'?"),
    ],
)
def test_the_nearest_name_is_suggested(logs, capsys, more, hint):
    assert hint in said(capsys, "plot", "mine=logs/mine", "base=logs/base", *more)


def test_the_nearest_path_is_suggested(logs, capsys):
    assert "Did you mean logs/base?" in said(capsys, "plot", "base=logs/bsae", "mine=logs/mine")
    assert "Did you mean logs/mine?" in said(capsys, "enjoy", "logs/mien")
    assert "Did you mean logs/mine?" in said(capsys, "train", "--resume", "logs/mien")
    assert near_path(logs / "nothing like it") == near_path(logs / "no" / "folder") == ""


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["list", "algoritms"], "algoritms: expected one of algorithms, "),
        (["list", "arms", "algoritms"], "Did you mean algorithms?"),
        (["figure", "9"], "9: expected one of 2, 3, 4, 5, 6, 7, 8."),
        (["completion", "tcsh"], "tcsh: expected one of bash, zsh, fish."),
    ],
)
def test_words_without_a_flag_are_checked_too(capsys, command, hint):
    assert hint in said(capsys, *command)


def test_of_equally_near_names_the_one_that_begins_alike_is_meant():
    assert suggest("dt3_pr", ["ddpg_pr", "td3_pr", "sac_pr"]) == " Did you mean 'td3_pr'?"
    assert suggest("a-seed0", ["b-one task-seed0", "a-one task-seed0"]) == " Did you mean 'a-one task-seed0'?"


@pytest.mark.parametrize("broken", [b"oops", b""])
def test_an_arm_of_which_nothing_can_be_read_is_no_report(logs, capsys, broken):
    for seed in range(3):
        (logs / "mine" / f"seed{seed}" / "evaluations.npz").write_bytes(broken)
    message = said(capsys, "plot", "mine=logs/mine", "base=logs/base", "--out", "report")
    assert "No run of 'mine' could be read." in message
    assert "seed0/evaluations.npz is not what EvalCallback writes" in message
    assert "pickle" not in message
    assert not (logs.parent / "report").exists()


def test_a_name_for_all_below_and_nearer_ones_are_no_lost_arm(logs):
    assert run("plot", "all=logs", "mine=logs/mine", "base=logs/base", "--budget", "300", "--out", "report") == 0


def test_no_budget_is_advised_that_would_be_refused(logs, capsys):
    file = logs / "mine" / "seed0" / "evaluations.npz"
    np.savez(file, timesteps=np.array([100]), results=np.zeros((1, 2)))  # unfinished
    message = said(capsys, "plot", "mine=logs/mine", "base=logs/base")
    assert "Run them alike, or report them apart." in message
    assert "--budget" not in message


def test_a_complete_run_that_lost_its_figure_gets_it(tmp_path, capsys):
    out = tmp_path / "run"
    assert run("train", "--env", SPOT, "--n-agents", "2", *SMALL, "--out", str(out), "-q") == 0
    assert "lowered returns" not in capsys.readouterr().err
    figure = out / "learning_curves.png"
    drawn = figure.read_bytes()
    figure.unlink()
    assert run("train", "--resume", str(out)) == 0
    assert "Best agent" in capsys.readouterr().err
    assert figure.read_bytes() == drawn
    assert run("train", "--resume", str(out)) == 0
    assert "Best agent" not in capsys.readouterr().err


def test_where_a_run_was_begun_the_way_on_is_named(tmp_path, capsys):
    out = tmp_path / "run"
    assert run("train", "--env", SPOT, "--n-agents", "2", *SMALL, "--out", str(out)) == 0
    assert "--resume" not in said(capsys, "train", "--env", SPOT, "--out", out)
    status = out / "status.json"
    status.write_text(json.dumps({**json.loads(status.read_text()), "state": "stopped"}))
    assert f"marl-pr train --resume {out} goes on with it" in said(capsys, "train", "--env", SPOT, "--out", out)
    shutil.rmtree(out / "checkpoints")
    assert "--resume" not in said(capsys, "train", "--env", SPOT, "--out", out)
    shutil.rmtree(out)
    out.mkdir()
    (out / "mine.txt").touch()
    assert "--resume" not in said(capsys, "train", "--env", SPOT, "--out", out)
