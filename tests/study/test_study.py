"""A study from one YAML: run once, kept, extended, refused, and failing cells that stop no other."""

import json
import shutil

import pytest

from marl_pr_common.runs import RESULTS, read_results
from marl_pr_common.study.cell import DONE, is_done, read_manifest
from marl_pr_common.study.run import report_only, run_study
from tests.study.studies import TABULAR, console, run, said, study, write

TIMES = ["wall_time", "cpu_time"]
REPORT = ["report.html", "summary.md", RESULTS, "study.json"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that ran once, by the command."""
    folder = tmp_path_factory.mktemp("study")
    file, out = write(folder / "grids.yaml", TABULAR), folder / "out"
    return run(file, out), out, file


def stamps(out):
    return {
        path: path.stat().st_mtime_ns for path in sorted((out / "cells").rglob("*")) if path.name != "manifest.json"
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


def test_a_second_run_runs_nothing(finished):
    _, out, file = finished
    before = stamps(out)
    again = run(file, out)
    assert again.returncode == 0
    assert "8 of 8 cells are done and kept." in again.stderr
    assert stamps(out) == before


def test_seeds_and_arms_may_be_added_and_only_those_run(finished, tmp_path):
    _, old, _ = finished
    out = tmp_path / "out"
    shutil.copytree(old, out)
    before = stamps(out)
    screen = console()
    arms = {**TABULAR["arms"], "shared_table": {}}
    outcome = run_study(study(TABULAR, seeds=3, arms=arms), out, console=screen)
    assert len(outcome.done) == 18
    assert "8 of 18 cells are done and kept." in said(screen)
    assert before.items() <= stamps(out).items()
    assert read_results([out]).groupby(["arm", "task", "seed"]).ngroups == 18


def test_done_cells_of_other_settings_are_refused_and_nothing_changes(finished):
    _, out, _ = finished
    before = stamps(out), (out / "study.json").read_bytes()
    changed = study(TABULAR, settings={**TABULAR["settings"], "steps_per_agent": 700})
    with pytest.raises(
        ValueError, match=r"is done with other settings: plan.settings.steps_per_agent was 600 and is now 700"
    ):
        run_study(changed, out, console=console())
    assert before == (stamps(out), (out / "study.json").read_bytes())


def test_a_failing_cell_stops_no_other_and_its_log_is_named(tmp_path):
    out = tmp_path / "out"
    config = study(TABULAR, seeds=1)
    blocked = out / "cells" / "iql-Landmarks-2-seed0" / "run"
    (out / "study.json").parent.mkdir(parents=True)
    (out / "study.json").write_text("{}")
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the run wants its directory")
    (blocked.parent / "run.incomplete-1").mkdir()
    blocked.parent.chmod(0o755)
    screen = console()
    import marl_pr_common.study.processes as processes

    original = processes.command
    try:
        processes.command = lambda path: original(path) if "iql-Landmarks" not in str(path) else ["false"]
        outcome = run_study(config, out, console=screen)
    finally:
        processes.command = original
    assert outcome.failed == ("iql-Landmarks-2-seed0",)
    assert len(outcome.done) == 3
    assert "iql-Landmarks-2-seed0 FAILED" in said(screen)
    assert "log.txt" in said(screen)
    text = (out / "summary.md").read_text()
    assert "iql-Landmarks-2-seed0" in text
    assert "failed" in text


def test_results_that_were_altered_after_done_are_left_out(finished, tmp_path):
    _, old, _ = finished
    out = tmp_path / "out"
    shutil.copytree(old, out)
    name = "iql-Landmarks-2-seed0"
    file = out / "cells" / name / "run" / RESULTS
    file.write_bytes(file.read_bytes()[:100])
    report_only(study(TABULAR), out)
    assert name not in set(read_results([out / RESULTS])["run"])
    assert name in (out / "summary.md").read_text()


def test_half_a_manifest_beside_no_done_is_written_anew(finished, tmp_path):
    _, old, _ = finished
    out = tmp_path / "out"
    shutil.copytree(old, out)
    cell = out / "cells" / "iql-Landmarks-2-seed0"
    (cell / DONE).unlink()
    (cell / "manifest.json").write_text('{"name": "iq')
    assert not run_study(study(TABULAR), out, console=console()).failed
    assert is_done(cell)


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
def test_mistakes_on_the_command_line_are_one_line(tmp_path, options, message):
    done = run(write(tmp_path / "grids.yaml", TABULAR), tmp_path / "out", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_study_says_how_it_was_run(finished):
    _, out, _ = finished
    content = json.loads((out / "study.json").read_text())
    assert content["config"]["settings"] == TABULAR["settings"]
    assert content["times"][0]["versions"]["numpy"]
    assert "marl_pr_common.cli study" in content["times"][0]["command"]
