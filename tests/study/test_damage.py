"""What a crash, a killed process or a diverged run leaves: left out by name, kept, run again."""

import hashlib
import json
import shutil

import pytest

from marl_pr_common.runs.table import RESULTS, read_results, write_results
from marl_pr_common.study.cell import DONE, is_done
from marl_pr_common.study.run import report_only, run_study
from tests.study.studies import TABULAR, console, study

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.mark.slow
def test_a_diverged_cell_is_left_out_by_name_and_the_rest_is_reported(finished, tmp_path):
    _, old, _ = finished
    out, name = tmp_path / "out", "iql-Landmarks-2-seed0"
    shutil.copytree(old, out)
    file = out / "cells" / name / "run" / RESULTS
    results = read_results([file])
    results.loc[results.index[-1], "value"] = float("nan")
    write_results(file, results)
    (out / "cells" / name / DONE).write_text(json.dumps({"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}))
    report_only(study(TABULAR), out)
    assert name in (out / "summary.md").read_text()
    assert read_results([out / RESULTS])["value"].isna().sum() == 1


@pytest.mark.parametrize(
    "damage",
    [
        "truncated",
        *(pytest.param(of, marks=pytest.mark.slow) for of in ("deleted", "no DONE that can be read", "half a status")),
    ],
)
@pytest.mark.slow
def test_damaged_results_are_left_out_and_run_again(finished, tmp_path, damage):
    _, old, _ = finished
    out, name = tmp_path / "out", "iql-Landmarks-2-seed0"
    shutil.copytree(old, out)
    file = out / "cells" / name / "run" / RESULTS
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "deleted":
        file.unlink()
    elif damage == "half a status":
        (out / "cells" / name / DONE).unlink()
        file.with_name("status.json").write_text('{"state": "comp')
    else:
        (out / "cells" / name / DONE).write_text("")
    report_only(study(TABULAR), out)
    assert name not in set(read_results([out / RESULTS])["run"])
    assert name in (out / "summary.md").read_text()
    assert len(run_study(study(TABULAR), out, console=console()).done) == 8
    assert name in set(read_results([out / RESULTS])["run"])
    assert list((out / "cells" / name).glob("run.incomplete-*")), "what was there is kept"


@pytest.mark.slow
def test_done_without_a_manifest_is_refused(finished, tmp_path):
    _, old, _ = finished
    out = tmp_path / "out"
    shutil.copytree(old, out)
    (out / "cells" / "iql-Landmarks-2-seed0" / "manifest.json").unlink()
    with pytest.raises(ValueError, match="has DONE, but no manifest.json"):
        run_study(study(TABULAR), out, console=console())


def test_a_study_killed_while_it_writes_its_manifests_goes_on(tmp_path, monkeypatch):
    def killed(directory, manifest):
        raise KeyboardInterrupt

    monkeypatch.setattr("marl_pr_common.study.run.write_manifest", killed)
    small = study(TABULAR, seeds=1, tasks={"Landmarks-2": {}}, arms={"iql": {}})
    with pytest.raises(KeyboardInterrupt):
        run_study(small, tmp_path / "out", console=console())
    monkeypatch.undo()
    assert run_study(small, tmp_path / "out", console=console()).done == ("iql-Landmarks-2-seed0",)


@pytest.mark.slow
def test_half_a_manifest_beside_no_done_is_written_anew(finished, tmp_path):
    _, old, _ = finished
    out = tmp_path / "out"
    shutil.copytree(old, out)
    cell = out / "cells" / "iql-Landmarks-2-seed0"
    (cell / DONE).unlink()
    (cell / "manifest.json").write_text('{"name": "iq')
    assert not run_study(study(TABULAR), out, console=console()).failed
    assert is_done(cell)
