"""``marl-pr demo``: both parts in one directory, from an empty one, and given again."""

import pandas as pd
import pytest

from marl_pr_common import figures
from marl_pr_common.commands import demo
from marl_pr_common.figures import navigation_demo


@pytest.fixture
def short(monkeypatch):
    """The same demo with fewer steps."""
    import dataclasses

    monkeypatch.setattr(navigation_demo, "BUDGET", figures.curves.Budget(2_000, 500, episodes=2))
    load = demo.load_config
    monkeypatch.setattr(
        demo,
        "load_config",
        lambda *args: dataclasses.replace(
            load(*args), timesteps_per_agent=60, learning_starts=20, eval_every=30, eval_episodes=1
        ),
    )


def test_the_demo_runs_from_an_empty_directory_and_again(short, tmp_path):
    command = demo.Command(out=tmp_path / "demo", arms=("td3", "td3_pr"), seeds=(0,), jobs=2)
    for _ in range(2):
        assert command.run() == 0
        found = {path.name for path in command.out.iterdir()}
        assert found >= {"navigation.png", "navigation.svg", "navigation.csv", "learning_curves.png", "summary.md"}
        assert set(pd.read_parquet(command.out / "results.parquet")["arm"]) == {"td3", "td3_pr"}


def test_a_directory_of_something_else_is_left_alone(short, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds no comparison"):
        demo.Command(out=tmp_path).run()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
