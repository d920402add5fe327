"""``marl-pr demo``: both parts in one directory, from an empty one, and given again."""

from dataclasses import replace

import pandas as pd
import pytest

from marl_pr_common.cli import demo
from marl_pr_common.study.config import overlay

SHORT = {
    "tabular": {"steps_per_agent": 2_000, "eval_every": 500, "eval_episodes": 2},
    "sb3": {"timesteps_per_agent": 60, "n_agents": 2, "learning_starts": 20, "eval_every": 60, "eval_episodes": 1},
}


@pytest.fixture
def short(monkeypatch):
    """The same demo with fewer steps and one seed."""
    real = demo.Command._study

    def study(self, name, scale):
        of = real(self, name, scale)
        tasks = {
            name: replace(task, settings=overlay(task.settings, SHORT[of.host])) for name, task in of.tasks.items()
        }
        return replace(of, tasks=tasks, seeds=(0,))

    monkeypatch.setattr(demo.Command, "_study", study)


def test_the_demo_runs_from_an_empty_directory_and_again(short, tmp_path, capsys, in_process):
    command = demo.Command(out=tmp_path / "demo", arms=("td3", "td3_pr"), seeds=(0,), jobs=2)
    for _ in range(2):
        assert command.run() == 0
        for part, arms in (
            ("navigation", {"iql", "shared_table", "iql_pr", "iql_pr_decision"}),
            ("pendulum", {"td3", "td3_pr"}),
        ):
            found = {path.name for path in (command.out / part).iterdir()}
            assert found >= {"figures", "report.html", "summary.md", "study.json"}
            assert (command.out / part / "figures" / "learning_curves.png").is_file()
            assert set(pd.read_parquet(command.out / part / "results.parquet")["arm"]) == arms
    assert "4 of 4 cells are done and kept." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["thesis.tex", "compare.json"])
def test_a_directory_of_something_else_is_left_alone(short, tmp_path, name):
    (tmp_path / name).write_text("years of work")
    with pytest.raises(FileExistsError, match=r"holds no study|earlier version"):
        demo.Command(out=tmp_path).run()
    assert [path.name for path in tmp_path.iterdir()] == [name]
