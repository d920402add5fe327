"""Steps in total that differ from seed to seed, what is decided from them, and for what the 5 % hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marl_pr_common.report import ReportContext
from marl_pr_common.report.build import build
from marl_pr_common.report.measure import measure
from marl_pr_common.report.sharing import equal_budgets
from marl_pr_common.results.stats import cut, paired_difference, steps_to_threshold, team_curves
from tests.report.tables import study

TASK = "Pendulum-v1"


def finishing(n_seeds=10, arms=("td3_pr",), spread=10):
    """Teams of three whose agents finish early: in seed s they took ``spread * s`` steps of 900 fewer."""
    results = study(n_seeds, {"td3_pr": 20.0, "td3_independent": 10.0}, [TASK])
    fewer = results["env_steps_per_agent"] // 300 * spread * results["seed"] * results["arm"].isin(arms)
    return results.assign(total_env_steps=results["total_env_steps"] - fewer)


def test_the_total_of_every_seed_is_kept():
    curves = team_curves(finishing(), "td3_pr", TASK)
    assert list(curves.last_totals) == [900 - 10 * seed for seed in range(10)]
    assert curves.total_env_steps[-1] == 855
    half = cut(curves, 250)
    np.testing.assert_array_equal(half.last_totals, np.rint((600 + curves.last_totals) / 2))
    reached = steps_to_threshold(curves, 55.0)
    at_end = reached.env_steps_per_agent == 300
    assert at_end.any()
    np.testing.assert_array_equal(reached.total_env_steps[at_end], curves.last_totals[at_end])
    steady = team_curves(finishing(), "td3_independent", TASK)
    assert steady.total_of_seeds is None
    assert set(steady.last_totals) == {900}


def test_a_team_of_which_only_the_team_has_rows_is_as_large_as_when_all_acted():
    results = finishing(spread=60)
    results = results[results["agent"] == 0].assign(agent=-1)
    assert team_curves(results, "td3_pr", TASK).n_agents == 3


def test_reports_give_a_range_over_seeds():
    document = build(finishing(), ReportContext())
    ours, theirs = document.setting[2:]
    assert "300 env steps per agent, 810 to 900 of all its agents together, depending on the run." in ours
    assert "300 env steps per agent, 900 of all its agents together, in each run." in theirs
    assert any("differ from run to run" in line for line in document.limits)
    assert document.tables[TASK][0].rows[0][4] == "810 to 900"


def test_tasks_of_different_sizes_are_no_arms_of_different_sizes():
    """Both arms are teams of three on one task, and of one on the other."""
    arms = {"td3_pr": 20.0, "td3_independent": 10.0}
    small = study(5, arms, ["Other-v1"]).query("agent == 0")
    small = small.assign(total_env_steps=small["env_steps_per_agent"])
    document = build(pd.concat([study(5, arms, [TASK]), small]), ReportContext())
    assert not any("same number of agents" in line for line in document.limits)
    assert any("same number of agents" in line for line in build(study(5), ReportContext()).limits)


def test_what_a_test_does_not_show_is_said_only_of_a_test():
    said = {seeds: " ".join(build(study(seeds), ReportContext()).limits) for seeds in (5, 10)}
    assert "An interval that contains 0" in said[10]
    assert "5 % of the test" in said[10]
    assert "An interval that contains 0" not in said[5]
    assert "5 % of the test" not in said[5]


@pytest.mark.parametrize(("arms", "differ"), [((), False), (("td3_pr", "td3_independent"), False), (("td3_pr",), True)])
def test_equal_per_agent_is_equal_in_total_only_if_the_totals_say_so(arms, differ):
    results = finishing(arms=arms)
    pair = equal_budgets(measure(results, ReportContext()).tasks[TASK], np.random.default_rng(0))
    assert len(pair) == (2 if differ else 0)
    said = " ".join(build(results, ReportContext()).sharing)
    assert ("equal steps per agent are equal steps in total" in said) is not differ
    if differ:
        assert [budget.budget for budget in pair] == [300, 855]
        assert pair[1].curves["td3_independent"].env_steps_per_agent[-1] == 285


def test_what_is_not_cut_has_one_interval_in_the_whole_report():
    task = measure(study(10), ReportContext()).tasks[TASK]
    _, total = equal_budgets(task, np.random.default_rng(0))
    assert total.intervals["td3"] is task.arms["td3"].intervals  # one agent ends at the budget of the cut
    assert total.intervals["td3_pr"] != task.arms["td3_pr"].intervals
    document = build(study(10), ReportContext())
    main = document.tables[TASK][0].rows[0]
    cut_table = next(table for table in document.sharing_tables if TASK in table.title and "together" in table.title)
    assert cut_table.rows[0][0] == main[0]
    assert cut_table.rows[0][3] == main[6]
    assert "[" in main[6]


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([TASK], "The 5 % of the test hold for this task and this budget."),
        (
            [TASK, "Hopper-v5"],
            "for each of the 2 tasks, and for each budget, on its own: among the differences of many",
        ),
    ],
)
@pytest.mark.few(1)
def test_the_limits_say_for_what_the_5_percent_hold(tasks, expected):
    document = build(study(10, tasks=tasks), ReportContext())
    assert sum(expected in line for line in document.limits) == 1


def test_steps_to_a_threshold_are_told_apart_by_the_same_test():
    """TD3PR rises twice as fast; nobody else reaches 25 before its budget ends, and counts with the whole of it."""
    results = study(10, {"td3_independent": 5.0, "td3_pr": 20.0, "twin": 5.0}, [TASK])
    measured = measure(results, ReportContext(thresholds={TASK: 25.0}))
    task = measured.tasks[TASK]
    found = task.differences["td3_pr", "steps"]
    steps = {arm: reached.env_steps_per_agent for arm, reached in task.reached.items()}
    alone = paired_difference(steps["td3_pr"], steps["td3_independent"], np.random.default_rng(0))
    assert (found.value, found.p_value) == (alone.value, alone.p_value)
    assert found.different
    assert found.high < 0
    assert set(steps["td3_independent"]) == {300}
    assert found.p_holm > found.p_value  # one family with final return and area
    document = build(results, ReportContext(thresholds={TASK: 25.0}))
    assert any("env steps per agent to the threshold, td3_pr, 3 agents minus" in line for line in document.differences)
    against = next(table for table in document.tables[TASK] if table.title.startswith("Against"))
    assert against.header[-1] == "env steps per agent to the threshold, difference"
    assert "counts with its whole budget" in against.note
