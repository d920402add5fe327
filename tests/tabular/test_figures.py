"""``marl-pr figure 2|3|4`` and the demo on small budgets: what is written, and that the summaries follow the data."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tyro
from rich.console import Console

from marl_pr_common.commands.figure import Command
from marl_pr_common.envs.jit import HAS_NUMBA
from marl_pr_common.figures import FigureConfig, navigation_demo, run_figure, run_navigation_demo, show_navigation_demo
from marl_pr_common.figures.curves import Budget, arms, steps_to, threshold
from marl_pr_common.figures.figure4 import summary
from marl_pr_common.figures.style import mean_interval, median_interval

pytestmark = pytest.mark.skipif(not HAS_NUMBA, reason="millions of steps need the extra fast")


def assert_figure(png: Path) -> None:
    assert png.read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(png.with_suffix(".svg")).getroot().tag.endswith("svg")


@pytest.mark.parametrize("number", [2, 3])
def test_theory_figures(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marl_pr_common.figures.convergence.CHECKPOINTS", (1_000, 3_000, 10_000, 30_000))
    png = run_figure(FigureConfig(number, tmp_path, seeds=2, steps=20_000, progress=False))
    assert_figure(png)
    data = pd.read_csv(png.with_suffix(".csv"))
    assert set(data["seed"]) == {0, 1}
    assert data["steps"].max() == 20_000
    at_one = data[data["kappa"] == "1"]
    assert (at_one["process_distance"] == 0).all()
    assert len(pd.read_csv(tmp_path / f"figure{number}_policies.csv")) == 20
    assert "Theorem 3" in png.with_suffix(".md").read_text()
    assert (tmp_path / "convergence.png").exists() == (number == 3)


def test_figure_4_on_built_in_and_own_environments(tmp_path: Path) -> None:
    config = FigureConfig(4, tmp_path, seeds=2, steps=8, envs=("Landmarks-2", "Cliff-2"), progress=False)
    png = run_figure(config)
    assert_figure(png)
    data = pd.read_csv(png.with_suffix(".csv"))
    assert list(data.columns) == ["env", "arm", "seed", "steps", "total_steps", "episodes", "mean_return"]
    assert len(data) == 2 * len(arms("x")) * 2 * 9
    assert (data["total_steps"] <= 2 * data["steps"]).all()
    assert "too few for a verdict" in png.with_suffix(".md").read_text()
    again = run_figure(FigureConfig(4, tmp_path / "again", 2, 8, ("Landmarks-2", "Cliff-2"), progress=False))
    pd.testing.assert_frame_equal(data, pd.read_csv(again.with_suffix(".csv")))


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(navigation_demo, "BUDGET", Budget(400, 100, 2))
    result = run_navigation_demo(tmp_path, seeds=2)
    assert_figure(result.figure)
    assert len(result.rows) == 4
    assert set(pd.read_csv(result.data)["arm"]) == {"iql", "shared", "faithful", "decision"}


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``marl-pr figure 4 --envs Landmarks-2 ...`` as the command line reads it."""
    options = ["4", "--out", str(tmp_path), "--seeds", "2", "--steps", "80", "--envs", "Landmarks-2", "--no-progress"]
    command = tyro.cli(Command, args=options)
    assert command.envs == ("Landmarks-2",)
    assert command.run() == 0
    assert "## Landmarks-2" in capsys.readouterr().out


def test_demo_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(navigation_demo, "BUDGET", Budget(400, 100, 2))
    console = Console(width=120, record=True, file=io.StringIO())
    show_navigation_demo(tmp_path, console, seeds=2)
    text = console.export_text()
    assert "one shared table" in text
    assert "[" in text
    assert "navigation.png" in text


def made_up(speed: dict[str, int], seeds: int) -> pd.DataFrame:
    """Curves that rise linearly from 0 to 1 in so many steps, with a little noise."""
    rng = np.random.default_rng(0)
    rows = []
    for arm in arms("Landmarks-2"):
        for seed in range(seeds):
            for steps in range(0, 2001, 100):
                value = min(steps / speed.get(arm, 1_000), 1.0) + rng.normal(0, 0.01)
                rows.append(("Landmarks-2", arm, seed, steps, 2 * steps, 20, value))
    return pd.DataFrame(rows, columns=["env", "arm", "seed", "steps", "total_steps", "episodes", "mean_return"])


def test_summary_says_what_the_data_says() -> None:
    budgets = {"Landmarks-2": Budget(2_000, 100)}
    text = summary(made_up({"decision": 300, "faithful": 4_000}, 20), budgets)
    assert "- PR decision, alpha = .5 reached the threshold in fewer steps" in text
    assert "- PR eq. 5, the paper's numbers needed more steps" in text
    assert "- one shared table, alpha = .5 and IQL, alpha = .5 (paper): the intervals" in text
    assert "fewer steps than" not in summary(made_up({"decision": 300}, 9), budgets)


def test_threshold_and_steps() -> None:
    data = made_up({}, 10)
    assert threshold(data) == pytest.approx(0.8, abs=0.02)
    steps = steps_to(data[data["arm"] == "iql"], 0.8)
    assert steps.between(800, 1_000).all()
    assert np.isinf(steps_to(data[data["arm"] == "iql"], 2.0)).all()


def test_intervals() -> None:
    mean, half = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert (mean, half) == (2.0, pytest.approx(4.302653 / np.sqrt(3), rel=1e-6))
    values = np.array([1.0, 2.0, 3.0, 4.0, np.inf])
    assert median_interval(values, np.random.default_rng(0))[0] == 3.0
    assert median_interval(np.full(5, np.inf), np.random.default_rng(0)) == (np.inf, np.inf, np.inf)


@pytest.mark.parametrize("options", [{"number": 5}, {"number": 4, "seeds": -1}, {"number": 4, "envs": ()}])
def test_bad_options(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"figures are|expected numbers|envs is empty"):
        FigureConfig(**options)


def test_unknown_environment_is_named_before_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Unknown environment 'Maze-2'"):
        run_figure(FigureConfig(4, tmp_path, envs=("Blocker-3", "Maze-2"), progress=False))
    assert not list(tmp_path.iterdir())
