"""A real run of EPyMARL, read from its sacred folder as anybody has it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from epymarl_pr.launch.locate import Checkout
from marl_pr_common.results import readers
from marl_pr_common.runs.table import COLUMNS, TEAM
from tests.epymarl import runs

KEY = "epymarl_pr:spread-3-v0"
SMALL = ("hidden_dim=16", "t_max=230", "test_interval=100")


pytestmark = pytest.mark.slow  # whole runs


@pytest.fixture(scope="module")
def folders(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory):
    """Two short runs: the team's reward, and each agent's own."""
    pytest.importorskip("mpe2")
    root = runs.clone(checkout, tmp_path_factory.mktemp("clone") / "epymarl")
    for settings in (("common_reward=True",), ("common_reward=False",)):
        runs.run(runs.command(root, "iql", KEY, *SMALL, *settings), root)
    return root / "results" / "sacred" / "iql" / KEY


def test_the_teams_return_becomes_rows_of_the_team(folders):
    table = readers.read(folders / "1")
    assert tuple(table.columns) == COLUMNS
    identity = table[["run", "arm", "task", "engine", "seed", "evaluation"]].drop_duplicates().to_numpy().tolist()
    evaluation = "2 episodes, greedy, return of the team (sum over agents)"
    assert identity == [["iql-spread-3-v0-seed1", "iql", "spread-3-v0", "epymarl cbc38c0", 1, evaluation]]
    returns = table[table["metric"] == "eval/return"]
    logged = json.loads((folders / "1" / "metrics.json").read_text())["test_return_mean"]
    assert len(returns) >= 3
    np.testing.assert_array_equal(returns["env_steps_per_agent"], logged["steps"])
    np.testing.assert_array_equal(returns["total_env_steps"], 3 * np.array(logged["steps"]))
    np.testing.assert_allclose(returns["value"], np.array(logged["values"], dtype=float))
    assert set(returns["agent"]) == {TEAM}
    assert (np.diff(returns["wall_time"]) > 0).all()
    assert 0 < returns["wall_time"].iloc[0] < 60
    assert "train/loss" in set(table["metric"])


def test_agents_with_rewards_of_their_own_have_rows_of_their_own(folders):
    table = readers.read(folders / "2")
    returns = table[table["metric"] == "eval/return"]
    assert set(returns["agent"]) == {0, 1, 2}
    total = table[table["metric"] == "eval/total_return"]["value"].to_numpy()
    np.testing.assert_allclose(returns.groupby("env_steps_per_agent")["value"].sum(), total)
    assert set(table["evaluation"]) == {"2 episodes, greedy, return of each agent"}


def test_info_json_with_numpy_scalars_says_the_same(folders, tmp_path):
    whole = readers.read(folders / "1")
    shutil.copytree(folders / "1", tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    old = readers.read(tmp_path / "run")
    columns = ["metric", "agent", "env_steps_per_agent", "total_env_steps", "value"]
    np.testing.assert_array_equal(old[columns].to_numpy(), whole[columns].to_numpy())
    assert "py/object" in (tmp_path / "run" / "info.json").read_text()


def test_all_runs_below_a_folder_are_found_and_unknown_teams_noted(folders, tmp_path):
    shutil.copytree(folders, tmp_path / "iql" / "key")
    with pytest.raises(ValueError, match="same rows"):  # both runs have seed 1
        readers.read_all([tmp_path])
    second = tmp_path / "iql" / "key" / "2"
    config = json.loads((second / "config.json").read_text())
    changed = config | {"seed": 2, "env_args": config["env_args"] | {"key": "my_env-v0"}, "common_reward": True}
    (second / "config.json").write_text(json.dumps(changed))
    metrics = json.loads((second / "metrics.json").read_text())
    team = {name: logged for name, logged in metrics.items() if "agent_" not in name}
    team["test_return_mean"] = metrics["test_total_return_mean"]
    (second / "metrics.json").write_text(json.dumps(team))
    notes: list[str] = []
    table = readers.read_all([tmp_path], notes)
    assert set(table["seed"]) == {1, 2}
    assert any("how many agents there are" in note for note in notes)
    theirs = table[table["seed"] == 2]
    assert (theirs["total_env_steps"] == theirs["env_steps_per_agent"]).all()
    again = readers.read(second, n_agents=4)
    assert (again["total_env_steps"] == 4 * again["env_steps_per_agent"]).all()


def test_half_a_file_is_an_error_that_names_it(folders, tmp_path):
    shutil.copytree(folders / "1", tmp_path / "run")
    path = tmp_path / "run" / "metrics.json"
    path.write_text(path.read_text()[:500])
    with pytest.raises(ValueError, match=r"metrics.json is not JSON"):
        readers.read(tmp_path / "run")
    path.unlink()
    (tmp_path / "run" / "info.json").write_text("{}")
    with pytest.raises(ValueError, match="no test return yet"):
        readers.read(tmp_path / "run")
