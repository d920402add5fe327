"""What cannot be compared is refused with every difference named; what is incomplete is left out with a note."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marl_pr_common.results.comparable import NotComparableError, comparable
from marl_pr_common.results.stats import TeamCurves, area_under_curve, scores, team_curves
from marl_pr_common.results.stats.scores import Scores


def flat(arm, seed, agent, steps):
    return float(seed)


def change(results, arm, **columns):
    """``results`` with other values in the rows of one arm."""
    mine = results["arm"] == arm
    values = {name: results[name].mask(mine, value) for name, value in columns.items()}
    return results.assign(**values)


def test_arms_of_equal_steps_per_agent_are_compared_and_so_are_those_of_equal_total(make_results):
    results = make_results(flat, 5)
    assert comparable(results).notes == ()
    pd.testing.assert_frame_equal(comparable(results).results, results)
    per_agent = make_results(flat, 5, arms=["td3_pr"], steps=(0, 100, 200))
    single = make_results(flat, 5, arms=["td3"], steps=(0, 300, 600))
    assert comparable(pd.concat([single, per_agent])).notes == ()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"engine": "stable-baselines3 2.7.0"}, r"engine.*td3: 'stable-baselines3 2.9.2'.*td3_pr: '.*2.7.0'"),
        ({"engine": "epymarl cbc38c0"}, r"engine.*td3_pr: 'epymarl cbc38c0'"),
        ({"task": "Pendulum-v0"}, r"version of Pendulum.*Pendulum-v1: td3; Pendulum-v0: td3_pr"),
        ({"evaluation": "5 episodes"}, r"evaluation.*td3_pr: '5 episodes'"),
    ],
)
def test_another_engine_version_or_evaluation_is_refused_by_name(make_results, columns, message):
    with pytest.raises(NotComparableError, match=message):
        comparable(change(make_results(flat, 5), "td3_pr", **columns))


def test_another_budget_is_refused_and_both_counts_are_named(make_results):
    longer = make_results(flat, 5, arms=["td3"], steps=(0, 100, 200, 300, 400))
    results = pd.concat([longer, make_results(flat, 5, arms=["td3_pr"])])
    with pytest.raises(NotComparableError, match=r"td3: 400 env steps per agent, 400 in total; td3_pr: 200.*600 in"):
        comparable(results)


def test_every_difference_is_named_at_once(make_results):
    longer = make_results(flat, 5, arms=["td3"], steps=(0, 100, 200, 300, 400))
    other = change(make_results(flat, 5, arms=["td3_pr"]), "td3_pr", engine="sb3 1", evaluation="1 episode")
    with pytest.raises(NotComparableError) as caught:
        comparable(pd.concat([longer, other]))
    assert [name for name in ("engine", "evaluation", "budget") if f"- {name} on Pendulum-v1" in str(caught.value)] == [
        *("engine", "evaluation", "budget")
    ]
    assert "Run them alike" in str(caught.value)


def test_seeds_of_one_arm_from_two_engines_are_refused(make_results):
    results = make_results(flat, 5)
    mixed = results.assign(engine=results["engine"].mask(results["run"] == "td3-seed3", "stable-baselines3 2.7.0"))
    with pytest.raises(NotComparableError, match=r"td3: 'stable-baselines3 2.7.0' and 'stable-baselines3 2.9.2'"):
        comparable(mixed)


def test_arms_may_be_evaluated_at_steps_that_never_meet(make_results):
    def at(arm, steps):
        return make_results(flat, 5, arms=[arm], steps=steps)

    for theirs in ((10, 110, 210), (52, 151, 253), (83, 166, 249)):  # read off at common ones: test_lined_up.py
        assert comparable(pd.concat([at("td3", (50, 150, 250)), at("td3_pr", theirs)])).notes == ()


def test_unknown_evaluation_is_said_and_not_refused(make_results):
    notes = comparable(change(make_results(flat, 5), "td3", evaluation="")).notes
    assert any("How td3 was evaluated on Pendulum-v1 is not recorded" in note for note in notes)


def test_a_diverged_run_is_refused_until_it_is_named(make_results):
    def curve(arm, seed, agent, steps):
        return np.nan if (arm, seed, steps) == ("td3_pr", 1, 200) else 1.0

    results = make_results(curve, 5)
    with pytest.raises(ValueError, match=r"not finite in td3_pr-seed1 \(from 200 steps.*exclude=\['td3_pr-seed1'\]"):
        comparable(results)
    checked = comparable(results, exclude=["td3_pr-seed1"])
    assert "td3_pr-seed1" not in set(checked.results["run"])
    assert "Run td3_pr-seed1 was left out by request." in checked.notes
    assert any("td3_pr on Pendulum-v1 lacks seed 1" in note for note in checked.notes)
    with pytest.raises(ValueError, match=r"'td3_pr-seed11'.*Did you mean 'td3_pr-seed1'"):
        comparable(results, exclude=["td3_pr-seed11"])


def test_an_unfinished_run_is_left_out_and_a_longer_one_is_cut(make_results):
    results = make_results(flat, 5)
    shorter = results[~((results["run"] == "td3-seed4") & (results["env_steps_per_agent"] == 200))]
    checked = comparable(shorter)
    assert list(team_curves(checked.results, "td3", "Pendulum-v1").seeds) == [0, 1, 2, 3]
    assert any("Run td3-seed4 ended at 100 of 200" in note for note in checked.notes)

    extra = make_results(flat, 5, arms=["td3"], steps=(300,)).query("seed == 2")
    checked = comparable(pd.concat([results, extra]))
    assert any("Run td3-seed2 went on to 300" in note for note in checked.notes)
    assert checked.results["env_steps_per_agent"].max() == 200


def test_a_run_of_the_same_name_on_another_task_stays(make_results):
    results = make_results(flat, 5)
    other = results.assign(task="Hopper-v5")
    shorter = results[~((results["run"] == "td3-seed4") & (results["env_steps_per_agent"] == 200))]
    checked = comparable(pd.concat([shorter, other]))
    assert len(team_curves(checked.results, "td3", "Hopper-v5").seeds) == 5
    assert len(team_curves(checked.results, "td3", "Pendulum-v1").seeds) == 4


def test_missing_seeds_tasks_and_single_runs_are_noted(make_results):
    results = make_results(flat, 5)
    one = pd.concat([results[results["arm"] == "td3"], make_results(flat, 1, arms=["td3_pr"])])
    notes = comparable(one).notes
    assert "td3_pr on Pendulum-v1 is one single run: only its points are shown." in notes
    assert any("lacks seeds 1, 2, 3, 4" in note for note in notes)
    more = pd.concat([results, results[results["arm"] == "td3"].assign(task="Hopper-v5")])
    assert "td3_pr was not run on Hopper-v5." in comparable(more).notes


def test_copies_of_a_run_are_noted(make_results):
    rng = np.random.default_rng(0)
    results = make_results(lambda arm, seed, agent, steps: rng.normal(), 4)
    assert not any("value by value" in note for note in comparable(results).notes)
    copy = results[results["run"] == "td3_pr-seed1"].assign(seed=9, run="td3_pr-seed9")
    notes = comparable(pd.concat([results, copy])).notes
    assert any("Seeds 1, 9 of td3_pr on Pendulum-v1 have the same evaluations, value by value" in n for n in notes)


def test_a_run_without_evaluations_is_left_out(make_results):
    results = make_results(flat, 5)
    only_loss = results.assign(metric=results["metric"].mask(results["run"] == "td3-seed0", "train/critic_loss"))
    assert "Run td3-seed0 has no eval/return and is left out." in comparable(only_loss).notes
    with pytest.raises(ValueError, match=r"No run has 'eval/reward'. Metrics there: eval/return"):
        comparable(results, "eval/reward")


def test_rows_that_come_twice_are_refused(make_results):
    results = make_results(flat, 2)
    with pytest.raises(ValueError, match="two files"):
        comparable(pd.concat([results, results]))


def test_swapped_axes_are_named_with_both_shapes():
    seeds, steps = np.arange(3), np.array([0, 100, 200, 300])
    curves = np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"shape \(4, 3\); 3 seeds, 4 points.*make \(3, 4\).*axes are swapped"):
        TeamCurves(seeds, steps, steps, curves, 1)
    with pytest.raises(ValueError, match=r"steps \(4,\), curves \(4, 3\).*axes are swapped"):
        area_under_curve(steps, curves)
    with pytest.raises(ValueError, match=r"shape \(2, 3\); 3 seeds and 2 tasks make \(3, 2\).*axes are swapped"):
        Scores("td3", ("a", "b"), seeds, np.zeros((2, 3)))


def test_scores_are_taken_over_the_seeds_that_all_tasks_have(make_results):
    first = make_results(lambda arm, seed, agent, steps: seed + steps, 3)
    second = make_results(lambda arm, seed, agent, steps: 10.0 * seed, 5).assign(task="Hopper-v5")
    found = scores(pd.concat([first, second]), "td3")
    assert found.tasks == ("Pendulum-v1", "Hopper-v5")
    np.testing.assert_array_equal(found.seeds, [0, 1, 2])
    np.testing.assert_allclose(found.values, [[200, 0], [201, 10], [202, 20]])
    area = scores(first, "td3", kind="area")
    np.testing.assert_allclose(area.values[:, 0], [100, 101, 102])
    with pytest.raises(ValueError, match="no seed was run on all"):
        scores(pd.concat([first, second[second["seed"] > 2]]), "td3")


def test_a_team_at_the_total_budget_of_a_single_agent(make_results):
    results = make_results(lambda arm, seed, agent, steps: float(steps), 5)
    at = scores(results, "td3_pr", budget=200, axis="total_env_steps")
    np.testing.assert_allclose(at.values, 200 / 3)
    with pytest.raises(ValueError, match="at most 600"):
        scores(results, "td3_pr", budget=601, axis="total_env_steps")


def test_curves_at_different_steps_are_read_off_at_common_ones(make_results):
    """EPyMARL evaluates when an episode has ended, so at other steps in every run."""
    parts = [
        make_results(
            lambda arm, seed, agent, steps: float(steps), 5, arms=["td3"], steps=(seed, 100 + seed, 200 + seed)
        ).query("seed == @seed")
        for seed in range(5)
    ]
    found = team_curves(pd.concat(parts), "td3", "Pendulum-v1")
    assert found.interpolated
    assert list(found.env_steps_per_agent) == [4, 102, 200]
    np.testing.assert_allclose(found.curves, np.tile([4.0, 102.0, 200.0], (5, 1)))
