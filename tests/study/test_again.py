"""The report of a study from its results alone, as the results in docs/results are reported on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from marl_pr_common.cli import main
from marl_pr_common.runs.table import read_results, write_results

RESULTS = Path(__file__).parents[2] / "docs" / "results"


@pytest.mark.parametrize(
    "name, reports",
    [
        ("controls", ["."]),
        ("deciding", ["."]),
        ("copies", ["."]),
        ("fig5_cheetah", ["."]),
        ("deciding_unlike", ["."]),
        ("deciding_held_out", ["."]),
        ("deciding_foraging", ["."]),
        ("deciding_foraging_tuning", ["."]),
        ("fig6_3m", ["."]),
        ("fig7b_3m", ["."]),
        ("fig7c_3m", ["."]),
        ("fig5_ddpg", ["."]),
        ("voices", ["."]),
        ("fig8", ["maddpg_ns", "maptf", "dvm"]),
    ],
)
@pytest.mark.few(1)
def test_every_number_of_a_shipped_summary_comes_from_the_results_beside_it(tmp_path, in_process, name, reports):
    assert main(["report", str(RESULTS / name), "--study", name, "--out", str(tmp_path)]) == 0
    assert {path.parent for path in tmp_path.glob("**/report.html")} == {tmp_path / report for report in reports}
    assert (tmp_path / "index.html").exists() == (len(reports) > 1)
    for report in reports:
        made, shipped = ((folder / report / "summary.md").read_text() for folder in (tmp_path, RESULTS / name))
        assert made == shipped


@pytest.mark.parametrize("name", ["deciding", "deciding_held_out"])
def test_deciding_against_its_own_ensemble_comes_from_the_same_results(tmp_path, in_process, name):
    shipped = RESULTS / name / "own_ensemble" / "summary.md"
    title = shipped.read_text().partition("\n")[0].removeprefix("# ")
    command = ["report", str(RESULTS / name / "results.parquet"), "--reference", "iql_ns_deciding_own_critics"]
    assert main([*command, "--title", title, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "summary.md").read_text() == shipped.read_text()


@pytest.mark.parametrize(
    "change, options, named",
    [
        (("arm", "td4_pr"), (), "arm 'td4_pr' is none of this study's"),
        (("task", "Pendulum-v2"), (), "task 'Pendulum-v2' is none of this study's"),
        (None, ("--threshold", "3"), "--threshold 3.0: not with --study"),
    ],
)
def test_what_is_not_the_studys_is_named(tmp_path, capsys, change, options, named):
    results = read_results([RESULTS / "controls" / "results.parquet"])
    if change:
        column, name = change
        results[column] = name
    write_results(tmp_path / "results.parquet", results)
    command = ["report", str(tmp_path / "results.parquet"), "--study", "controls", "--out", str(tmp_path), *options]
    assert main(command) == 2
    assert named in capsys.readouterr().err


@pytest.mark.slow
def test_the_tables_of_figure_4_come_from_the_results_beside_them(tmp_path):
    page, script = RESULTS.parent / "tabular.md", RESULTS.parents[1] / "benchmarks" / "fig4_tables.py"
    copy = tmp_path / "tabular.md"
    copy.write_text(page.read_text().replace(" of 20 |", " of 2 |"))
    subprocess.run([sys.executable, script, RESULTS / "fig4", "--write", copy], check=True)
    assert copy.read_text() == page.read_text()
