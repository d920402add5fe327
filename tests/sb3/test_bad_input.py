"""Bad input: an error that names the value, says what was expected and what to do; and nothing is lost."""

import functools

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import FakeImageEnv
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.td3.policies import TD3Policy

from sb3_pr import TD3PR, evaluate_agents
from tests.sb3.tools import SMALL, Odd, assert_same_bits, tensors

BAD = [
    ({"kappa": 1.2}, r"kappa=1\.2: expected a number in \[0, 1\]"),
    ({"kappa": -0.5}, r"kappa=-0\.5"),
    ({"normalize": "sum"}, r"diverge: .* = 1\.485 >= 1 with gamma=0\.99, kappa=0\.5, \|N_i\|=2, \|S#\|=1\. Use"),
    ({"normalize": "sum", "kappa": 0.01, "peers": "ring", "adjacency": "noise"}, "diverge"),
    ({"adjacency": "nearest"}, "adjacency='nearest' is not one of same, noise, resample, drop, neighbours"),
    ({"kapa": 0.5}, "unknown option kapa=0.5. Did you mean 'kappa'"),
    ({"learning_rates": 0.5}, "Did you mean 'learning_rate'"),
    ({"own_critic": True}, "Did you mean 'own_critics'"),
    ({"n_agents": 0}, "n_agents=0: expected an integer >= 1"),
    ({"n_agents": 2.5}, "n_agents=2.5"),
    ({"leader": 3}, "leader=3: expected an agent from 0 to 2"),
    ({"train_freq": (1, "episode")}, r"train_freq=\(1, 'episode'\) with n_agents=3"),
    ({"observation_masks": np.ones((2, 3))}, r"shape \(2, 3\): expected \(n_agents, obs_dim\) = \(3, 3\)"),
    ({"observation_masks": np.full((3, 3), 0.5)}, "expected booleans"),
    ({"observation_masks": [[1, 1, 1], [0, 0, 0], [1, 1, 1]]}, "agent 1 sees no coordinate"),
    ({"peers": "random", "n_peers": 3}, "n_peers=3 with n_agents=3"),
    ({"peers": np.ones((2, 2))}, r"peer_matrix has shape \(2, 2\): expected .*\(3, 3\)"),
    ({"peers": -np.ones((3, 3))}, "weights >= 0"),
    ({"estimator": "exact"}, "estimator='exact'"),
    ({"min_over": "critics"}, "min_over='critics'"),
    ({"sync_interval": 0}, "sync_interval=0"),
    ({"batch_size": 0}, "batch_size=0: expected an integer >= 1"),
    ({"policy_delay": 0, "n_agents": 1}, "policy_delay=0: expected an integer >= 1"),
    ({"policy_delay": 1.5}, r"policy_delay=1\.5: expected an integer >= 1"),
    ({"seed": 1.5}, r"seed=1\.5: expected an integer from 0 to 4294967295"),
    ({"seed": -1, "n_agents": 1}, "seed=-1"),
    ({"policy_kwargs": {"optimizer_class": th.optim.LBFGS}}, r"optimizer_class=LBFGS: its step\(\) asks for a closure"),
    ({"action_noise": 0.1}, r"action_noise=0\.1: expected .*NormalActionNoise\(numpy\.zeros\(\(1,\)\)"),
    ({"action_noise": "ou", "n_agents": 1}, "action_noise='ou': expected an object"),
    ({"action_noise": NormalActionNoise(np.zeros(3), np.ones(3))}, r"action_noise has the shape \(3,\), .* has \(1,\)"),
]


@pytest.mark.parametrize(
    ("options", "message"), BAD, ids=lambda value: "-".join(value) if isinstance(value, dict) else ""
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        TD3PR("MlpPolicy", "Pendulum-v1", **{"n_agents": 3, "policy_kwargs": dict(SMALL), **options})


def test_what_upstream_runs_with_is_taken_for_one_agent():
    made = {**SMALL, "optimizer_class": functools.partial(th.optim.SGD, momentum=0.5)}
    options = {"policy_delay": 1.5, "seed": True, "batch_size": np.int64(4), "policy_kwargs": made}
    assert TD3PR("MlpPolicy", "Pendulum-v1", learning_starts=5, **options).learn(10)._n_updates == 5


def test_options_given_twice():
    with pytest.raises(TypeError, match="learning_rate is given twice"):
        TD3PR("MlpPolicy", "Pendulum-v1", 1e-3, learning_rate=1e-3)
    assert TD3PR("MlpPolicy", "Pendulum-v1", 3e-4, 500).buffer_size == 500


def test_columns_that_disagree():
    env = make_vec_env("Pendulum-v1", n_envs=2)
    with pytest.raises(ValueError, match=r"n_agents=3, but the environment has 2 column\(s\)"):
        TD3PR("MlpPolicy", env, n_agents=3)
    with pytest.raises(ValueError, match=r"n_agents=3, but the environment has 1 column\(s\)"):
        TD3PR("MlpPolicy", gym.make("Pendulum-v1"), n_agents=3)
    assert TD3PR("MlpPolicy", env).n_agents == 2


def test_loading_with_another_number_of_columns(tmp_path):
    TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, policy_kwargs=dict(SMALL)).save(tmp_path / "three")
    with pytest.raises(ValueError, match=r"n_agents=3, but the environment has 2 column"):
        TD3PR.load(tmp_path / "three", env=make_vec_env("Pendulum-v1", n_envs=2))


@pytest.mark.parametrize("n_agents", [1, 3])
def test_discrete_actions(n_agents):
    with pytest.raises(AssertionError, match=r"Discrete\(2\).*continuous_actions=True"):
        TD3PR("MlpPolicy", "CartPole-v1", n_agents=n_agents)


@pytest.mark.parametrize("n_agents", [1, 3])
def test_spaces_that_no_update_can_be_made_in(n_agents):
    def make(**given):
        env = gym.make("Pendulum-v1")
        vars(env).update(given)
        return env

    integers = spaces.Box(0, 10, (2,), np.int64)
    with pytest.raises(ValueError, match=r"the action space is Box\(0, 10, .*TD3 adds noise .* SACPR"):
        TD3PR("MlpPolicy", lambda: make(_action_space=integers), n_agents=n_agents)
    from_two = spaces.Dict({"a": spaces.Discrete(5, start=2)})
    with pytest.raises(ValueError, match=r"count the values of a Discrete from 0, not from 2"):
        TD3PR("MultiInputPolicy", lambda: make(_observation_space=from_two), n_agents=n_agents)


def test_one_agent_on_several_columns_has_a_noise_for_each(tmp_path):
    noise = NormalActionNoise(np.zeros(1), np.ones(1))
    options = {"policy_kwargs": dict(SMALL), "learning_starts": 8, "buffer_size": 100}
    TD3PR("MlpPolicy", "Pendulum-v1", action_noise=noise, kappa=0, **options).save(tmp_path / "one")
    model = TD3PR.load(tmp_path / "one", env=make_vec_env("Pendulum-v1", n_envs=4)).learn(24)
    assert model.action_noise.n_envs == 4
    model.save(tmp_path / "four")
    with pytest.raises(ValueError, match="VectorizedActionNoise of 4 environments, and there are 1"):
        TD3PR.load(tmp_path / "four", env=make_vec_env("Pendulum-v1", n_envs=1))


def test_adjacency_needs_coordinates():
    env = make_vec_env(lambda: FakeImageEnv(screen_height=36, screen_width=36, discrete=False), n_envs=2)
    with pytest.raises(ValueError, match="no real-valued vector"):
        TD3PR("CnnPolicy", env, adjacency="noise", buffer_size=10)
    with pytest.raises(ValueError, match="observation_masks need a Box observation of real numbers"):
        TD3PR("CnnPolicy", env, observation_masks=np.ones((2, 3)), buffer_size=10)


def test_upstreams_own_policy_class_is_the_one_of_its_name_and_those_that_cannot_stack_are_refused():
    class Mine(TD3Policy):
        pass

    with pytest.raises(ValueError, match=r"n_teams=2: several .* Derive your class from sb3_pr\.policies"):
        TD3PR(Mine, "Pendulum-v1", n_teams=2, kappa=0)
    by_class, by_name = (TD3PR(policy, "Pendulum-v1", n_agents=2, seed=0) for policy in (TD3Policy, "MlpPolicy"))
    assert_same_bits(by_class, by_name)


class Broken(gym.Env):
    """Returns what it is told to at one step."""

    observation_space = spaces.Box(-1, 1, (4,))
    action_space = spaces.Box(-1, 1, (1,))

    def __init__(self, where, value):
        self.where, self.value, self.steps = where, value, 0

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        observation = np.zeros(4, dtype=np.float32)
        if self.where == "reset":
            observation[2] = self.value
        return observation, {}

    def step(self, action):
        self.steps += 1
        observation, reward, terminated = self.np_random.normal(size=4).astype(np.float32), 0.0, self.steps % 10 == 0
        if self.steps == 40:
            if self.where == "reward":
                reward = self.value
            elif self.where in ("observation", "terminal"):
                observation[2] = self.value
                terminated = self.where == "terminal"
        return observation, reward, terminated, False, {}


@pytest.mark.parametrize(
    ("where", "value", "n_agents"),
    [("reward", np.nan, 3), ("reward", -np.inf, 1), ("observation", np.inf, 3), ("observation", np.nan, 1),
     ("terminal", -np.inf, 3), ("reset", np.nan, 3), ("reset", np.inf, 1)],
)  # fmt: skip
def test_non_finite_values_are_named_before_they_reach_a_network(where, value, n_agents):
    broken = n_agents - 1
    env = make_vec_env(lambda: Broken("fine", 0.0), n_envs=n_agents)
    inner = env.envs[broken].unwrapped
    inner.where, inner.value = where, value
    model = TD3PR("MlpPolicy", env, policy_kwargs=dict(SMALL), learning_starts=10, seed=0)
    what = {"terminal": "terminal observation", "reset": "observation"}.get(where, where)
    place = "" if where == "reward" else ", coordinate 2"
    when = "after reset" if where == "reset" else f"at step {40 * n_agents}"
    with pytest.raises(ValueError, match=f"non-finite {what} of agent {broken}{place} {when}: {value}") as error:
        model.learn(1000)
    assert "VecCheckNan" in str(error.value)
    assert all(np.isfinite(tensor.numpy()).all() for tensor in tensors(model).values())
    assert np.isfinite(model.replay_buffer.observations).all()
    assert np.isfinite(model.replay_buffer.rewards).all()


class Outside(Broken):
    """Observes 7 in Discrete(3), alone or in a Dict, at one step."""

    def __init__(self, where, part=False):
        super().__init__(where, 7)
        self.part = part
        self.observation_space = spaces.Dict({"d": spaces.Discrete(3)}) if part else spaces.Discrete(3)

    def reset(self, seed=None, options=None):
        return self._seen(super().reset(seed=seed)[0][2]), {}

    def step(self, action):
        observation, *rest = super().step(action)
        return self._seen(observation[2]), *rest

    def _seen(self, value):
        found = 7 if value == 7 else 1
        return {"d": found} if self.part else found


@pytest.mark.parametrize(
    ("where", "part", "n_agents"),
    [("observation", False, 3), ("observation", True, 1), ("terminal", False, 1), ("terminal", True, 3),
     ("reset", False, 3)],
)  # fmt: skip
def test_an_observation_that_no_network_takes_is_named(where, part, n_agents):
    env = make_vec_env(lambda: Outside("fine", part), n_envs=n_agents)
    env.envs[n_agents - 1].unwrapped.where = where
    policy = "MultiInputPolicy" if part else "MlpPolicy"
    model = TD3PR(policy, env, policy_kwargs=dict(SMALL), learning_starts=10, adjacency="same", seed=0)
    when = "after reset" if where == "reset" else f"at step {40 * n_agents}"
    key = "in 'd' " if part else ""
    with pytest.raises(ValueError, match=rf"observation 7 of agent {n_agents - 1} {key}{when} is not in .*Discrete\(3"):
        model.learn(1000)
    with pytest.raises(ValueError, match="observation 7 of environment 0 .*in an evaluation is not in"):
        evaluate_agents(model, Outside("observation", part), 5)


@pytest.mark.parametrize(
    "options",
    [{}, {"observation_masks": np.ones((3, 3))}, {"policy_kwargs": {**SMALL, "features_extractor_class": Odd}}],
)
def test_rows_that_are_not_equally_many_of_each_agent(options):
    model = TD3PR("MlpPolicy", "Pendulum-v1", **{"n_agents": 3, "policy_kwargs": dict(SMALL), **options})
    for rows in (1, 5):
        said = rf"^{rows} row\(s\) for a network of 3 agents: expected 3 or a multiple.*agent-major.*agent\(i\)\.critic"
        for ask in (
            model.critic,
            model.critic_target,
            model.policy.critic.q1_forward,
            lambda seen, _: model.actor(seen),
        ):
            with pytest.raises(ValueError, match=said):
                ask(th.zeros(rows, 3), th.zeros(rows, 1))
    model.critic.qf0[0].register_forward_hook(lambda *_: None)  # then layer by layer
    with pytest.raises(ValueError, match=r"^5 row\(s\)"):
        model.critic(th.zeros(5, 3), th.zeros(5, 1))
