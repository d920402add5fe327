"""A study from one YAML: run once, kept, extended, refused, and failing cells that stop no other."""

import hashlib
import json
import shutil
import sys
from dataclasses import replace

import pytest

from marl_pr_common.cli import main
from marl_pr_common.runs.table import RESULTS, read_results, write_results
from marl_pr_common.study import processes
from marl_pr_common.study.cell import DONE, is_done, read_manifest, write_manifest
from marl_pr_common.study.plan import resolve
from marl_pr_common.study.run import report_only, run_study
from tests.study.studies import NETWORKS, TABULAR, console, said, study, write

TIMES = ["wall_time", "cpu_time"]
REPORT = ["report.html", "summary.md", RESULTS, "study.json"]


def stamps(out):
    return {
        path: path.stat().st_mtime_ns
        for path in sorted((out / "cells").rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def test_one_command_runs_it_and_leaves_the_report(finished):
    done, out, _ = finished
    assert done.returncode == 0, done.stderr
    assert all((out / name).is_file() for name in REPORT)
    cells = [path for path in (out / "cells").iterdir() if path.is_dir()]
    assert len(cells) == 8
    assert all(is_done(path) for path in cells)
    assert [line for line in done.stderr.splitlines() if "[8/8]" in line and "env steps/s" in line]
    results = read_results([out])
    assert results.groupby(["arm", "task", "seed"]).ngroups == 8
    assert set(results["run"]) == {path.name for path in cells}
    assert read_manifest(cells[0]).host == "tabular"


def test_light_cells_share_a_process_and_each_has_its_own_log_and_command(finished):
    _, out, _ = finished
    cells = sorted(path for path in (out / "cells").iterdir() if path.is_dir())
    for path in cells:
        assert json.loads((path / "run" / "run.json").read_text())["command"].endswith(f"study.cell {path}")


SAC = {**NETWORKS["settings"], "timesteps_per_agent": 70, "eval_every": 70}


@pytest.mark.slow
def test_arms_of_sac_and_cells_of_an_earlier_release(tmp_path, in_process):
    arms = {"sac": {}, "sac_pr": {}, "sac_own_critics": {}}
    out = tmp_path / "out"
    run_study(study(NETWORKS, seeds=1, settings=SAC, arms=arms), out, console=console())
    assert read_results([out]).query("metric == 'eval/return'").groupby("arm")["agent"].nunique().to_dict() == {
        "sac": 1,
        "sac_pr": 2,
        "sac_own_critics": 2,
    }
    for path in (path.parent for path in (out / "cells").glob("*/DONE")):  # as by a release that lacked some settings
        manifest = read_manifest(path)
        settings = json.loads(json.dumps(manifest.plan.settings))
        del settings["env_kwargs"], settings["pr"]["trust"]
        write_manifest(path, replace(manifest, plan=replace(manifest.plan, settings=settings)))
    screen = console()
    run_study(study(NETWORKS, seeds=1, settings=SAC, arms=arms), out, console=screen)
    assert "3 of 3 cells are done and kept." in said(screen)
    changed = study(NETWORKS, seeds=1, settings={**SAC, "pr": {"trust": "td"}}, arms={"sac_pr": {}})
    with pytest.raises(ValueError, match=r"other settings: plan.settings.pr.trust was 'uniform' and is now 'td'\."):
        run_study(changed, out, console=console())


def test_a_second_run_runs_nothing(finished, in_process):
    _, out, _ = finished
    before, screen = stamps(out), console()
    assert not run_study(study(TABULAR), out, console=screen).failed
    assert "8 of 8 cells are done and kept." in said(screen)
    assert stamps(out) == before


def test_arms_may_be_added_and_tasks_left_out_and_only_what_is_missing_runs(finished, tmp_path, in_process):
    _, old, _ = finished
    out = tmp_path / "out"
    shutil.copytree(old, out)
    before = stamps(out)
    screen = console()
    arms = {**TABULAR["arms"], "shared_table": {}}
    tasks = {"Landmarks-2": {}}
    outcome = run_study(study(TABULAR, arms=arms, tasks=tasks), out, console=screen)
    assert len(outcome.done) == 6
    assert "4 of 6 cells are done and kept." in said(screen)
    assert before.items() <= stamps(out).items()
    assert read_results([out]).groupby(["arm", "task", "seed"]).ngroups == 6


def test_done_cells_of_other_settings_are_refused_and_nothing_changes(finished):
    _, out, _ = finished
    before = stamps(out), (out / "study.json").read_bytes()
    changed = study(TABULAR, settings={**TABULAR["settings"], "steps_per_agent": 700})
    with pytest.raises(
        ValueError, match=r"is done with other settings: plan.settings.steps_per_agent was 600 and is now 700"
    ):
        run_study(changed, out, console=console())
    assert before == (stamps(out), (out / "study.json").read_bytes())


def test_cells_that_an_earlier_version_evaluated_otherwise_are_reported_on_and_not_mixed(tmp_path):
    config = study(TABULAR, seeds=1)
    run_study(config, tmp_path, console=console())
    for path in tmp_path.glob("cells/*/manifest.json"):
        manifest = json.loads(path.read_text())
        manifest["plan"]["evaluation"] = "two episodes"
        path.write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"evaluated otherwise, by an earlier version: 'two episodes'.*--report-only"):
        run_study(config, tmp_path, console=console())
    assert len(report_only(config, tmp_path).done) == 4


@pytest.mark.parametrize(
    ("fault", "said_last"),
    [
        ("raise OSError('no space left')", "OSError: no space left (exit code 1)"),
        ("import os; os.write(2, b'out of memory'); os._exit(9)", "out of memory (exit code 9)"),
    ],
)
@pytest.mark.few(1)
def test_a_failing_cell_stops_no_other_and_its_log_is_named(tmp_path, monkeypatch, request, fault, said_last):
    """One that ends the process which it shares with others, too."""
    out, name = tmp_path / "out", "iql-Landmarks-2-seed0"
    program = f"""
import sys
from marl_pr_common.study import cell
real = cell.run
def run(path):
    if path.name == {name!r}:
        {fault}
    real(path)
cell.run = run
sys.exit(cell.main(["--serve"]))
"""
    monkeypatch.setattr(processes, "serving", lambda: [sys.executable, "-c", program])
    screen = console()
    small = study(TABULAR, seeds=1, tasks={"Landmarks-2": {}})
    outcome = run_study(small, out, console=screen)
    assert outcome.failed == (name,)
    assert len(outcome.done) == 1
    assert f"{name} FAILED: {said_last} (log: {out / 'cells' / name / 'log.txt'})" in said(screen)
    text = (out / "summary.md").read_text()
    assert f"{name} ({said_last})" in text
    assert f"cells/{name}/log.txt" in text
    monkeypatch.undo()
    request.getfixturevalue("in_process")
    assert not run_study(small, out, console=console()).failed


FAMILIES = {"iql": {}, "iql_pr_decision": {"reference": "iql_pr_decision", "label": "IQL+PR"}}


def test_every_reference_has_a_report_of_its_own_and_old_ones_go(finished, tmp_path, in_process):
    _, old, _ = finished
    out = tmp_path / "out"
    shutil.copytree(old, out)
    found = report_only(study(TABULAR, arms=FAMILIES), out)
    assert found.reports == (out / "iql" / "report.html", out / "iql_pr_decision" / "report.html")
    assert not (out / "report.html").exists()
    assert 'href="iql_pr_decision/report.html"' in (out / "index.html").read_text()
    assert "IQL+PR" not in (out / "iql" / "summary.md").read_text()


def test_a_family_whose_runs_all_diverged_does_not_take_the_others_with_it(finished, tmp_path, in_process):
    _, old, _ = finished
    out = tmp_path / "out"
    shutil.copytree(old, out)
    for directory in (out / "cells").glob("iql-*"):
        file = directory / "run" / RESULTS
        write_results(file, read_results([file]).assign(value=float("nan")))
        (directory / DONE).write_text(json.dumps({"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}))
    found = report_only(study(TABULAR, arms=FAMILIES), out)
    assert found.reports == (out / "iql_pr_decision" / "report.html",)
    assert "iql and its arms: no run is done that did not diverge" in found.refused


def test_the_report_is_of_the_settings_that_were_run(finished):
    _, out, _ = finished
    with pytest.raises(ValueError, match="eval_every was 200 and is now 300"):
        report_only(study(TABULAR, settings={**TABULAR["settings"], "eval_every": 300}), out)


def test_another_directory_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds no study"):
        run_study(study(TABULAR), tmp_path, console=console())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--jobs", "0"), "jobs=0: expected an integer >= 1"),
        (("--scale", "huge"), "scale='huge': this study has no scales"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.delenv("MARL_PR_DEBUG", raising=False)
    file = write(tmp_path / "grids.yaml", TABULAR)
    assert main(["study", str(file), "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_study_says_how_it_was_run(finished):
    _, out, _ = finished
    content = json.loads((out / "study.json").read_text())
    assert content["config"]["settings"] == TABULAR["settings"]
    assert content["times"][0]["versions"]["numpy"]
    assert "marl_pr_common.cli study" in content["times"][0]["command"]


@pytest.mark.slow  # tests/study/test_shared_cells.py has it for tables
def test_networks_that_share_a_process_learn_as_in_one_of_their_own(tmp_path):
    out, alone = tmp_path / "out", tmp_path / "alone"
    assert not run_study(study(NETWORKS, seeds=1), out, jobs=1, console=console()).failed
    for cell in resolve(study(NETWORKS, seeds=1), alone):
        write_manifest(cell.directory, cell.manifest)
        assert processes.run_cell(str(cell.directory)).state == "done"
        found = [read_results([where / "cells" / cell.name / "run"]).drop(columns=TIMES) for where in (out, alone)]
        assert found[0].equals(found[1])
