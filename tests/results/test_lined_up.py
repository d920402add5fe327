"""Arms that were evaluated at different steps are compared at common ones: of two equal curves none is better."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marl_pr_common.report.context import ReportContext
from marl_pr_common.report.measure import measure
from marl_pr_common.report.wording import limits
from marl_pr_common.results.budget import ENVIRONMENTS, EPISODES
from marl_pr_common.results.comparable import comparable
from marl_pr_common.results.stats import TeamCurves, aligned, team_curves
from tests.rows import row

TASK = "CartPole-v1"
GRID = range(1000, 10_001, 1000)
SEEDS = range(10)


def rising(arm, steps, height=lambda at: at / 1e4, metric="eval/return", seeds=SEEDS):
    """Runs whose value at a step is ``height``, with a little noise; ``steps`` may depend on the seed."""
    rng = np.random.default_rng(0)
    rows = [
        row(arm, seed, 0, at, height(at) + rng.normal(0, 0.01), TASK) | {"metric": metric, "total_env_steps": at}
        for seed in seeds
        for at in (steps(seed) if callable(steps) else steps)
    ]
    return pd.DataFrame(rows)


def differences(*arms, **context):
    found = measure(pd.concat(arms), ReportContext(reference="base", **context)).tasks[TASK]
    return found, {score: one for (arm, score), one in found.differences.items() if arm == "mine"}


@pytest.mark.parametrize(
    ("steps", "height"),
    [
        ((5000, 7500, 10_000), lambda at: at / 1e4),
        ((5000, 10_000), lambda at: at / 1e4),
        (range(0, 10_001, 2000), lambda at: at / 1e4),
        ((0, 2500, 5000, 7500, 10_000), lambda at: 1 - np.exp(-at / 1500)),  # what bends between evaluations
        (range(5000, 10_001, 1000), lambda at: np.sqrt(at)),  # gone on with from a checkpoint
        (range(1500, 10_001, 1700), lambda at: at / 1e4),  # never where the other was
    ],
)
def test_the_same_curve_evaluated_elsewhere_is_not_told_apart(steps, height):
    found, scores = differences(rising("base", GRID, height), rising("mine", steps, height), thresholds={TASK: 0.5})
    assert {name for name in scores if scores[name].different} == set()
    assert abs(scores["area"].value) < 0.02
    ends = {name: arm.data.env_steps_per_agent[[0, -1]].tolist() for name, arm in found.arms.items()}
    assert ends["base"] == ends["mine"] == [min(at for at in steps if at >= 1000), min(steps[-1], 10_000)]
    assert len(found.arms["base"].curve.data.env_steps_per_agent) == len(GRID), "its figure shows all it has"


@pytest.mark.parametrize("off", [4, -3])
def test_one_seeds_last_evaluation_that_is_a_little_off_takes_nobodys_away(off):
    def steps(seed):
        return [*GRID[:-1], 10_000 + off * (seed == 3)]

    def late(at):
        return 5.0 if at > 9500 else at / 1e4

    found, scores = differences(rising("base", GRID), rising("mine", steps, late))
    assert scores["final"].value == pytest.approx(4.0, abs=0.1)
    assert found.equal_in_total == []
    assert found.arms["mine"].data.env_steps_per_agent[-1] == 10_000 + min(off, 0)


def test_where_arms_are_compared_is_said_where_it_is_not_where_they_were_evaluated():
    alike, other = rising("mine", GRID), rising("mine", (5000, 10_000))
    for arm, said in ((alike, False), (other, True)):
        measured = measure(pd.concat([rising("base", GRID), arm]), ReportContext(reference="base"))
        lines = [line for line in limits(measured, ReportContext()) if "evaluated at different steps" in line]
        assert bool(lines) == said
    assert "at the 2 from 5,000 to 10,000" in lines[0]


def test_arms_with_equal_steps_in_total_are_lined_up_by_these():
    def curves(steps, n_agents):
        steps = np.array(steps)
        return TeamCurves(np.arange(2), steps, steps * n_agents, np.zeros((2, len(steps))), n_agents)

    team, alone = curves([0, 100, 200, 300], 3), curves([0, 450, 900], 1)
    found = aligned({"team": team, "alone": alone}, "team", ("alone",))
    assert found is not None
    assert {arm: steps.tolist() for arm, steps in found.steps.items()} == {"team": [0, 150, 300]}
    assert found.arm == "alone"
    assert aligned({"team": team, "alone": curves([0, 300, 600, 900], 1)}, "team", ("alone",)) is None


def test_an_arm_of_one_evaluation_takes_no_area_away_from_others():
    found, scores = differences(rising("base", GRID), rising("mine", GRID), rising("single", [10_000]))
    assert {"final", "area"} <= set(scores)
    assert found.lined_up is None


def test_where_the_reference_was_not_run_every_arm_keeps_its_own_end():
    elsewhere = [rising("x", GRID).assign(task="Other"), rising("y", range(5000, 50_001, 5000)).assign(task="Other")]
    found = measure(pd.concat([rising("base", GRID), *elsewhere]), ReportContext(reference="base")).tasks["Other"]
    assert found.arms["y"].scores["final"].mean() == pytest.approx(5.0, abs=0.1)
    assert found.arms["y"].data.env_steps_per_agent[-1] == 50_000


def test_ranges_that_do_not_meet_are_not_lined_up():
    def curves(*steps):
        return TeamCurves(np.arange(2), np.array(steps), np.array(steps), np.zeros((2, len(steps))), 1)

    assert aligned({"a": curves(5000, 7500), "b": curves(1000, 2000)}, "a") is None
    found = aligned({"a": curves(*range(50, 10_001, 50)), "b": curves(0, 10_000)}, "a")
    assert found is not None
    assert {arm: steps.tolist() for arm, steps in found.steps.items()} == {"a": [50, 10_000], "b": [50, 10_000]}


def test_what_is_equal_in_total_is_told_by_what_was_run():
    rng = np.random.default_rng(0)
    rows = [
        row(arm, seed, agent, at, at / 1600 + rng.normal(0, 0.01), TASK) | {"total_env_steps": at * n}
        for arm, n, steps in (("base", 4, range(60, 1201, 60)), ("mine", 3, (800, 1600)))
        for seed in SEEDS
        for agent in range(n)
        for at in steps
    ]
    found = measure(pd.DataFrame(rows), ReportContext(reference="base", thresholds={TASK: 0.3})).tasks[TASK]
    assert found.equal_in_total == ["mine"]
    assert ("mine", "steps") not in found.differences


def test_steps_that_half_of_the_seeds_have_are_kept():
    some = rising("mine", lambda seed: [*GRID][seed == 0 : None if seed else -1] + [9990] * (seed == 0))
    found = team_curves(some, "mine", TASK)
    assert found.interpolated
    assert found.env_steps_per_agent.tolist() == [*GRID[1:-1], 9990]


def episodes(arm, length, seeds=SEEDS):
    """Logs of training that ended at 20,000 steps: the last row is the last whole episode's."""

    def ends(seed):
        at, rng = 0, np.random.default_rng(seed)
        while (at := at + int(rng.integers(*length(seed)))) <= 20_000:
            yield at

    return rising(arm, ends, metric=EPISODES, seeds=seeds)


@pytest.mark.parametrize("long", [lambda seed: (400, 500), lambda seed: (400, 500) if seed % 2 else (10, 40)])
def test_a_run_ends_with_its_last_whole_episode(long):
    both = pd.concat([episodes("base", long), episodes("mine", lambda seed: (10, 40))])
    found = comparable(both, EPISODES)
    assert found.results["run"].nunique() == 20
    assert not [note for note in found.notes if "unfinished" in note]
    late = both[both["env_steps_per_agent"] > 5000]  # gone on with: where its log begins is no episode
    cut = late[~((late["run"] == late["run"].iloc[0]) & (late["env_steps_per_agent"] > 15_000))]
    assert sum("unfinished" in note for note in comparable(cut, EPISODES).notes) == 1


def test_of_several_environments_each_may_have_begun_an_episode():
    def logged(seed):
        ends = (np.random.default_rng([seed, number]).integers(300, 1000, 90).cumsum() for number in range(8))
        return [*np.arange(1, 1 + sum(int((end <= 2500).sum()) for end in ends)) * 600]  # 20,000 steps of all

    runs = rising("base", logged, metric=EPISODES)
    several = runs.groupby("run").tail(1).assign(metric=ENVIRONMENTS, value=8.0)
    found = comparable(pd.concat([runs, several]), EPISODES)
    assert found.results["run"].nunique() == 10
