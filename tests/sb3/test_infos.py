"""What environments say beside observation and reward, as it is copied for the caller."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from sb3_pr import TD3PR
from sb3_pr.envs.infos import Infos, copied_quickly


class Telling(gym.Wrapper):
    """Keeps one dictionary and one list, and writes into them in every step."""

    def __init__(self, env):
        super().__init__(env)
        self.told = {"seen": [], "count": 0}

    def step(self, action):
        obs, reward, terminated, truncated, _ = self.env.step(action)
        self.told["count"] += 1
        self.told["seen"].append(self.told["count"])
        return obs, reward, terminated, truncated, self.told


def make():
    return Telling(gym.make("Pendulum-v1"))


def test_what_an_environment_writes_later_does_not_change_what_it_told():
    venv = copied_quickly(DummyVecEnv([make, make]))
    venv.reset()
    kept = [venv.step(np.zeros((2, 1)))[3] for _ in range(3)]
    assert [infos[1]["count"] for infos in kept] == [1, 2, 3]
    assert [infos[0]["seen"] for infos in kept] == [[1], [1, 2], [1, 2, 3]]
    assert all(type(infos) is list for infos in kept)


@pytest.mark.parametrize(
    "info",
    [{}, {"x": 1.5, "y": np.float64(2), "z": None}, {"nested": {"a": [1]}, "terminal_observation": np.ones(3)}],
    ids=["empty", "numbers", "nested"],
)
def test_a_copy_is_what_deepcopy_makes(info):
    (copied,) = copy.deepcopy(Infos([info]))
    assert copied is not info
    assert copied.keys() == info.keys()
    for key, value in info.items():
        assert type(copied[key]) is type(value)
        assert np.array_equal(copied[key], value) if isinstance(value, np.ndarray) else copied[key] == value
        assert isinstance(value, (float, type(None))) or copied[key] is not value


def test_the_environments_of_an_id_are_copied_quickly_and_others_are_left_alone():
    assert type(TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2).env.unwrapped.buf_infos) is Infos
    given = DummyVecEnv([make, make])
    assert type(TD3PR("MlpPolicy", given).env.unwrapped.buf_infos) is list
    processes = SubprocVecEnv([make], start_method="fork")
    try:
        assert copied_quickly(processes) is processes
    finally:
        processes.close()
