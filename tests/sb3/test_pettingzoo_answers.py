"""What a ParallelEnv answers is checked: dicts, names, rewards, ends, infos; each mistake is named with its agent."""

import warnings

import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from sb3_pr import TD3PR
from sb3_pr.envs.columns import parallel_to_vec_env
from tests.sb3.test_pettingzoo_ends import SETTINGS, Pair
from tests.sb3.test_pettingzoo_spaces import TEN, UNIT, Spaces


class Wrong(Spaces):
    """Returns one part of a step as told."""

    def __init__(self, part, value):
        super().__init__()
        self.part, self.value = part, value

    def step(self, actions):
        result = list(super().step(actions))
        if self.part is None:
            return self.value(result)
        result[self.part] = {**result[self.part], "b": self.value}
        return tuple(result)


def exchanged(part, value):
    return lambda result: (*result[:part], value, *result[part + 1 :])


@pytest.mark.parametrize(
    "part, value, message",
    [
        (0, np.zeros(3), r"agent 'b' was given an observation of shape \(3,\)"),
        (1, None, "the reward of agent 'b' is None"),
        (1, [1, 2], r"the reward of agent 'b' is \[1, 2\]"),
        (2, np.nan, "agent 'b': terminated=nan .*expected True or False"),
        (2, "False", "agent 'b': terminated='False'"),
        (3, None, "agent 'b': truncated=None"),
        (4, ["x"], "agent 'b': its info is .* expected a dict"),
        (None, lambda result: tuple(result[:4]), "must return .observations, rewards, terminations, truncations"),
        (None, exchanged(1, {"a": 1.0}), "agent 'b' acted and has no reward"),
        (None, exchanged(1, {"A": 1.0, "B": 1.0}), "rewards of Wrong holds 'A'.* not one of possible_agents"),
        (None, exchanged(1, [1.0, 1.0]), r"step\(\) returned .*list.*: expected the 5 dicts"),
        (None, exchanged(2, False), r"step\(\) returned .*bool.*: expected the 5 dicts"),
        (None, exchanged(4, None), r"step\(\) returned .*NoneType.*: expected the 5 dicts"),
    ],
)
def test_what_an_environment_returns_wrongly_is_named(part, value, message):
    venv = parallel_to_vec_env(Wrong(part, value))
    venv.reset()
    with pytest.raises(ValueError, match=message):
        venv.step(np.zeros((2, 1)))


def test_a_flag_may_be_an_array_and_an_agent_that_saw_nothing_needs_no_reward():
    for part, value, ended in ((2, np.array([False]), False), (3, np.True_, True), (3, 1, True)):
        venv = parallel_to_vec_env(Wrong(part, value))
        venv.reset()
        assert venv.step(np.zeros((2, 1)))[2].tolist() == [False, ended]
    blind = Wrong(None, lambda result: ({"a": result[0]["a"]}, {"a": 1.0}, *result[2:]))
    venv = parallel_to_vec_env(blind)
    venv.reset()
    assert venv.step(np.zeros((2, 1)))[1].tolist() == [1.0, 0.0]


def test_spaces_in_a_dict_and_an_episode_of_nobody_are_named():
    of_a_dict = type("OfADict", (Spaces,), {"observation_space": {"a": UNIT, "b": UNIT}})
    with pytest.raises(ValueError, match="observation_space of OfADict is {.*expected a method"):
        parallel_to_vec_env(of_a_dict())
    empty = type("Empty", (Pair,), {"reset": lambda self, seed=None: (setattr(self, "agents", []), ({}, {}))[1]})
    with pytest.raises(ValueError, match=r"Empty.reset\(\) left no agent"):
        parallel_to_vec_env(empty(TEN)).reset()


def test_an_observation_outside_its_box_is_said_once():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        TD3PR("MlpPolicy", Wrong(0, np.array([1.0, 200.0])), **SETTINGS).learn(10)
    assert sum("agent 'b' was given an observation outside its space" in str(one.message) for one in said) == 1


def test_infos_may_have_any_key_but_a_monitors_with_something_else():
    plain = Wrong(4, {"absent": True, "no_transition": False, "marl": [1]})
    model = TD3PR("MlpPolicy", plain, **SETTINGS).learn(60)
    assert [len(played) > 0 for played in model._agent_episodes] == [True, True]
    of_none = TD3PR("MlpPolicy", Wrong(4, {"episode": None}), **SETTINGS).learn(60)
    assert [len(played) > 0 for played in of_none._agent_episodes] == [True, True]
    with pytest.raises(ValueError, match="the info of column 1 has 'episode': 3.*another key"):
        TD3PR("MlpPolicy", Wrong(4, {"episode": 3}), **SETTINGS).learn(60)


def test_a_reset_without_a_seed_is_the_environments_mistake():
    old = type("Old", (Pair,), {"reset": lambda self: Pair.reset(self)})
    with pytest.raises(ValueError, match=r"reset\(self, seed=None, options=None\)"):
        parallel_to_vec_env(old(TEN)).reset()


def test_agents_that_are_not_there_from_the_beginning_are_named():
    class Growing(Pair):
        def step(self, actions):
            result = super().step(actions)
            self.agents.append("c")
            return result

    with pytest.raises(ValueError, match=r"agent 'c' is not one of possible_agents \['a', 'b'\]"):
        TD3PR("MlpPolicy", Growing(TEN), **SETTINGS).learn(10)
    Growing.possible_agents = []
    with pytest.raises(ValueError, match="possible_agents is missing or empty"):
        TD3PR("MlpPolicy", Growing(TEN))
