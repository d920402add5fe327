"""The first lines: a verdict per arm and task, reciprocity first; what has not learnt, fell, stopped or is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from marl_pr_common.report import ReportContext, context_of, write_index
from marl_pr_common.report import measure as measuring
from marl_pr_common.report.build import build
from marl_pr_common.report.document import Document
from marl_pr_common.report.measure import measure
from marl_pr_common.report.numbers import two
from marl_pr_common.report.verdicts import ordered
from marl_pr_common.report.wording import conclusion
from marl_pr_common.runs.status import Status, write_status
from marl_pr_common.runs.table import write_results
from tests.report.tables import study

TASK = "Pendulum-v1"
NOTHING = ReportContext()
ARMS = {"td3_independent": 10.0, "td3_shared_replay": 10.0, "td3_pr": 20.0}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Bands are none of these tests' business."""
    monkeypatch.setattr(measuring, "N_RESAMPLES", 20)
    monkeypatch.setattr("marl_pr_common.report.scoring.N_RESAMPLES", 20)


def first_lines(results, context=NOTHING):
    return conclusion(measure(results, context), context)


def document_of(results, monkeypatch, context=NOTHING) -> Document:
    """A report without figures."""
    monkeypatch.setattr("marl_pr_common.report.drawings.draw", lambda measured, context: [])
    return build(results, context)


def test_reciprocity_comes_first_and_the_test_decides(monkeypatch):
    document = document_of(study(10, ARMS, [TASK]), monkeypatch)
    found = measure(study(10, ARMS, [TASK]), ReportContext()).tasks[TASK].differences["td3_pr", "final"]
    first = document.conclusion[0]
    assert first.startswith("td3_pr, 3 agents against td3_independent, 3 agents: final return higher on Pendulum-v1 (+")
    assert f"+{two(found.value)} [+{two(found.low)}, +{two(found.high)}]" in first
    assert first.endswith("10 seeds, 300 env steps per agent, 900 in total.")
    assert document.verdicts is not None
    (ours, _, final, *_, seeds, steps), (theirs, _, control, *_) = document.verdicts.rows
    assert (ours, theirs) == ("td3_pr, 3 agents", "td3_shared_replay, 3 agents")
    assert final.startswith("higher: +")
    assert control.startswith("not shown: ")
    assert (seeds, steps) == ("10", "300 / 900")


@pytest.mark.parametrize(
    "context",
    [
        ReportContext(settings={"a": {"pr_kappa": 0.0}, "b": {"pr_kappa": 0.0}, "c": {"pr_kappa": 0.5}}),
        ReportContext(labels={"a": "QMIX", "b": "QMIX, prioritised", "c": "QMIX+PR"}),
    ],
)
def test_reciprocity_that_the_names_of_arms_do_not_tell(context):
    results = study(2, {"a": 1.0, "b": 1.0, "c": 1.0}, [TASK])
    assert ordered(measure(results, context), context) == ["c", "b"]


def test_below_ten_seeds_there_is_no_verdict(monkeypatch):
    document = document_of(study(9, ARMS, [TASK]), monkeypatch)
    assert "9 seeds: no verdict on Pendulum-v1" in document.conclusion[0]
    assert document.verdicts is not None
    assert all(row[2].startswith("9 seeds: no verdict (mean ") for row in document.verdicts.rows)


@pytest.mark.parametrize("n_seeds", [3, 10])
def test_a_reference_that_has_not_learnt_is_named_in_the_first_line(n_seeds):
    flat = first_lines(study(n_seeds, {"td3": 0.0, "td3_pr": 20.0}, [TASK]))
    assert flat[0].startswith("The reference has not learnt: td3, 1 agent on Pendulum-v1 (first: untrained; ")
    learnt = first_lines(study(n_seeds, {"td3": 10.0, "td3_pr": 20.0}, [TASK]))
    assert not any("has not learnt" in line for line in learnt)
    assert any("The reference has learnt: td3, 1 agent on Pendulum-v1" in line for line in learnt)


def test_whether_it_has_learnt_counts_from_a_first_evaluation_that_is_named():
    results = study(10, ARMS, [TASK])
    late = first_lines(results[results["env_steps_per_agent"] > 0])
    assert any("(first: after 100 env steps; +20 [" in line for line in late)
    single = first_lines(results[results["env_steps_per_agent"] == 300])
    assert any("One evaluation only on Pendulum-v1" in line for line in single)


def test_what_is_worse_than_untrained_is_said():
    lines = first_lines(study(10, {"td3": 10.0, "td3_pr": -10.0}, [TASK]))
    assert any(line.startswith("Worse than untrained: td3_pr, 3 agents on Pendulum-v1 (-30 [") for line in lines)


def test_what_failed_diverged_or_is_missing_is_counted_first():
    results = study(5, {"td3": 10.0, "td3_pr": 20.0}, [TASK])
    broken = results.assign(value=results["value"].where(results["run"] != f"td3-{TASK}-seed1", np.nan))
    context = ReportContext(failed=[("x", "x.log")], missing=list("abcdef"), exclude=[f"td3-{TASK}-seed1"])
    lines = first_lines(broken, context)
    assert "1 of 17 runs failed: x." in lines
    assert f"1 of 17 runs diverged and are left out: td3-{TASK}-seed1." in lines
    assert "6 of 17 runs were not run to their end and are missing: a, b, c, d and 2 more." in lines


def test_a_stopped_run_is_no_result_like_others(tmp_path):
    results = study(1, {"td3": 10.0}, [TASK])
    write_results(tmp_path / "run" / "results.parquet", results)
    write_status(tmp_path / "run", Status("stopped", 300, 3_000_000))
    (tmp_path / "cells" / "never").mkdir(parents=True)
    context = context_of([tmp_path])
    assert context.missing == ["never"]
    lines = first_lines(results, context)
    assert any("stopped at 300 of 3,000,000 env steps in total: it is unfinished." in line for line in lines)


def test_one_agent_needs_no_words_for_teams(monkeypatch):
    results = study(10, {"td3": 10.0}, [TASK])
    both = pd.concat([results, results.assign(arm="mine", run="mine" + results["run"])])
    document = document_of(both, monkeypatch, ReportContext(thresholds={TASK: 5.0}))
    texts = [*document.conclusion, *document.setting[2:], *document.limits, *document.sharing, *document.differences]
    tables = [table for table in (document.verdicts, *document.tables[TASK]) if table]
    texts += [cell for table in tables for row in (table.header, *table.rows) for cell in row]
    assert not [text for text in texts if "agent" in text]
    assert document.setting[-1] == "mine: 10 seeds; 300 env steps."
    assert any("env steps to the threshold" in text for text in texts)


def test_a_threshold_that_nobody_reached_is_a_sentence():
    results = study(2, {"td3": 10.0, "td3_pr": 20.0}, [TASK])
    document = build(results, ReportContext(thresholds={TASK: 1e6}))
    assert "steps_to_threshold" not in {drawing.name for drawing in document.drawings}
    (line,) = document.undrawn
    assert line.startswith("Pendulum-v1: no seed of any arm reached a return of 1000000")


def test_an_index_leads_to_every_report(tmp_path, monkeypatch):
    document = document_of(study(2, ARMS, [TASK]), monkeypatch)
    other = replace(document, reference="<DDPG>")
    text = write_index(tmp_path, "Study", "Asked?", {"td3 a": document, "ddpg": other}).read_text()
    assert 'href="td3%20a/report.html"' in text
    assert "Compared with &lt;DDPG&gt;" in text
    assert document.conclusion[0] in text
