"""PettingZoo agents with spaces of their own: each acts in its own Box; what has no common space is named."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Text

pytest.importorskip("pettingzoo", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from mpe2 import simple_speaker_listener_v4, simple_spread_v3
from pettingzoo.utils.conversions import aec_to_parallel
from pettingzoo.utils.wrappers import BaseParallelWrapper

from sb3_pr import TD3PR, AgentEvalCallback, evaluate_agents
from sb3_pr.envs.columns import parallel_to_vec_env
from tests.sb3.test_pettingzoo_ends import SETTINGS, Pair

TEN = {"a": (10, "limit"), "b": (10, "limit")}
UNIT = Box(-1, 1, (1,))


class Spaces(Pair):
    """Pair with spaces as told, which keeps the actions that it was sent."""

    def __init__(self, act=None, obs=None):
        super().__init__(TEN)
        self.act, self.obs, self.sent = act or {"a": UNIT, "b": UNIT}, obs, {"a": [], "b": []}

    def action_space(self, agent):
        return self.act[agent]

    def observation_space(self, agent):
        return self.obs[agent] if self.obs else super().observation_space(agent)

    def _seen(self):
        return super()._seen()

    def step(self, actions):
        for agent, action in actions.items():
            self.sent[agent].append(action)
        observations, *rest = super().step(actions)
        return self._drawn(observations), *rest

    def reset(self, seed=None, options=None):
        observations, infos = super().reset()
        return self._drawn(observations), infos

    def _drawn(self, observations):
        return {agent: self.obs[agent].sample() for agent in observations} if self.obs else observations


@pytest.mark.parametrize("b", [Box(0, 10, (1,)), Box(0, 10, (2,)), Box(-3, -2, (2,)), Box(-5, 5, (1,), np.float64)])
@pytest.mark.few(2)
def test_every_agent_is_sent_all_of_its_own_box_and_nothing_else(b, tmp_path):
    env = Spaces({"a": UNIT, "b": b})
    model = TD3PR("MlpPolicy", env, **{**SETTINGS, "learning_starts": 200}).learn(300)
    for agent, space in env.act.items():
        sent = np.stack(env.sent[agent])
        assert all(space.contains(action) for action in env.sent[agent])
        assert (sent.max(0) - sent.min(0) > 0.8 * (space.high - space.low)).all()
    seen = model.get_env().reset()
    own = model.get_env().unwrapped.own_actions(model.predict(seen, deterministic=True)[0])
    model.save(tmp_path / "team")
    for exporter in (model, TD3PR.load(tmp_path / "team")):
        lone = exporter.agent(1)
        np.testing.assert_allclose(lone.action_space.low[: b.shape[0]], b.low)
        np.testing.assert_allclose(lone.predict(seen[1], deterministic=True)[0][: b.shape[0]], own["b"], atol=1e-5)


@pytest.mark.parametrize(
    "spaces, message",
    [
        ({"act": {"a": UNIT, "b": Discrete(3)}}, r"agent 'b' has the action space Discrete\(3\), not a Box.*wrap"),
        ({"act": {"a": UNIT, "b": Box(-np.inf, np.inf, (1,))}}, "agent 'b' .* not bounded"),
        ({"act": {"a": Box(0, 3, (1,), int), "b": UNIT}}, "agent 'a' .* whose actions are int64"),
        ({"act": {"a": UNIT, "b": Box(-1, 1, (2, 2))}}, r"agents 'a' and 'b' have action spaces.*\(2, 2\)"),
        ({"obs": {"a": Dict({"v": UNIT}), "b": UNIT}}, "agents 'a' and 'b' have observation spaces.*Dict"),
        ({"obs": {"a": Dict({"v": UNIT}), "b": Dict({"w": UNIT})}}, "without a common one.*same keys"),
        ({"obs": {"a": Box(0, 255, (40, 40, 3), np.uint8), "b": UNIT}}, "'b'.*uint8"),
        ({"obs": {"a": Discrete(3), "b": MultiBinary(3)}}, r"'b'.*MultiBinary\(3\)"),
        ({"obs": {"a": UNIT, "b": Text(3)}}, "agent 'b' has the observation space Text"),
    ],
)
def test_spaces_without_a_common_one_are_named_with_their_agents(spaces, message):
    with pytest.raises(ValueError, match=message):
        TD3PR("MultiInputPolicy", Spaces(**spaces))


@pytest.mark.parametrize(
    "policy, obs",
    [
        ("MlpPolicy", {"a": Box(-1, 1, (3,), np.float64), "b": Box(-1, 1, (2,))}),
        ("MultiInputPolicy", {"a": Dict({"v": UNIT}), "b": Dict({"v": Box(-1, 1, (3,))})}),
        ("MlpPolicy", {"a": Discrete(3), "b": Discrete(3)}),
    ],
    ids=["float64", "dict", "discrete"],
)
def test_what_can_be_padded_is(policy, obs):
    TD3PR(policy, Spaces(obs=obs), **SETTINGS).learn(60)


def test_the_vec_env_reaches_the_environment():
    class Known(BaseParallelWrapper):
        pass

    env = Pair(TEN)
    env.marker, env.render_mode = 7, "rgb_array"
    env.double = lambda: env.__dict__.update(marker=2 * env.marker) or env.marker
    env.render = lambda: np.full((4, 6, 3), 5, dtype=np.uint8)
    venv = parallel_to_vec_env(Known(env))
    assert venv.get_attr("marker") == [7, 7]
    assert venv.env_method("double") == [14, 14]  # one world: called once
    venv.set_attr("marker", 1)
    assert (env.marker, venv.get_attr("marker", 1)) == (1, [1])
    assert venv.env_is_wrapped(Known) == [True, True]
    assert venv.env_is_wrapped(gym.Wrapper, [0]) == [False]
    assert venv.render().shape == (4, 6, 3)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        venv.get_attr("nothing")
    assert parallel_to_vec_env(Pair(TEN)).render_mode is None


def test_environments_of_other_kinds():
    aec = simple_spread_v3.env(continuous_actions=True)
    for use in (lambda: TD3PR("MlpPolicy", aec), lambda: AgentEvalCallback(aec)):
        with pytest.raises(ValueError, match="AECEnv.*parallel_env"):
            use()
    assert TD3PR("MlpPolicy", aec_to_parallel(aec), **SETTINGS).learn(30).n_agents == 3
    with pytest.raises(ValueError, match="vector environment of gymnasium"):
        TD3PR("MlpPolicy", gym.make_vec("Pendulum-v1", num_envs=2))


def test_agents_of_other_widths():
    make = lambda: simple_speaker_listener_v4.parallel_env(continuous_actions=True, max_cycles=8)  # noqa: E731
    model = TD3PR("MlpPolicy", make(), **SETTINGS).learn(60)
    assert model.action_space.shape == (5,)
    assert model.agent(0).action_space.shape == (5,)  # padded; the first three are the speaker's
    assert np.array_equal(evaluate_agents(model, make(), 2, seed=3), evaluate_agents(model, make, 2, seed=3))
