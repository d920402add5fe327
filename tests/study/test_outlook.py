"""What a study will take is shown before it begins; what takes long is asked for; an interruption says how to go on."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from epymarl_pr.launch.errors import UsageError
from epymarl_pr.launch.locate import find
from marl_pr_common import cli
from marl_pr_common.study import outlook, schedulers
from marl_pr_common.study.config import load_study
from marl_pr_common.study.outlook import DeclinedError, Outlook, require_meant, size, smallest
from marl_pr_common.study.plan import resolve
from marl_pr_common.study.run import run_study
from tests.study.studies import TABULAR, console, said, study, write

LONG = Outlook(cells=2, todo=2, env_steps=10**9, seconds=7200.0, disk=10**6)


@pytest.mark.parametrize(("name", "scale"), [("fig4", "quick"), ("fig5", "small"), ("quick", "overnight")])
@pytest.mark.few(1)
def test_the_smallest_scale_is_the_default(name, scale):
    config = load_study(name)
    steps = {
        each: sum(cell.manifest.plan.total_env_steps for cell in resolve(config.at(each), Path()))
        for each in config.scales
    }
    assert smallest(config) == scale == min(steps, key=steps.get)


def test_a_study_without_scales_has_no_default():
    assert smallest(study(TABULAR)) is None


def test_the_plan_is_shown_and_nothing_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scales = {"long": {"seeds": 5}, "short": {"seeds": 1, "note": "Seconds."}}
    file = write(tmp_path / "own.yaml", TABULAR, scales=scales)
    assert cli.main(["-q", "study", str(file), "--dry-run"]) == 0
    error = capsys.readouterr().err
    assert "4 cells (2 arms x 2 tasks x 1 seeds); 6,000 env steps" in error  # 2 arms x 600 steps x (2 + 3) agents
    assert "note: Seconds." in error
    assert "disk: up to 7 MB" in error
    assert [path.name for path in tmp_path.iterdir()] == ["own.yaml"]


def test_compare_and_demo_show_theirs(tmp_path, capsys):
    out = str(tmp_path / "out")
    given = ("--env", "Pendulum-v1", "--timesteps-per-agent", "10k", "--seeds", "0", "1", "--dry-run", "--out", out)
    assert cli.main(["compare", *given]) == 0
    assert "4 cells (2 arms x 1 tasks x 2 seeds); 80,000 env steps" in capsys.readouterr().err
    assert cli.main(["demo", "--dry-run", "--out", out]) == 0
    assert capsys.readouterr().err.count("Plan: ") == 2
    assert not (tmp_path / "out").exists()


def test_what_is_done_is_not_planned_again(tmp_path):
    config = study(TABULAR, seeds=1)
    run_study(replace(config, tasks={"Landmarks-2": config.tasks["Landmarks-2"]}), tmp_path, 1, console=console())
    found = outlook.outlook(resolve(config, tmp_path), 1)
    assert (found.cells, found.todo, found.env_steps) == (4, 2, 2 * 600 * 3)


def test_a_plan_of_nothing_promises_nothing(tmp_path, capsys):
    file = write(tmp_path / "own.yaml", TABULAR, seeds=1, tasks={"Landmarks-2": {}})
    for _ in range(2):
        assert cli.main(["study", str(file), "--out", str(tmp_path / "out")]) == 0
    assert cli.main(["study", str(file), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    plan = capsys.readouterr().err.rpartition("Plan: ")[2]
    assert "2 cells (2 arms x 1 tasks x 1 seeds), 2 of them done; 0 env steps to go" in plan
    assert "time" not in plan
    assert "disk" not in plan


def test_time_is_shared_by_jobs_but_no_cell_is(tmp_path):
    cells = resolve(study(TABULAR, seeds=1, settings={"steps_per_agent": 10**8}), tmp_path)
    alone, many = outlook.outlook(cells, 1), outlook.outlook(cells, 100)
    assert alone.seconds == pytest.approx(2 * (1 + 1.1e-5 * 2e8) + 2 * (1 + 1.1e-5 * 3e8))
    assert many.seconds == pytest.approx(1 + 1.1e-5 * 3e8)


@pytest.mark.parametrize(("answer", "begins"), [("y", True), ("Yes", True), ("n", False), ("", False), (None, False)])
def test_a_terminal_is_asked_above_an_hour(monkeypatch, answer, begins):
    monkeypatch.setattr(outlook, "_someone_types", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("" if answer is None else f"{answer}\n"))
    screen = Console(file=io.StringIO(), force_terminal=True)
    if begins:
        require_meant(screen, LONG, yes=False)
    else:
        with pytest.raises(DeclinedError):
            require_meant(screen, LONG, yes=False)
    assert "Begin?" in screen.file.getvalue()


def test_nobody_is_asked_who_answered_before_or_is_not_there_or_for_an_hour(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    terminal, file = Console(file=io.StringIO(), force_terminal=True), console()
    require_meant(terminal, LONG, yes=True)
    require_meant(terminal, replace(LONG, seconds=3600.0), yes=False)
    assert terminal.file.getvalue() == ""
    require_meant(file, LONG, yes=False)
    assert "more than an hour" in said(file)


def test_declined_nothing_is_written(monkeypatch, tmp_path, capsys):
    def no(*_):
        raise DeclinedError

    monkeypatch.setattr(outlook, "require_meant", no)
    file = write(tmp_path / "own.yaml", TABULAR)
    assert cli.main(["study", str(file), "--out", str(tmp_path / "out")]) == 1
    assert "Nothing was run or written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interruption_says_what_is_done_and_how_to_go_on(monkeypatch, tmp_path, capsys):
    real = schedulers.run_cells

    def interrupted(*given):
        cells = real(*given)
        yield next(cells)
        cells.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(schedulers, "run_cells", interrupted)
    file = write(tmp_path / "own.yaml", TABULAR, seeds=1)
    assert cli.main(["study", str(file), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 130
    error = capsys.readouterr().err
    assert "interrupted: 1 of 4 cells" in error
    assert "The same command goes on" in error


@pytest.mark.parametrize(("number", "text"), [(0, "1 MB"), (12e6, "12 MB"), (3.44e9, "3.4 GB"), (2e12, "2.0 TB")])
def test_sizes_are_said_in_words(number, text):
    assert size(number) == text


def td3(tmp_path, task="Pendulum-v1", **settings):
    content = {"title": "One run", "host": "sb3", "seeds": 1, "settings": settings, "tasks": {task: {}}}
    return outlook.outlook(resolve(study(content, arms={"td3": {}}), tmp_path), 1)


def test_what_an_update_takes_is_counted_for_every_update(tmp_path):
    small = {"timesteps_per_agent": 20_000, "net_arch": [64, 64], "batch_size": 64}
    once, often, rarely = (
        td3(tmp_path, **small, **more).seconds for more in ({}, {"gradient_steps": 20}, {"train_freq": 10})
    )
    assert 450 < often < 1800  # 45 ms a step were measured
    assert often > 8 * once
    assert rarely < once / 2


def test_networks_are_on_the_disk_and_images_take_a_time_that_is_not_known(tmp_path):
    short = {"timesteps_per_agent": 300}
    wide = td3(tmp_path, net_arch=[256, 256], **short).disk
    assert 3 * 3.3e6 < wide < 6 * 3.3e6  # model.zip, measured, and two checkpoints
    assert td3(tmp_path, net_arch=[1024, 1024], **short).disk > 10 * wide
    assert td3(tmp_path, "tests.cli.drawn_environments:Screen", **short).seconds is None


MEASURED = [("reference", None, 3.0), ("copies", "claim", 1.1), ("deciding", "size", 2.4)]
"""CPU hours of studies that were run, of one core."""


@pytest.mark.parametrize(("name", "scale", "hours"), MEASURED)
def test_a_plan_says_what_was_measured_within_the_bounds_that_it_names(name, scale, hours, tmp_path):
    config = load_study(name)
    config = config.at(scale) if scale else config
    if config.host == "epymarl":
        try:
            find()
        except UsageError:
            pytest.skip("needs a checkout of EPyMARL")
    seconds = outlook.outlook(resolve(config, tmp_path), 1).seconds
    assert hours / 2 <= seconds / 3600 <= hours * 2
