"""Tabular arms of a study: their learners, and a killed cell that ends as an uninterrupted one."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from marl_pr_common.runs.provenance import RUN
from marl_pr_common.runs.status import read_status
from marl_pr_common.study.hosts import load_host
from marl_pr_common.tabular import Power, decision, faithful, iql, shared_table
from marl_pr_common.tabular import host as study_host
from marl_pr_common.tabular.cell import Budget
from marl_pr_common.tabular.one_seed import make_trainer
from tests.study import cells

SHORT = {"steps_per_agent": 1_500, "eval_every": 400, "eval_episodes": 5}
CONFIGS = {
    "iql": lambda beta: iql(),
    "iql_decay": lambda beta: iql(Power(1.0, 0.65)),
    "shared_table": lambda beta: shared_table(),
    "iql_pr": faithful,
    "iql_pr_decision": lambda beta: decision(),
    "iql_pr_decision_decay": lambda beta: decision(Power(1.0, 0.65)),
}
"""Arm -> the learner that it is, from the paper's beta on the task."""


@pytest.mark.parametrize("arm", CONFIGS)
@pytest.mark.parametrize("task", ["Landmarks-2", "Navigation-3", "Cliff-4"])
@pytest.mark.few(3)
def test_an_arm_learns_as_its_learner_does_by_hand(tmp_path: Path, arm: str, task: str) -> None:
    what = cells.cell("tabular", arm, task, 1, SHORT)
    study_host.run(what, tmp_path / "cell")
    results = cells.read_results([tmp_path / "cell"])
    config, budget = CONFIGS[arm](0.3 if task == "Navigation-3" else 0.4), Budget(1_500, 400, 5)
    trainer = make_trainer(task, config, budget, seed=1)
    expected = []
    for steps in (0, 400, 400, 400, 300):
        trainer.train(steps)
        expected.append(trainer.evaluate(5))
    team = results.groupby("env_steps_per_agent")["value"].mean()
    np.testing.assert_allclose(team, [found.returns.mean() for found in expected])
    assert list(team.index) == [0, 400, 800, 1200, 1500] == [found.steps for found in expected]
    assert sorted(set(results["total_env_steps"])) == [found.total_steps for found in expected]
    assert results.groupby("env_steps_per_agent")["agent"].nunique().eq(what.plan.n_agents).all()
    assert (results["run"].unique(), results["metric"].unique()) == ([what.name], ["eval/return"])
    assert (what.plan.env_steps_per_agent, what.plan.total_env_steps) == (1_500, 1_500 * what.plan.n_agents)
    status = read_status(tmp_path / "cell")
    assert status is not None
    assert (status.state, status.total_env_steps) == ("complete", what.plan.total_env_steps)
    assert json.loads((tmp_path / "cell" / RUN).read_text())["config"]["settings"] == what.plan.settings


@pytest.mark.parametrize(
    ("task", "steps"), [("Blocker-3", 60_000), pytest.param("Courier-2", 60_000, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_cell_that_was_ended_goes_on_as_if_it_had_not(tmp_path: Path, task: str, steps: int, number: int) -> None:
    settings = {"steps_per_agent": steps, "eval_every": 2_000, "eval_episodes": 5}
    what = cells.cell("tabular", "iql_pr", task, 3, settings)
    whole, ended = tmp_path / "whole", tmp_path / "ended"
    study_host.run(what, whole)
    code = cells.end("tabular", what, ended, number, call=3)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    if number == signal.SIGTERM:
        status = read_status(ended)
        assert status is not None
        assert status.state == "stopped"
    study_host.run(what, ended)
    results = [cells.read_results([path]) for path in (whole, ended)]
    assert cells.without_times(results[0]).equals(cells.without_times(results[1]))
    assert len(json.loads((ended / RUN).read_text())["resumed"]) == 1
    assert not list(tmp_path.glob("*.incomplete-*"))


def test_what_can_not_be_gone_on_with_is_kept(tmp_path: Path) -> None:
    directory = tmp_path / "cell"
    study_host.run(cells.cell("tabular", "iql", "Landmarks-2", 0, SHORT), directory)
    (directory / "status.json").unlink()  # as if it had been killed, with other settings
    study_host.run(cells.cell("tabular", "iql", "Landmarks-2", 0, {**SHORT, "epsilon": 0.3}), directory)
    assert (tmp_path / "cell.incomplete-1" / "results.parquet").is_file()
    before = (directory / "results.parquet").stat().st_mtime_ns
    study_host.run(cells.cell("tabular", "iql", "Landmarks-2", 0, {**SHORT, "epsilon": 0.3}), directory)
    assert (directory / "results.parquet").stat().st_mtime_ns == before, "a complete cell was run again"


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("Landmarks-2", {"epsilonn": 0.1}, "unknown key 'epsilonn'.*Did you mean 'epsilon'"),
        ("Landmarks-2", {"eval_every": 0}, "eval_every=0: expected an integer >= 1"),
        ("Landmarks-2", {"gamma": 1.0}, r"gamma=1.0: expected a number in \[0, 1\)"),
        ("Landmarks-2", {"level": "far"}, "level='far' is not a whole number"),
        ("Landmarks-2", {"alpha": {"power": 1.0}}, r"alpha={'power': 1.0}: expected a number, or {power: \[c, tau\]}"),
        ("Landmarks-2", {"alpha": {"shrink": 1.0}}, "alpha={'shrink': 1.0}: expected a number"),
        ("Landmarks-2", {"alpha": 0.7, "beta": 0.7}, "alpha_0 .* beta_0 .* > 1"),
        ("Landmarks-2", {"kappa": 1.5}, "kappa=1.5: expected a number in"),
        ("Landmarks-2", {"share": True}, "share=True is a control for IQL"),
        ("Landmark-2", {}, "Unknown environment 'Landmark-2'"),
        ("PredatorPrey-3", {}, "tabular learning needs Discrete"),
    ],
)
def test_a_slip_is_named_before_anything_runs(task: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study_host.plan(task, 0, settings)


def test_the_host_is_found_by_name() -> None:
    assert load_host("tabular").ARMS == study_host.ARMS
