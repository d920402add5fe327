"""Arguments of a user's own loops, graphs, adjacency and worlds: no kernel reads outside its arrays, all loops end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from marl_pr_common.envs import ObsSpace, digital_mdp, make, optimal_q
from marl_pr_common.envs.grids.specs import GridSpec, navigation
from marl_pr_common.tabular import TabularConfig, TabularPR, WorldTrainer, adjacency, iql, train_parallel
from marl_pr_common.tabular.reciprocity import Reciprocity, mixing
from tests.tabular.line import Line, train


@pytest.mark.parametrize("backend", ["auto", "numpy"])
@pytest.mark.parametrize(
    "wrong", [{"states": 3}, {"states": -1}, {"actions": 2}, {"next_states": 3}, {"rewards": np.nan}]
)
def test_a_learner_of_ones_own_loop_is_guarded_too(backend: Any, wrong: dict[str, Any]) -> None:
    learner = TabularPR(TabularConfig().reciprocity([ObsSpace((3,))] * 2), 2, backend=backend)
    one = np.ones((1, 2), dtype=np.int64)
    good = {"states": one, "actions": one, "rewards": one * 0.5, "next_states": one, "terminated": one < 0}
    learner.update(**good)
    before = learner.q.copy()
    bad = {name: np.where([[False, True]], value, good[name]) for name, value in wrong.items()}
    with pytest.raises(ValueError, match="agent 1 of seed 0"):
        learner.update(**{**good, **bad})
    np.testing.assert_array_equal(learner.q, before)
    with pytest.raises(ValueError, match=r"states is float64 of shape \(1, 2\)"):
        learner.act(one * 0.5, 0.0, one * 0.5)
    with pytest.raises(ValueError, match="agent 0 of seed 0: state 3"):
        learner.act(one * 3, 0.0, one * 0.5)
    learner.update(**{**good, "next_states": one * 9, "terminated": one > 0})  # what follows an end is not read


def test_structure_from_a_user() -> None:
    line = [ObsSpace((3,))] * 2
    wrong = np.zeros((3, 3))
    wrong[0, 0] = np.nan
    broken = adjacency(*line)
    broken.indices[0] = 9
    for matrix, message in (
        (np.ones((3, 4)), r"shape \(3, 4\): expected \(3, 3\)"),
        (wrong, "expected finite numbers >= 0"),
        (broken, "a matrix that is none"),
        ([[1]], "returned list"),
    ):
        with pytest.raises(ValueError, match=message):
            Reciprocity(line, adjacent=lambda a, b, matrix=matrix: matrix)
    for graph in (np.ones((3, 3)), np.ones(2), [[1], [1, 2]], np.ones((0, 2, 2)), -np.ones((2, 2)), "complete"):
        with pytest.raises(ValueError, match="graph|peer_matrix"):
            mixing(graph, 2)
    with pytest.raises(ValueError, match="mixing='mean'"):
        mixing(None, 2, "mean")  # type: ignore[arg-type]
    for options in ({"level": 1.5}, {"metric": "l2"}, {"missing": "drop"}, {"level": float("nan")}):
        with pytest.raises(ValueError, match=r"level=|metric="):
            adjacency(*line, **options)


def test_worlds_are_checked_when_they_are_made() -> None:
    spec = navigation(2)
    small = [ObsSpace((4, 5, 5, 5))] * 2
    with pytest.raises(ValueError, match=r"features of \(4, 5, 5, 5\) values, its world has \(5, 5, 5, 5\)"):
        GridSpec("Mine", 2, spec.world._replace(strides=np.stack([space.strides for space in small])), tuple(small))
    with pytest.raises(ValueError, match="world.strides are not those of the spaces"):
        GridSpec("Mine", 2, spec.world._replace(strides=spec.world.strides * 2), spec.spaces)
    with pytest.raises(ValueError, match="distinct start cells"):
        navigation(26)
    learner = TabularPR(iql().reciprocity(navigation(3).spaces), 5)
    with pytest.raises(ValueError, match="the learner has 5 actions"):
        WorldTrainer(spec, learner, [np.random.default_rng(0)])
    with pytest.raises(ValueError, match="the learner has 9 actions"):
        WorldTrainer(spec, TabularPR(iql().reciprocity(spec.spaces), 9), [np.random.default_rng(0)])


def test_iterations_end_or_refuse() -> None:
    mdp = digital_mdp(np.random.default_rng(0), 4)
    with pytest.raises(ValueError, match="finite"):
        optimal_q(mdp, reward=np.full((4, 2), np.nan))
    with pytest.raises(ValueError, match="seed=None"):
        train(Line, seed=None)
    with pytest.raises(ValueError, match="every=0"):
        train_parallel(lambda: make("Navigation-1"), steps=10, every=0)
    for steps in (-5, 1.5, True):
        with pytest.raises(ValueError, match=f"steps={steps}: expected an integer >= 0"):
            train_parallel(lambda: make("Navigation-1"), steps=steps)  # type: ignore[arg-type]


def test_tables_that_no_memory_holds_are_named() -> None:
    with pytest.raises(ValueError, match="x 1,000,000,000,000 actions of 3 agents.* do not fit into memory"):
        TabularPR(iql().reciprocity(navigation(3).spaces), 10**12)


def test_numbers_that_make_no_learner() -> None:
    for options, message in (
        ({"alpha": 0.5}, "alpha=0.5: expected a step size"),
        ({"trust": float("inf")}, "trust=inf"),
    ):
        with pytest.raises(ValueError, match=message):
            TabularConfig(**options)
    learner = train(Line, TabularConfig(trust=0.0))
    assert np.isfinite(learner.q).all()
    assert learner.q.max() > 0
