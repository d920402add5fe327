"""A tabular run of a study is played again: the tables that it ended with, in episodes of the same task."""

from __future__ import annotations

import numpy as np
import pytest

from marl_pr_common.envs.factories import close
from marl_pr_common.study.hosts import CellRun
from marl_pr_common.tabular import host, play
from marl_pr_common.tabular.one_seed import make_trainer
from tests.cli.test_front import run

OWN = "tests.tabular.test_play:Drawn"
SETTINGS = {"steps_per_agent": 300, "eval_every": 300, "eval_episodes": 20, "mode": "decision", "alpha": 0.5}


def Drawn():
    """A factory of one's own, whose environment draws itself."""
    pytest.importorskip("pettingzoo")
    from marl_pr_common.envs import make

    return make("Navigation-3", render_mode="rgb_array")


def complete(directory, task, arm="iql_pr_decision", **settings):
    pytest.importorskip("pettingzoo")
    planned = host.plan(task, 0, SETTINGS | settings)
    host.run(CellRun("cell", arm, task, 0, planned), directory)
    return directory


@pytest.mark.parametrize("task", ["Navigation-3", OWN, "FrozenLake-v1"])
def test_the_tables_are_those_that_the_run_ended_with(task, tmp_path):
    directory = complete(tmp_path / "run", task)
    budget, config = host.parse(SETTINGS, task)
    again = make_trainer(task, config, budget, 0)
    again.train(0)
    again.evaluate(budget.eval_episodes)
    again.train(budget.steps_per_agent)
    trainer, what, _ = play._trained(directory, None)
    np.testing.assert_array_equal(trainer.learner.q, again.learner.q)
    assert trainer.learner.steps == 300
    assert what == f"iql_pr_decision on {task}, seed 0"
    played = {who: mean for who, mean, _ in play.evaluate(directory, 50)[1]}
    expected = again.evaluate(50).returns
    assert played["mean over agents"] == pytest.approx(expected.mean(), abs=4 * expected.std() / 7 + 1e-9)
    close(trainer.test_env)


@pytest.mark.parametrize("task", ["Navigation-3", OWN])
def test_a_team_is_evaluated_and_filmed(task, tmp_path, capsys):
    v3 = pytest.importorskip("imageio.v3")
    directory = complete(tmp_path / "run", task)
    assert run("eval", str(directory), "--episodes", "3") == 0
    said = capsys.readouterr().out
    assert "3 greedy episodes" in said
    assert "mean over agents" in said
    out = tmp_path / "film.gif"
    assert run("enjoy", str(directory), "--out", str(out), "--episodes", "2") == 0
    trainer, *_ = play._trained(directory, None)
    moments = sum(len(list(trainer.episode())) for _ in range(2))
    assert f"all 3 agents, 2 episodes, {moments} frames" in capsys.readouterr().out
    assert v3.improps(out).shape[-1] == 3
    assert run("enjoy", str(directory), "--agent", "0") == 2
    assert "act together in one world" in capsys.readouterr().err
    assert run("enjoy", str(directory), "--team") == 2
    assert "no vote" in capsys.readouterr().err


def test_of_copies_the_best_is_filmed_until_its_episode_ends(tmp_path, capsys):
    pytest.importorskip("imageio.v3")
    directory = complete(tmp_path / "run", "FrozenLake-v1", eval_max_steps=20)
    out = tmp_path / "film.gif"
    assert run("enjoy", str(directory), "--out", str(out)) == 0
    assert "the best of the last evaluation, 1 episode" in capsys.readouterr().out
    for agent in range(3):
        episode = [moment.present[agent] for moment in play._trained(directory, None)[0].episode()]
        assert run("enjoy", str(directory), "--out", str(out), "--agent", str(agent)) == 0
        frames = sum(episode) + (not all(episode))
        assert f"agent {agent}, 1 episode, {frames} frames" in capsys.readouterr().out
    assert run("enjoy", str(directory), "--out", str(out), "--agent", "3") == 2
    assert "expected a number from 0 to 2" in capsys.readouterr().err


def test_a_task_that_draws_text_only_is_refused_by_name(tmp_path, capsys):
    directory = complete(tmp_path / "run", "Cliff-3")
    assert run("eval", str(directory), "--episodes", "2") == 0
    assert run("enjoy", str(directory), "--out", str(tmp_path / "film.gif")) == 2
    message = capsys.readouterr().err
    assert "env='Cliff-3' can't be filmed" in message
    assert "`marl-pr eval`" in message


def test_a_run_that_is_not_complete_is_refused(tmp_path, capsys):
    directory = complete(tmp_path / "run", "Navigation-3")
    status = directory / "status.json"
    status.write_text(status.read_text().replace("complete", "running"))
    assert run("eval", str(directory)) == 2
    assert "is not complete" in capsys.readouterr().err


def test_large_tables_are_not_kept_and_the_plan_knows_what_small_ones_take(tmp_path, monkeypatch):
    planned = host.plan("Navigation-3", 0, SETTINGS)
    directory = complete(tmp_path / "run", "Navigation-3")
    kept = sum(file.stat().st_size for file in (directory / "learnt").rglob("*"))
    assert 0 < kept < host.cost("Navigation-3", planned).kept
    monkeypatch.setattr(host, "AT_MOST", 1_000)
    assert not (complete(tmp_path / "large", "Navigation-3") / "learnt").exists()


def test_a_run_without_tables_is_refused_by_name(tmp_path, capsys):
    directory = complete(tmp_path / "run", "Navigation-3")
    for part in sorted((directory / "learnt").rglob("*"), reverse=True):
        part.rmdir() if part.is_dir() else part.unlink()
    (directory / "learnt").rmdir()
    assert run("eval", str(directory)) == 2
    assert "has kept no tables" in capsys.readouterr().err
