"""Returns that are published for the plain algorithms, and what our hosts reach."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from marl_pr_common.cli import main
from marl_pr_common.runs.table import read_results

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "benchmarks" / "reference_table.py"


@pytest.mark.parametrize("study", ["reference", "reference_sac"])
def test_every_number_of_a_summary_comes_from_the_results_beside_it(tmp_path, in_process, study):
    shipped = ROOT / "docs" / "results" / study
    assert main(["report", str(shipped), "--study", study, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "summary.md").read_text() == (shipped / "summary.md").read_text()


def test_the_table_of_the_page_comes_from_the_results(tmp_path):
    page = ROOT / "docs" / "reference.md"
    copy = tmp_path / "reference.md"
    copy.write_text(re.sub(r"\d{4} \[\d+", "1 [0", page.read_text()))
    assert copy.read_text() != page.read_text()
    subprocess.run([sys.executable, TABLE, ROOT / "docs" / "results", "--write", copy], check=True)
    assert copy.read_text() == page.read_text()


@pytest.mark.parametrize("marks", ["", "<!-- /reference -->", "<!-- reference -->\n<!-- /reference -->"])
def test_a_page_without_the_marks_or_with_two_keeps_what_it_holds(tmp_path, marks):
    copy = tmp_path / "reference.md"
    copy.write_text(f"before\n{marks}\n{marks}\nafter")
    command = [sys.executable, TABLE, ROOT / "docs" / "results", "--write", copy]
    assert "once" in subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert copy.read_text() == f"before\n{marks}\n{marks}\nafter"


@pytest.mark.slow
def test_td3_with_its_authors_settings_holds_both_poles_up(tmp_path, in_process):
    """Three seeds that arrive, wide limits: 9,300 is the published end, 70 an untrained agent."""
    study = yaml.safe_load((ROOT / "configs" / "studies" / "reference.yaml").read_text())
    task = "InvertedDoublePendulum-v5"
    study |= {"seeds": [50, 51, 52], "tasks": {task: study["tasks"][task]}}
    (tmp_path / "reference.yaml").write_text(yaml.safe_dump(study))
    assert (
        main(["study", str(tmp_path / "reference.yaml"), "--out", str(tmp_path / "run"), "--jobs", "1", "--yes"]) == 0
    )
    returns = read_results([tmp_path / "run"]).query("metric == 'eval/return' and env_steps_per_agent == 20000")
    assert len(returns) == 3
    assert returns["value"].median() > 8000
