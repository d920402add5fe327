"""EPyMARL's runs after training: where they lie, whose networks they are, their returns."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from epymarl_pr import play
from epymarl_pr.launch import launcher, locate, run_dir
from epymarl_pr.launch.locate import Checkout
from marl_pr_common import cli
from tests.epymarl import runs

KEY = "epymarl_pr:navigation-2-v0"
NAME = f"iql_seed1_{KEY}_2026-11-30 "


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two runs of one name, seed and task, an hour apart, and another seed's."""
    for number, hour in ((1, "01"), (2, "02")):
        record = tmp_path / "sacred" / "iql" / KEY / str(number)
        record.mkdir(parents=True)
        config = {"name": "iql", "seed": 1, "env": "gymma", "env_args": {"key": KEY}, "local_results_path": "results"}
        (record / "config.json").write_text(json.dumps(config))
        (record / "run.json").write_text(
            json.dumps({"start_time": f"2026-11-30T{hour}:00:00.500000", "experiment": {}})
        )
        (tmp_path / "models" / f"{NAME}{hour}:00:02.000000" / "50").mkdir(parents=True)
    (tmp_path / "models" / f"{NAME.replace('seed1', 'seed2')}01:00:01.000000" / "50").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(("number", "hour"), [(1, "01"), (2, "02")])
def test_a_record_has_its_own_networks(results: Path, number: int, hour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    record = results / "sacred" / "iql" / KEY / str(number)
    assert play.record_of(record) == record
    found = play.models_of(record, json.loads((record / "config.json").read_text()))
    assert found.name == f"{NAME}{hour}:00:02.000000"


def test_several_runs_none_and_unsaved_ones_are_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds 2 runs. Give one of them"):
        play.record_of(results)
    with pytest.raises(FileNotFoundError, match="holds no record"):
        play.record_of(results / "models")
    record = results / "sacred" / "iql" / KEY / "1"
    config = json.loads((record / "config.json").read_text()) | {"seed": 7}
    with pytest.raises(FileNotFoundError, match="save_model=True"):
        play.models_of(record, config)


def test_results_are_where_the_run_was_started(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, str(checkout.root))
    monkeypatch.chdir(tmp_path)
    given = ["--config=iql", "--env-config=gymma", "with", f"env_args.key={KEY}"]
    assert launcher.prepare(given, tmp_path).results == tmp_path / "results"
    assert launcher.prepare([*given, "local_results_path=mine"], tmp_path).results == tmp_path / "mine"
    record = tmp_path / "results" / "sacred" / "iql" / "a key" / "1"
    run_dir.tell({"ex": SimpleNamespace(observers=[SimpleNamespace(dir=str(record)), SimpleNamespace(dir=None)])})
    said = capsys.readouterr().err
    assert f"results in {tmp_path / 'results'}:" in said
    assert f"marl-pr enjoy '{record}'" in said


@pytest.mark.slow
def test_a_run_is_evaluated_and_filmed(checkout: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("t_max=60", "save_model=True", "batch_size_run=1", "runner=episode", "hidden_dim=16")
    said = runs.run(runs.command(checkout.root, "iql_pr", KEY, *settings), tmp_path)
    assert f"epymarl_pr: results in {tmp_path / 'results'}" in said
    assert "git.cmd" not in said
    assert cli.main(["eval", str(tmp_path / "results"), "--episodes", "3"]) == 0
    printed = capsys.readouterr().out
    assert "iql_pr on epymarl_pr:navigation-2-v0" in printed
    assert "\nteam " in printed
    pytest.importorskip("imageio")
    assert cli.main(["enjoy", str(tmp_path / "results"), "--out", str(tmp_path / "film.gif")]) == 0
    assert (tmp_path / "film.gif").stat().st_size > 500
    assert cli.main(["enjoy", str(tmp_path / "results"), "--agent", "1"]) == 2
