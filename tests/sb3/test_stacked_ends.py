"""Stacked teams: a team's end, alarm, answers and draws are its own, whoever made its actor and environment."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium.envs.classic_control import PendulumEnv
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper
from stable_baselines3.sac.policies import Actor

from marl_pr_common.reciprocity.guards import NonFiniteError, ValueAlarm
from sb3_pr import SACPR, TD3PR
from sb3_pr.algorithms import sac
from tests.sb3.test_stacked_teams import alone, assert_same, stack
from tests.sb3.tools import assert_same_bits


class Loud(Actor):
    """An actor with a ``forward`` of its own, which stands beside the others' instead of being stacked."""

    def forward(self, obs, deterministic=False):
        return super().forward(obs, deterministic) * 0.9


class LoudPolicy(sac.MlpPolicy):
    def make_actor(self, features_extractor=None):
        return Loud(**self._update_features_extractor(self.actor_kwargs, features_extractor))


def test_actors_side_by_side_draw_for_their_team(monkeypatch):
    def loud(name, *args, **options):
        return SACPR(LoudPolicy, *args, **options)

    given = {"n_agents": 2, "action_noise": None, "steps": 16}
    stacked = stack(loud, **given)
    assert isinstance(stacked.actor, sac.PerAgentActor)
    assert_same(stacked.team(1), alone(loud, seed=8, **given), rows=16)
    th.manual_seed(123)
    assert_same_bits(stack(loud, **given), stacked)
    stacked.streams.on_device = [th.Generator()]  # as on another device
    with pytest.raises(ValueError, match=r"n_teams=2 with Loud on device=cpu: an actor with a forward of its own"):
        stacked.streams.require_cpu(stacked.actor.agents[0])


class Resets(PendulumEnv):
    """Begins with an observation that it should not, once, if it is number :attr:`which`."""

    made = 0
    which = None

    def __init__(self):
        super().__init__()
        self.number, Resets.made = Resets.made, Resets.made + 1

    def reset(self, **options):
        observation, info = super().reset(**options)
        return (observation * np.nan if self.number == Resets.which else observation), info


def resetting(which, n_teams=2):
    Resets.made, Resets.which = 0, which
    given = {"policy_kwargs": {"net_arch": [4]}, "batch_size": 4, "learning_starts": 4 * n_teams, "buffer_size": 100}
    model = TD3PR("MlpPolicy", Resets, n_agents=2, n_teams=n_teams, seed=7, **given)
    return model.learn(6 * 2 * n_teams)


def test_a_nan_at_reset_ends_its_team_alone():
    model = resetting(3)
    assert list(model.ended) == [1]
    assert "non-finite observation of agent 3" in model.ended[1]
    assert_same_bits(model.team(0), resetting(None).team(0))
    with pytest.raises(NonFiniteError, match="agent 1"):
        resetting(1, n_teams=1)


class ReadOnly(VecEnvWrapper):
    """Arrays that may not be written to, as those of JAX or of another process' memory; one reward is no number."""

    def reset(self):
        self.step_number = 0
        return self._closed(self.venv.reset())

    def step_wait(self):
        observations, rewards, dones, infos = self.venv.step_wait()
        self.step_number += 1
        if self.step_number == 7:
            rewards[1] = np.nan
        return self._closed(observations), self._closed(rewards), dones, infos

    def _closed(self, array):
        array.flags.writeable = False
        return array


def test_arrays_of_an_environment_are_its_own():
    def learnt(wrapper):
        env = wrapper(make_vec_env("Pendulum-v1", n_envs=2))
        given = {"policy_kwargs": {"net_arch": [4]}, "batch_size": 4, "learning_starts": 4, "buffer_size": 100}
        return TD3PR("MlpPolicy", env, kappa=0, n_teams=2, seed=7, **given).learn(40)

    model = learnt(ReadOnly)
    assert list(model.ended) == [1]
    assert_same_bits(model.team(0), learnt(lambda env: env).team(0))


def test_no_team_answers_for_another(tmp_path):
    model = stack(steps=0)
    model.policy.save(tmp_path / "policy")
    for policy in (model.policy, type(model.policy).load(tmp_path / "policy")):
        with pytest.raises(ValueError, match=r"predict\(\) of 1 observation\(s\) by a policy of 2 teams.*team\(t\)"):
            policy.predict(np.zeros(3, np.float32))
        assert policy.predict(np.zeros((6, 3), np.float32))[0].shape == (6, 1)
    assert model.team(1).policy.predict(np.zeros(3, np.float32))[0].shape == (1,)


def test_the_alarm_of_a_team_knows_its_own_rewards(caplog):
    alarm = ValueAlarm(n_teams=2)
    alarm.see(np.array([1.0, -2.0, 0.0, 100.0]))
    alarm.check(np.array([50.0, 5.0, 50.0, 1e4]), gamma=0.9, update=1)
    assert alarm.ringing == [0, 3]
    assert "agent 0 diverges: its mean Q is 50 at update 1, but rewards up to 2 with" in caplog.text
    again = ValueAlarm(n_teams=2)
    again.load_state_dict(alarm.state_dict())
    np.testing.assert_array_equal(again.largest_reward, [2.0, 100.0])
    again.load_state_dict({"largest_reward": 3.0, "ringing": []})  # of an earlier release
    np.testing.assert_array_equal(again.largest_reward, [3.0, 3.0])
    model = stack(steps=15)
    largest = np.abs(model.replay_buffer.rewards[:15]).reshape(15, 2, 3).max((0, 2))
    np.testing.assert_allclose(model.watch.alarm.largest_reward, largest, rtol=1e-6)
    assert model.team(1).watch.alarm.largest_reward == pytest.approx(largest[1])


def test_without_a_monitor_a_team_that_ended_logs_no_episodes():
    class Bad(gym.Wrapper):
        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation, np.nan, *rest

    def env(bad):
        plain = gym.wrappers.TimeLimit(PendulumEnv(), 5)
        return Bad(plain) if bad else plain

    columns = DummyVecEnv([lambda bad=bad: env(bad) for bad in (False, True)])
    model = TD3PR("MlpPolicy", columns, n_agents=1, n_teams=2, seed=0, policy_kwargs={"net_arch": [4]}).learn(24)
    assert list(model.ended) == [1]
    assert [len(played) for played in model._agent_episodes] == [2, 0]
