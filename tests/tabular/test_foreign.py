"""What an environment of others says is checked by type and value before anything is learnt from it, and named."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from pettingzoo.classic import rps_v2

from marl_pr_common.envs import ObsSpace, digital_mdp, make, optimal_q
from marl_pr_common.envs.registry import GridSpec, navigation
from marl_pr_common.tabular import TabularConfig, TabularPR, WorldTrainer, adjacency, iql, train_parallel
from marl_pr_common.tabular.measures import flattened_fixed_point
from marl_pr_common.tabular.one_seed import team_size
from marl_pr_common.tabular.reciprocity import Reciprocity, mixing
from tests.tabular.line import Line, train


def changed(**parts: Any) -> type[Line]:
    """``Line`` with attributes and methods exchanged."""
    return type("Changed", (Line,), parts)


def with_spaces(seen: Any = None, moves: Any = None) -> type[Line]:
    def init(self: Line) -> None:
        Line.__init__(self)
        self.seen = self.seen if seen is None else dict.fromkeys("ab", seen)
        self.moves = self.moves if moves is None else dict.fromkeys("ab", moves)

    return changed(__init__=init)


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


def answering(change: Any) -> type[Line]:
    """``Line`` whose fourth step's answer is changed in place, or exchanged for what ``change`` returns."""

    def step(self: Line, actions: Any) -> Any:
        answer = list(Line.step(self, actions))
        if self.t != 4:
            return tuple(answer)
        other = change(self, *answer)
        return tuple(answer) if other is None else other

    return changed(step=step)


STEPS = {
    r"step\(\) returned .*: expected the 5 dicts": lambda e, o, r, te, tr, i: (o, r, te, i),
    r"step\(\) returned .*NoneType.*: expected the 5 dicts": lambda e, *_: (None,) * 5,
    r"rewards of \w+ holds 'z'": lambda e, o, r, *_: r.update(z=1.0),
    r"observations of \w+ holds '__all__'": lambda e, o, *_: o.update(__all__=0),
    r"agents of \w+ holds 'z'": lambda e, *_: e.agents.append("z"),
    "each agent once": lambda e, *_: e.agents.extend(e.agents),
    "agents is no list": lambda e, *_: setattr(e, "agents", None),
    "acted and has no reward": lambda e, o, r, *_: r.clear(),
    "terminated='no'": lambda e, o, r, te, *_: te.update(a="no"),
    "truncated=None": lambda e, o, r, te, tr, i: tr.update(a=None),
    "still in env.agents": lambda e, o, r, te, *_: te.update({e.agents[0]: True}),
    r"its info is 'no' \(str\)": lambda e, o, r, te, tr, i: i.update({e.agents[0]: "no"}),
}


@pytest.mark.parametrize("message", STEPS)
def test_answers_of_step(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(answering(STEPS[message]), steps=2_000)


def test_a_reward_after_leaving_is_named_and_zero_is_none() -> None:
    def paying(amount: float) -> type[Line]:
        def step(self: Line, actions: Any) -> Any:
            answer = Line.step(self, actions)
            for a in self.possible_agents:
                answer[1].setdefault(a, amount)
            return answer

        return changed(step=step)

    np.testing.assert_array_equal(train(paying(0.0)).q, train(Line).q)
    with pytest.raises(ValueError, match=r"agent '[ab]': the reward 2\.0 came after it had left"):
        train(paying(2.0), steps=2_000)


def test_answers_of_reset() -> None:
    for reset, message in (
        (lambda self, seed=None: Line.reset(self)[0], r"reset\(\) returned dict: expected the 2 dicts"),
        (lambda self, seed=None: None, r"reset\(\) returned NoneType"),
        (lambda self: Line.reset(self), "takes no seed"),
        (lambda self, seed=None: ({"a": 0}, {}), r"reset\(\) left no agent in env.agents"),
    ):
        with pytest.raises(ValueError, match=message):
            train(changed(reset=reset))


@pytest.mark.parametrize("agents", [None, [], ["a", "a"], "ab", [["a"]], 3])
def test_possible_agents(agents: Any) -> None:
    def init(self: Line) -> None:
        Line.__init__(self)
        self.possible_agents = agents

    with pytest.raises(ValueError, match="possible_agents"):
        train(changed(__init__=init))


def test_environments_of_another_kind() -> None:
    with pytest.raises(ValueError, match=r"AEC environment.*parallel_env\(\)"):
        train(lambda: rps_v2.env(max_cycles=5))
    with pytest.raises(ValueError, match="an environment of a single agent"):
        train(lambda: gym.make("FrozenLake-v1"))
    with pytest.raises(ValueError, match="NoneType, no ParallelEnv"):
        train(lambda: None)
    with pytest.raises(ValueError, match="expected a function that returns a fresh ParallelEnv"):
        train(Line())
    assert train(lambda: rps_v2.parallel_env(max_cycles=5), steps=30).steps == 30


def test_one_environment_twice_and_two_that_differ() -> None:
    env = Line()
    with pytest.raises(ValueError, match="the same Line twice"):
        train(lambda: env)
    made = iter([Line(), with_spaces(spaces.Discrete(7))()])
    with pytest.raises(ValueError, match="different observation spaces"):
        train(lambda: next(made))


def test_spaces_that_change_are_named() -> None:
    def reset(self: Line, seed: Any = None) -> Any:
        if hasattr(self, "t"):
            self.moves = {a: spaces.Discrete(3) for a in "ab"}
        return Line.reset(self)

    with pytest.raises(ValueError, match=r"agent 'a': its space was Discrete\(2\) and is now Discrete\(3\)"):
        train(changed(reset=reset))


def test_a_close_that_raises_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def close(self: Line) -> None:
        raise RuntimeError("no viewer")

    monkeypatch.setattr("marl_pr_common.tabular.one_seed.make", lambda task: changed(close=close)())
    with pytest.warns(RuntimeWarning, match="close.. raised RuntimeError: no viewer"):
        assert team_size("Mine") == 2


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
    with pytest.raises(ValueError, match="no fixed point"):
        flattened_fixed_point(mdp.transition, np.full((4, 2), np.nan), np.eye(4), 0.8, 1.0)
    with pytest.raises(ValueError, match="every=0"):
        train_parallel(lambda: make("Navigation-1"), steps=10, every=0)


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
