"""An arm of one agent with the steps of a team: compared at equal data, and said to be."""

from __future__ import annotations

import pandas as pd
import pytest

from marl_pr_common.report import ReportContext
from marl_pr_common.report.build import build
from marl_pr_common.report.measure import measure
from marl_pr_common.results.comparable import NotComparableError, comparable
from tests.report.tables import study

TASK = "Pendulum-v1"


def three_arms(n_seeds=10):
    """A team of three with 300 steps each, one agent with 300, and one with 900."""
    found = study(n_seeds, {"td3_pr": 20.0, "td3": 10.0}, [TASK])
    alone = found[found["arm"] == "td3"]
    longer = alone.assign(
        arm="td3_all_steps",
        run=alone["run"].str.replace("td3", "td3_all_steps"),
        env_steps_per_agent=3 * alone["env_steps_per_agent"],
        total_env_steps=3 * alone["total_env_steps"],
    )
    return pd.concat([found, longer])


def test_every_arm_must_have_the_references_budget_in_one_count():
    assert comparable(three_arms(), reference="td3_pr").notes == comparable(three_arms()).notes == ()
    for reference in ("td3", "td3_all_steps"):
        with pytest.raises(NotComparableError, match="budget.*td3: 300 env steps per agent, 300 in total.*900"):
            comparable(three_arms(), reference=reference)


@pytest.mark.parametrize("n_seeds", [3, 10])
def test_the_report_says_that_only_the_total_is_equal(n_seeds):
    document = build(three_arms(n_seeds), ReportContext(reference="td3_pr"))
    expected = "td3_all_steps, 1 agent: 900 env steps per agent against 300, equal in total (900)"
    (line,) = [line for line in document.conclusion if expected in line]
    assert "equal data" in line
    scores, against = document.tables[TASK][:2]
    assert {row[0]: tuple(row[3:5]) for row in scores.rows} == {
        "td3_pr, 3 agents": ("300", "900"),
        "td3, 1 agent": ("300", "300"),
        "td3_all_steps, 1 agent": ("900", "900"),
    }
    assert [row[0] for row in against.rows] == [
        "td3, 1 agent",
        "td3_all_steps, 1 agent (900 env steps per agent against 300, equal in total (900))",
    ]
    said = [line for line in document.differences if "td3_all_steps" in line]
    assert len(said) == (2 if n_seeds == 10 else 0)
    assert all("(900 env steps per agent against 300, equal in total (900))" in line for line in said)
    assert not any("equal in total" in line for line in build(study(n_seeds), ReportContext()).conclusion)


def test_steps_per_agent_to_a_threshold_are_not_told_apart_where_they_are_other_steps():
    task = measure(three_arms(), ReportContext(reference="td3_pr", thresholds={TASK: 25.0})).tasks[TASK]
    assert [arm for arm, score in task.differences if score == "steps"] == ["td3"]
    assert set(task.reached) == {"td3", "td3_pr", "td3_all_steps"}
