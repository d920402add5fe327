"""``marl-pr figure 2|3|4`` on small budgets: what is written."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pandas as pd
import pytest

from marl_pr_common.cli import figure, main
from marl_pr_common.envs.jit import HAS_NUMBA
from marl_pr_common.runs.table import read_results
from marl_pr_common.study.config import load_study
from marl_pr_common.tabular.theory import FigureConfig, run_figure

pytestmark = pytest.mark.skipif(not HAS_NUMBA, reason="millions of steps need the extra fast")


def assert_figure(png: Path) -> None:
    assert png.read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(png.with_suffix(".svg")).getroot().tag.endswith("svg")


@pytest.mark.parametrize("number", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_theory_figures(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marl_pr_common.tabular.theory.convergence.CHECKPOINTS", (1_000, 3_000, 10_000, 30_000))
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


@pytest.mark.slow  # studies of tables stand in tests/study, too
def test_figure_4_is_a_study_of_built_in_and_own_environments(tmp_path: Path) -> None:
    options = ["4", "--out", str(tmp_path), "--seeds", "2", "--steps", "80", "--envs", "Landmarks-2", "Cliff-2"]
    assert main(["figure", *options, "--name", "mine"]) == 0
    results = read_results([tmp_path / "mine"])
    assert set(results["task"]) == {"Landmarks-2", "Cliff-2"}
    assert set(results["seed"]) == {0, 1}
    assert set(results["arm"]) == set(load_study("fig4").arms)
    assert sorted(results["env_steps_per_agent"].unique()) == list(range(0, 81, 2))
    for reference in ("iql", "iql_decay"):  # each is compared with learners of its own step size
        assert_figure(tmp_path / "mine" / reference / "figures" / "learning_curves.png")
        text = (tmp_path / "mine" / reference / "summary.md").read_text()
        assert "too few to rank the arms" in text
        assert "Steps to a return of 0.71" in text


def test_figure_4_is_by_default_the_papers_environments_at_the_papers_scale() -> None:
    config = FigureConfig(4).study()
    assert (tuple(config.tasks), len(config.seeds)) == (("Landmarks-2", "Blocker-3", "Landmarks-10"), 20)
    assert config.tasks["Blocker-3"].settings["steps_per_agent"] == 1_000_000


@pytest.mark.parametrize("options", [{"number": 5}, {"number": 4, "seeds": -1}, {"number": 4, "envs": ()}])
def test_bad_options(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"figures are|expected numbers|envs is empty"):
        FigureConfig(**options)


def test_unknown_environment_is_named_before_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Unknown environment 'Maze-2'"):
        figure.Command(4, tmp_path, envs=("Blocker-3", "Maze-2")).run()
    assert not list(tmp_path.iterdir())
