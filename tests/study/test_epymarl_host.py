"""EPyMARL's arms of a study: EPyMARL's own numbers, nothing outside the cell's directory, and exact resume."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from epymarl_pr.launch.locate import ENVIRONMENT_VARIABLE, Checkout
from epymarl_pr.study import host as study_host
from epymarl_pr.study import plan as planning
from epymarl_pr.study.run import newest_checkpoint, written
from marl_pr_common.runs.provenance import RUN
from marl_pr_common.runs.status import read_status
from marl_pr_common.runs.table import RESULTS
from tests.events import HANG
from tests.study import cells

PP, SPREAD = "epymarl_pr:pp-3-v0", "epymarl_pr:spread-3-v0"
SHORT: dict[str, Any] = {
    "t_max": 600,
    "test_nepisode": 2,
    "test_interval": 220,
    "log_interval": 130,
    "runner_log_interval": 100,
    "learner_log_interval": 100,
    "batch_size": 4,
    "reward_scalarisation": "mean",
}
OWN_REWARDS = {"common_reward": False, "reward_scalarisation": "sum"}
PARALLEL = {"batch_size_run": 2, "buffer_size": 2, "batch_size": 2}


def info(directory: Path) -> dict[str, list[float]]:
    """What EPyMARL itself logged: the newest of sacred's info.json, in plain numbers."""
    file = max((directory / "sacred").rglob("info.json"), key=lambda path: int(path.parent.name))
    content = json.loads(file.read_text())
    return {
        name: [float(value["value"] if isinstance(value, dict) else value) for value in values]
        for name, values in content.items()
    }


def series(results: pd.DataFrame, metric: str, agent: int = -1) -> tuple[list[int], list[float]]:
    """Steps and values of one metric."""
    rows = results[(results["metric"] == metric) & (results["agent"] == agent)]
    return list(rows["env_steps_per_agent"]), list(rows["value"])


def changes(folder: Path) -> str:
    """What git sees as changed or new in the checkout."""
    return subprocess.run(["git", "-C", str(folder), "status", "--porcelain"], capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("arm", "task", "settings"),
    [
        ("qmix_pr", PP, {"pr_adjacency": "resample"}),
        pytest.param("maddpg", SPREAD, {**OWN_REWARDS, "pr_kappa": 0.25}, marks=pytest.mark.slow),
        pytest.param("mappo_ns", SPREAD, PARALLEL, marks=pytest.mark.slow),
        pytest.param("ippo_pr", SPREAD, {**OWN_REWARDS, **PARALLEL}, marks=pytest.mark.slow),
        pytest.param("iql_ns_pr_team_reward", SPREAD, OWN_REWARDS, marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_results_are_what_epymarl_logged(
    checkout: Checkout, tmp_path: Path, arm: str, task: str, settings: dict[str, Any]
) -> None:
    before = changes(checkout.root)
    what = cells.cell("epymarl", arm, task, 1, {**SHORT, **settings})
    results = cells.to_the_end("epymarl", what, tmp_path / "cell")
    logged = info(tmp_path / "cell")
    if what.plan.settings.get("common_reward", True):
        expected = {-1: "test_return_mean"}
    else:
        expected = {agent: f"test_agent_{agent}_return_mean" for agent in range(3)}
    for agent, name in expected.items():
        steps, values = series(results, "eval/return", agent)
        assert (steps, values) == (logged[f"{name}_T"], logged[name])
        assert len(steps) >= 3
    assert set(results[results["metric"] == "eval/return"]["agent"]) == set(expected)
    for name in ("critic_loss", "loss", "pr_value_gap"):
        assert series(results, f"train/{name}")[1] == logged.get(name, [])
    assert ("pr_value_gap" in logged) == ("_pr" in arm)
    evaluations = results[results["metric"] == "eval/return"].drop_duplicates("env_steps_per_agent")
    for name in ("wall_time", "cpu_time", "updates"):
        assert list(evaluations[name]) == logged[name]
        assert evaluations[name].is_monotonic_increasing
    assert (evaluations["total_env_steps"] == 3 * evaluations["env_steps_per_agent"]).all()
    assert evaluations["updates"].iloc[-1] > 0
    assert set(results["engine"]) == {"epymarl cbc38c0"}
    assert (what.plan.n_agents, what.plan.total_env_steps) == (3, 1800)
    status = read_status(tmp_path / "cell")
    assert status is not None
    assert (status.state, status.total_env_steps) == ("complete", 1800)
    described = json.loads((tmp_path / "cell" / RUN).read_text())
    assert described["epymarl_commit"] == checkout.commit
    assert changes(checkout.root) == before, "something was written into the checkout"


@pytest.mark.slow  # tests/epymarl/test_resume.py kills a run, test_kills.py a study
@pytest.mark.parametrize(
    ("arm", "settings", "number"),
    [
        ("qmix_pr", {}, signal.SIGKILL),
        pytest.param("iql_pr", {}, signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param("maddpg_ns_pr", {**OWN_REWARDS}, signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("maddpg_ns_own_critics", {"pr_in_actor": True}, signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param("mappo_pr", PARALLEL, signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_a_killed_cell_goes_on_and_loses_nothing(
    checkout: Checkout, tmp_path: Path, arm: str, settings: dict[str, Any], number: int
) -> None:
    what = cells.cell("epymarl", arm, PP, 2, {**SHORT, "t_max": 400, "save_model_interval": 100, **settings})
    assert what.plan.settings["resumable"]
    whole, ended = tmp_path / "whole", tmp_path / "ended"
    expected = cells.to_the_end("epymarl", what, whole)
    cells.end("epymarl", what, ended, number)
    assert nobody_works_in(ended)
    assert not (ended / RESULTS).exists()
    results = cells.to_the_end("epymarl", what, ended)
    assert cells.without_times(results).equals(cells.without_times(expected))
    assert len(json.loads((ended / RUN).read_text())["resumed"]) == 1
    assert not list(tmp_path.glob("*.incomplete-*"))
    assert newest_checkpoint(ended) is None, "a complete cell needs no replay buffer"
    times = results[results["metric"] == "eval/return"]["wall_time"]
    assert times.is_monotonic_increasing


def nobody_works_in(directory: Path) -> bool:
    """Whether the run's process and all its workers end; by themselves, so that they are waited for."""
    left = [process for process in psutil.process_iter(["cmdline"]) if _names(process.info["cmdline"], directory)]
    return not psutil.wait_procs(left, timeout=HANG)[1]


def _names(command: list[str] | None, directory: Path) -> bool:
    return any(str(directory) in word for word in command or ())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_upstream_begins_anew_and_leaves_no_worker(checkout: Checkout, tmp_path: Path, number: int) -> None:
    what = cells.cell("epymarl", "mappo", PP, 2, {**SHORT, **PARALLEL, "t_max": 2_000})
    assert not what.plan.settings["resumable"]
    ended = tmp_path / "ended"
    cells.end("epymarl", what, ended, number, before="marl_pr_common.runs.status:StatusReporter.running", call=15)
    assert nobody_works_in(ended)
    results = cells.to_the_end("epymarl", what, ended)
    assert (tmp_path / "ended.incomplete-1" / "sacred").is_dir()
    assert not results.duplicated(["agent", "env_steps_per_agent", "metric"]).any()
    again = cells.to_the_end("epymarl", what, tmp_path / "again")
    assert cells.without_times(results).equals(cells.without_times(again))


@pytest.mark.slow
def test_a_run_that_fails_says_why(checkout: Checkout, tmp_path: Path) -> None:
    what = cells.cell("epymarl", "qmix_pr", PP, 1, {**SHORT, "env_args": {"prey": "flee"}})
    what.plan.settings["env_args.prey"] = "sleepy"  # past what planning checks
    process = cells.start("epymarl", what, tmp_path / "cell")
    assert process.wait() == 1
    assert "sleepy" in process.said().splitlines()[-1]
    status = read_status(tmp_path / "cell")
    assert status is not None
    assert status.state == "failed"


def test_arms_need_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path))
    host = importlib.reload(study_host)
    for base in ("qmix", "vdn", "iql", "mappo", "ippo", "maa2c", "ia2c", "maddpg"):
        for name in (base, f"{base}_ns", f"{base}_pr", f"{base}_ns_pr", f"{base}_ns_independent"):
            assert host.ARMS[name].settings["config"] == name.replace("independent", "pr")
    assert "qmix_team_reward" not in host.ARMS
    with pytest.raises(ValueError, match="not an EPyMARL checkout"):
        host.plan(PP, 0, {"config": "qmix"})


def test_settings_of_reciprocity_reach_the_arms_that_have_it(checkout: Checkout) -> None:
    shared = {**SHORT, "pr_kappa": 0.3}
    plans = [cells.cell("epymarl", arm, PP, 0, shared).plan for arm in ("qmix", "qmix_pr", "qmix_independent")]
    assert [plan.settings.get("pr_kappa") for plan in plans] == [None, 0.3, 0.0]
    assert [plan.settings["resumable"] for plan in plans] == [False, True, True]
    assert len({plan.evaluation for plan in plans}) == 1


@pytest.mark.slow
def test_sums_and_means_over_agents_are_different_protocols(checkout: Checkout) -> None:
    own = cells.cell("epymarl", "iql", SPREAD, 0, {**SHORT, **OWN_REWARDS}).plan.evaluation
    team = cells.cell("epymarl", "iql_team_reward", SPREAD, 0, {**SHORT, **OWN_REWARDS}).plan.evaluation
    summed = cells.cell("epymarl", "iql", SPREAD, 0, {**SHORT, "reward_scalarisation": "sum"}).plan.evaluation
    assert own == team != summed


@pytest.mark.parametrize(
    ("arm", "settings", "message"),
    [
        (
            "qmix",
            {"t_maxx": 5},
            "t_maxx: neither --config=qmix nor --env-config=gymma has this key. Did you mean t_max",
        ),
        ("qmix", {"entropy_coef": 0.1}, "entropy_coef: neither --config=qmix"),
        ("qmix", {"env_args": {"preyy": "flee"}}, "env_args.preyy=flee: .*Did you mean env_args.prey"),
        ("qmix_pr", {"pr_kapa": 0.5}, "unknown key pr_kapa.*Did you mean pr_kappa"),
        ("qmix_pr", {"pr_kappa": 1.5}, "pr_kappa=1.5: expected a number in"),
        ("qmix_pr", {"pr_in_actor": True}, "pr_in_actor=True with q_learner"),
        ("qmix_pr", {"save_model": False}, "save_model=False: nothing would be saved"),
        ("qmix", {"seed": 3}, "seed=3: not in a study; a study sets it"),
        ("qmix", {"use_tensorboard": True}, "use_tensorboard=True: not in a study"),
        ("qmix", {"env_config": "gyma"}, "--env-config=gyma: no such file"),
        ("qmix", {"env_args": {"prey": "sleepy"}}, "prey='sleepy'|prey=sleepy"),
    ],
)
def test_a_slip_is_named_before_anything_runs(
    checkout: Checkout, arm: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cells.cell("epymarl", arm, PP, 0, settings)


def test_an_unknown_task_is_named(checkout: Checkout) -> None:
    with pytest.raises(ValueError, match="pp-33-v0"):
        planning.plan("epymarl_pr:pp-33-v0", 0, {"config": "qmix"})


@pytest.mark.parametrize("value", ["mean", "1", "None", "a b", "'x'", 0.5, [1, 2], True, None, 1e-4])
def test_settings_reach_sacred_as_they_are(checkout: Checkout, value: Any) -> None:
    from sacred.arg_parser import get_config_updates

    assert get_config_updates([f"key={written(value)}"])[0] == {"key": value}
