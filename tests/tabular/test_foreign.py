"""What an environment of others says is checked by type and value before anything is learnt from it, and named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from marl_pr_common.envs import ObsSpace
from marl_pr_common.tabular import TabularConfig, iql
from tests.tabular.line import Line, changed, train, with_spaces


def observing(observe: Any, seen: Any = None) -> type[Line]:
    return type("Observing", (with_spaces(seen),), {"observe": observe})


OBSERVED = {
    "one above": lambda self, a: 5,
    "minus one": lambda self, a: -1,
    "a half": lambda self, a: 2.5,
    "NaN": lambda self, a: float("nan"),
    "none": lambda self, a: None,
    "a string": lambda self, a: "2",
    "two numbers": lambda self, a: np.array([1, 2]),
    "ragged": lambda self, a: [[1], [1, 2]],
    "complex": lambda self, a: 2j,
    "a huge integer": lambda self, a: 2**70,
    "wrapped": lambda self, a: np.uint64(2**64 - 1),
    "a dict": lambda self, a: {"observation": 1},
}


@pytest.mark.parametrize("what", OBSERVED)
@pytest.mark.parametrize("config", [iql(), TabularConfig()])
def test_an_observation_outside_its_space_is_named(what: str, config: TabularConfig) -> None:
    with pytest.raises(ValueError, match=r"agent 'a': the observation .* is not in its space Discrete\(5\)"):
        train(observing(OBSERVED[what]), config)


@pytest.mark.parametrize(
    ("seen", "observation"),
    [
        (spaces.MultiDiscrete([3, 2]), [2, 2]),
        (spaces.MultiDiscrete([3, 2]), [3, 0]),
        (spaces.MultiDiscrete([3, 2]), [-1, 0]),
        (spaces.MultiDiscrete([3, 2]), 1),
        (spaces.MultiDiscrete([[3, 2, 2], [3, 3, 3]]), np.zeros((3, 2), int)),
        (spaces.MultiDiscrete([3, 2], start=[5, 5]), [4, 5]),
        (spaces.MultiBinary(3), [0, 2, 0]),
        (spaces.MultiBinary(3), 1),
        (spaces.Discrete(3, start=-1), 2),
        (spaces.Discrete(3, start=7), 2),
    ],
)
def test_observations_of_several_features(seen: Any, observation: Any) -> None:
    with pytest.raises(ValueError, match="agent 'a': the observation"):
        train(observing(lambda self, a: observation, seen))


@pytest.mark.parametrize(
    ("seen", "observation", "state"),
    [
        (spaces.Discrete(5), np.int8(3), 3),
        (spaces.Discrete(5), np.array(3), 3),
        (spaces.Discrete(5), np.array([3], dtype=np.uint8), 3),
        (spaces.Discrete(5), 3.0, 3),
        (spaces.Discrete(5), torch.tensor(3), 3),
        (spaces.Discrete(2), True, 1),
        (spaces.Discrete(5, start=-2), -2, 0),
        (spaces.MultiDiscrete([3, 4]), [2, 3], 11),
        (spaces.MultiDiscrete([3, 4], start=[1, 1]), (1, 2), 1),
        (spaces.MultiDiscrete([[2, 2], [2, 2]]), np.array([[0, 1], [1, 0]]), 6),
        (spaces.MultiBinary((2, 2)), np.array([[1, 0], [0, 1]], dtype=np.int8), 9),
    ],
)
def test_observations_that_are_in_their_space(seen: Any, observation: Any, state: int) -> None:
    learner = train(observing(lambda self, a: observation, seen), steps=20)
    assert np.flatnonzero(learner.tables.n[0, 0].sum(axis=-1)).tolist() == [state]


@pytest.mark.parametrize(
    "seen", [spaces.Box(0, 4, (1,), np.int64), spaces.Tuple([spaces.Discrete(2)]), spaces.Text(3), object()]
)
def test_spaces_are_told_by_type(seen: Any) -> None:
    with pytest.raises(ValueError, match="a has the observation space"):
        train(with_spaces(seen))


@pytest.mark.parametrize("moves", [spaces.MultiBinary(2), spaces.MultiDiscrete([2, 2]), spaces.Box(0, 1, (2,))])
def test_action_spaces_are_told_by_type(moves: Any) -> None:
    with pytest.raises(ValueError, match="a has the action space .* needs Discrete actions"):
        train(with_spaces(moves=moves))


def test_too_many_states_are_named() -> None:
    with pytest.raises(ValueError, match="agent 0 has 1,000,000,000,000 states"):
        train(with_spaces(spaces.MultiDiscrete([10] * 12)))
    with pytest.raises(ValueError, match="more states than there are integers"):
        train(with_spaces(spaces.MultiDiscrete([10] * 80)))


@pytest.mark.parametrize("mine", [{"a": 5}, spaces.Discrete(3), lambda: 1, lambda agent: spaces.Discrete(5)])
def test_an_attribute_of_the_name_obs_space_is_not_taken_for_ours(mine: Any) -> None:
    def init(self: Line) -> None:
        Line.__init__(self)
        self.obs_space = mine  # type: ignore[attr-defined]

    assert train(changed(__init__=init)).q.shape == (1, 2, 5, 2)


def test_agents_that_see_other_features_are_named() -> None:
    def init(self: Line) -> None:
        Line.__init__(self)
        self.seen["b"] = spaces.Discrete(7)

    with pytest.raises(ValueError, match=r"a observes Discrete\(5\) and b Discrete\(7\).*obs_space"):
        train(changed(__init__=init))


def test_an_obs_space_that_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match=r"a: obs_space\(\) says .* \(3,\) values, its observation space is Discrete"):
        train(changed(obs_space=lambda self, agent: ObsSpace((3,))))


REWARDS = [float("nan"), float("inf"), -np.inf, None, "1", 1j, [1.0], np.zeros(2), np.array("x"), 10**400, 1e200]


@pytest.mark.parametrize("reward", REWARDS, ids=map(str, range(len(REWARDS))))
def test_a_reward_that_is_no_finite_number_is_named(reward: Any) -> None:
    with pytest.raises(ValueError, match="agent 'a': the reward"):
        train(changed(reward=lambda self, a: reward))


@pytest.mark.parametrize("reward", [1, True, np.float32(1), np.array(1), np.array([1.0]), torch.tensor([1.0])])
def test_rewards_of_one_number_are_taken(reward: Any) -> None:
    expected = train(changed(reward=lambda self, a: 1.0)).q
    np.testing.assert_array_equal(train(changed(reward=lambda self, a: reward)).q, expected)
