"""A saved team and its PettingZoo environment: agents are known by name, and act within their own bounds."""

import gymnasium as gym
import pytest
from gymnasium.spaces import Box

pytest.importorskip("pettingzoo", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")

from sb3_pr import TD3PR
from sb3_pr.envs.columns import parallel_to_vec_env
from tests.sb3.test_pettingzoo_ends import SETTINGS
from tests.sb3.test_pettingzoo_spaces import UNIT, Spaces


def test_a_policy_plays_the_agent_that_it_has_learnt_to_play(tmp_path):
    wide = {"a": UNIT, "b": Box(0, 10, (1,))}

    def team(names="ab", act=wide):
        env = Spaces({**act, "c": act["b"], "d": act["a"]})
        env.possible_agents = list(names)
        return env

    model = TD3PR("MlpPolicy", team(), **SETTINGS)
    model.save(tmp_path / "team")
    swapped = {"a": wide["b"], "b": wide["a"]}
    for env, message in (
        (team("ba"), r"agent 'b' was column 1 of \['a', 'b'\], and is column 0 of .*\['b', 'a'\]"),
        (team("ca", swapped), "agent 'a' was column 0"),
        (team("ab", swapped), r"agent 'a' acted in Box\(-1.* acts in Box\(0.0, 10"),
    ):
        before = model.get_env()
        with pytest.raises(ValueError, match=message):
            model.set_env(env)
        assert model.get_env() is before
        for given in (env, lambda env=env: env):
            with pytest.raises(ValueError, match=message):
                TD3PR.load(tmp_path / "team", env=given)
    with pytest.warns(UserWarning, match=r"the agents were \['a', 'b'\] and are \['a', 'c'\]"):
        model.set_env(team("ac"))
    assert TD3PR.load(tmp_path / "team", env=team()).own_action_spaces == list(wide.values())


def test_copies_that_come_into_a_world_know_its_bounds(tmp_path):
    env = Spaces({"a": Box(0, 10, (1,)), "b": Box(-1, 5, (1,))})
    hull = parallel_to_vec_env(env)

    class Alone(gym.Env):
        observation_space, action_space = hull.observation_space, hull.action_space

    model = TD3PR("MlpPolicy", Alone, n_agents=2, **SETTINGS)
    model.set_env(hull)
    assert model.own_action_spaces == [env.act["a"], env.act["b"]]
    assert model.agent(1).action_space == env.act["b"]
