"""``marl-pr report``: reads results, and what lies beside them on disk."""

from __future__ import annotations

from marl_pr_common.cli import main
from marl_pr_common.report import context_of
from marl_pr_common.runs.provenance import record, record_resume
from marl_pr_common.runs.table import write_results
from tests.report.tables import study
from tests.report.test_report import text_of


def test_command_reads_runs_and_what_lies_beside_them(tmp_path, capsys):
    results = study(2, {"td3": 10.0, "td3_pr": 20.0}, ["Pendulum-v1"])
    for run, rows in results.groupby("run"):
        arm = rows["arm"].iloc[0]
        write_results(tmp_path / "runs" / run / "results.parquet", rows)
        settings = {"env": "Pendulum-v1", "pr": {"kappa": 0.5 if arm == "td3_pr" else 0.0}, "tau": 0.005}
        record(tmp_path / "runs" / run, settings, 0, arm=arm)
    out = tmp_path / "out"
    assert main(["report", str(tmp_path / "runs"), "--out", str(out), "--threshold", "5", "--title", "Mine"]) == 0
    assert str(out / "report.html") in capsys.readouterr().err
    text = text_of(out / "report.html")
    for expected in ("Mine", "Settings of the arms", "pr.kappa", "Steps to a return of 5", "tau: 0.005", "numpy"):
        assert expected in text
    context = context_of([tmp_path / "runs"])
    assert context.settings == {"td3": {"pr.kappa": 0.0}, "td3_pr": {"pr.kappa": 0.5}}
    assert main(["report", str(tmp_path / "nothing"), "--out", str(out)]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_what_holds_no_results_is_told_what_would_be_read(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.py").write_text("x = 1")
    for name, said in (("empty", "evaluations.npz"), ("mine.py", "holds no results. Give a run directory")):
        assert main(["report", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 2
        message = " ".join(capsys.readouterr().err.split())
        assert said in message
        assert "Remove it" not in message


def test_results_alone_say_that_nothing_else_is_known(tmp_path):
    write_results(tmp_path / "alone.parquet", study(2, {"td3": 10.0}, ["Pendulum-v1"]))
    assert main(["report", str(tmp_path / "alone.parquet"), "--out", str(tmp_path / "out")]) == 0
    text = text_of(tmp_path / "out" / "report.html")
    for expected in ("No run.json: versions and settings are unknown.", "The command is unknown."):
        assert expected in text


def test_runs_that_went_on_approximately_are_named(tmp_path):
    write_results(tmp_path / "run" / "results.parquet", study(1, {"td3": 10.0}, ["Pendulum-v1"]))
    record(tmp_path / "run", {}, 7, arm="td3")
    record_resume(tmp_path / "run", 100, "step-100", "")
    assert not any("approximately" in note for note in context_of([tmp_path]).notes)
    for step in (200, 300):
        record_resume(tmp_path / "run", step, f"step-{step}", "agent 0's Own has no state_dict")
    notes = [note for note in context_of([tmp_path]).notes if "approximately" in note]
    assert len(notes) == 1
    assert notes[0].endswith("(agent 0's Own has no state_dict): td3-seed7.")


def test_cells_that_are_not_done_are_left_out_and_counted_once(tmp_path):
    results = study(4, {"td3": 10.0}, ["Pendulum-v1"])
    for run, rows in results.groupby("run"):
        write_results(tmp_path / "cells" / run / "run" / "results.parquet", rows)
        if not run.endswith("3"):
            (tmp_path / "cells" / run / "DONE").touch()
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "summary.md").read_text()
    assert "1 of 4 runs were not run to their end and are missing: td3-Pendulum-v1-seed3." in text
    assert "3 seeds" in text
