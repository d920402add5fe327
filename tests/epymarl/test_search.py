"""EPyMARL's own search.py, on a tiny grid: its combinations, through our launcher."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from epymarl_pr import search
from epymarl_pr.launch import locate
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.launch.locate import Checkout
from tests.epymarl import runs
from tests.events import HANG

pytest.importorskip("click", reason="needs the extra epymarl: pip install 'marl-pr[epymarl]'")
GRID = {
    "grid-search": {"--config": ["iql_pr", "qmix"], "t_max": 30, "test_nepisode": 1},
    "grid-search-groups": {"env0": [{"--env-config": "gymma"}, {"env_args.key": "epymarl_pr:spread-2-v0"}]},
}


@pytest.fixture
def grid(checkout: Checkout, tmp_path: Path) -> Path:
    """A clone with a grid in it."""
    root = runs.clone(checkout, tmp_path / "epymarl")
    (root / "grid.yaml").write_text(yaml.safe_dump(GRID))
    return root


def searched(root: Path, *arguments: str, expect: int = 0, answer: str = "y\n") -> str:
    command = [sys.executable, "-m", "epymarl_pr.search", "run", f"--epymarl-dir={root}", *arguments]
    done = subprocess.run(
        command, cwd=root.parent, env=runs.variables(), input=answer, text=True, capture_output=True, timeout=HANG
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def seeds(root: Path) -> dict[str, list[int]]:
    """Algorithms that were run, and the seeds of those runs."""
    files = sorted((root.parent / "results" / "sacred").glob("*/*/*/config.json"))
    found: dict[str, list[int]] = {}
    for file in files:
        config = json.loads(file.read_text())
        found.setdefault(config["name"], []).append(config["seed"])
    return {name: sorted(values) for name, values in found.items()}


@pytest.mark.slow
def test_all_combinations_in_several_processes(grid: Path) -> None:
    printed = searched(grid, f"--config={grid / 'grid.yaml'}", "--seeds=1", "locally", "--cpus=2")
    assert "There are 2 combinations of configurations" in printed
    assert "[0, 0]" in printed
    assert seeds(grid) == {"iql_pr": [0], "qmix": [0]}


@pytest.mark.slow
def test_one_combination_by_its_number(grid: Path) -> None:
    arguments = [f"--config={grid / 'grid.yaml'}", "--seeds=2", "--no-shuffle", "single"]
    searched(grid, *arguments, "1")
    assert seeds(grid) == {"iql_pr": [1]}
    searched(grid, *arguments, "2")
    assert seeds(grid) == {"iql_pr": [1], "qmix": [0]}


@pytest.mark.parametrize(
    "section, number, message",
    [
        ("grid-search-groups", "0", "the grid has no section 'grid-search-groups'; see src/search.config.example.yaml"),
        ("", "7", "the grid has no combination of that number"),
    ],
)
@pytest.mark.few(1)
def test_mistakes(grid: Path, section: str, number: str, message: str) -> None:
    (grid / "grid.yaml").write_text(yaml.safe_dump({key: value for key, value in GRID.items() if key != section}))
    printed = searched(grid, f"--config={grid / 'grid.yaml'}", "--seeds=1", "single", number, expect=2)
    assert message in printed
    assert "Traceback" not in printed


@pytest.mark.slow
def test_a_grid_that_is_not_there_is_upstreams_own_message(grid: Path) -> None:
    assert "No such file or directory" in searched(grid, "--config=nowhere.yaml", "single", "0", expect=2)


def test_the_command_of_upstream_becomes_ours() -> None:
    ours = search.command_of("python main.py --config=iql_pr  with lr=0.1")
    assert ours == [sys.executable, "-m", "epymarl_pr", "--config=iql_pr", "with", "lr=0.1"]
    with pytest.raises(UsageError, match="runs 'julia main.jl', expected 'python main.py"):
        search.command_of("julia main.jl")


def test_values_with_spaces_stay_whole() -> None:
    settings = ["--config=iql_pr", "env_args.key=a b", "pr_peer_matrix=[[0, 1], [1, 0]]", "label=it's"]
    command = "python main.py " + " ".join(map(search.quote, settings))
    assert search.command_of(command)[3:] == settings
    assert all(search.quote(setting).startswith("--") == setting.startswith("--") for setting in settings)


@pytest.mark.parametrize(
    "how, code", [(["single", "0"], 2), pytest.param(["locally", "--cpus=2"], 1, marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_a_run_that_fails_fails_the_search(grid: Path, how: list[str], code: int) -> None:
    wrong = {"grid-search": {"--config": ["iql_pr"], "t_max": ["many", "few"]}, "grid-search-groups": {"e": []}}
    wrong["grid-search-groups"]["e"] = GRID["grid-search-groups"]["env0"]
    (grid / "grid.yaml").write_text(yaml.safe_dump(wrong))
    printed = searched(grid, f"--config={grid / 'grid.yaml'}", "--seeds=1", "--no-shuffle", *how, expect=code)
    assert "epymarl_pr: t_max=many: expected a number" in printed
    assert ("2 of 2 runs failed" in printed) == (how[0] == "locally")
    assert "Traceback" not in printed


def test_a_run_that_a_signal_ended_has_the_shells_code() -> None:
    assert [search.shell_code(code) for code in (0, 2, -15)] == [0, 2, 143]


def test_without_click(checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "click", None)
    monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, os.environ.get(locate.ENVIRONMENT_VARIABLE, "unused"))
    with pytest.raises(SystemExit) as stopped:
        search.main([f"--epymarl-dir={checkout.root}", "run"])
    assert stopped.value.code == 2
    assert "the package click is not installed" in capsys.readouterr().err
