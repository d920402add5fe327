"""PettingZoo agents that end on their own: their ends are theirs, and nothing is learnt while they wait."""

from typing import ClassVar

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import ReplayBuffer

pytest.importorskip("pettingzoo", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from pettingzoo import ParallelEnv

from sb3_pr import TD3PR, evaluate_agents
from sb3_pr.envs.columns import parallel_to_vec_env, with_agents_as_columns
from tests.sb3.test_copies import COPIERS
from tests.sb3.tools import SMALL, assert_same_bits

SETTINGS = {"policy_kwargs": SMALL, "learning_starts": 20, "seed": 0}


class Pair(ParallelEnv):
    """Agents a and b see the step's number and are paid 1; ``ends`` says when each ends and how."""

    possible_agents = ["a", "b"]  # noqa: RUF012

    def __init__(self, ends, clear=True):
        self.ends, self.clear = ends, clear

    def observation_space(self, agent):
        return spaces.Box(0, 99, (2,))

    def action_space(self, agent):
        return spaces.Box(-1, 1, (1,))

    def reset(self, seed=None, options=None):
        self.agents, self.steps = list(self.possible_agents), 1
        return {agent: self._seen() for agent in self.agents}, {}

    def _seen(self):
        return np.full(2, self.steps, dtype=np.float32)

    def step(self, actions):
        assert set(actions) == set(self.agents)
        self.steps += 1
        over = {agent: self.ends[agent][1] if self.steps > self.ends[agent][0] else "" for agent in self.agents}
        result = (
            {agent: self._seen() for agent in self.agents},
            dict.fromkeys(self.agents, 1.0),
            {agent: how == "end" for agent, how in over.items()},
            {agent: how == "limit" for agent, how in over.items()},
            {},
        )
        if self.clear:
            self.agents = [agent for agent in self.agents if not over[agent]]
        return result


@pytest.mark.parametrize("clear", [True, False])
@pytest.mark.parametrize("how", ["end", "limit"])
def test_an_end_is_what_the_agent_said_when_it_said_it(how, clear):
    venv = parallel_to_vec_env(Pair({"a": (2, how), "b": (4, "limit")}, clear))
    venv.reset()
    steps = [venv.step(np.zeros((2, 1), dtype=np.float32)) for _ in range(4)]
    assert [dones.tolist() for _, _, dones, _ in steps] == [[False] * 2, [True, False], [False] * 2, [True] * 2]
    assert [rewards.tolist() for _, rewards, _, _ in steps] == [[1, 1], [1, 1], [0, 1], [0, 1]]
    first, last = steps[1][3][0], steps[3][3]
    assert first["TimeLimit.truncated"] is (how == "limit")
    assert first["terminal_observation"].tolist() == [3, 3]
    assert first["episode"]["r"] == first["episode"]["l"] == 2
    assert "episode" not in last[0]
    assert last[1]["TimeLimit.truncated"]
    assert last[1]["terminal_observation"].tolist() == [5, 5]
    assert last[1]["episode"]["l"] == 4
    assert steps[2][0][0].tolist() == [0, 0]
    assert steps[3][0].tolist() == [[1, 1], [1, 1]]


def test_an_environment_may_write_all_its_observations_into_one_array():
    class Reusing(Pair):
        memory: ClassVar = {agent: np.zeros(2, dtype=np.float32) for agent in Pair.possible_agents}

        def reset(self, seed=None, options=None):
            return self._written(super().reset()[0]), {}

        def step(self, actions):
            observations, *rest = super().step(actions)
            return self._written(observations), *rest

        def _written(self, observations):
            for agent, seen in observations.items():
                self.memory[agent][:] = seen
            return {agent: self.memory[agent] for agent in observations}

    model = TD3PR("MlpPolicy", Reusing({"a": (2, "limit"), "b": (4, "limit")}), **SETTINGS).learn(16)
    assert model.replay_buffer.next_observations[:4, 1, 0].tolist() == [2, 3, 4, 5]
    assert model.replay_buffer.next_observations[[1, 3], 0, 0].tolist() == [3, 3]


def test_who_hides_the_ends_of_agents_is_named():
    supersuit = pytest.importorskip("supersuit", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
    env = supersuit.frame_stack_v2(supersuit.black_death_v3(Pair({"a": (2, "end"), "b": (4, "limit")})), 2)
    with pytest.warns(UserWarning, match="black_death hides when an agent ends.*leave the wrapper out"):
        with_agents_as_columns(env)


@pytest.mark.parametrize("options", [{}, {"n_steps": 3}, {"shared_replay": True}], ids=str)
def test_steps_in_which_an_agent_waited_are_never_drawn(options, tmp_path):
    model = TD3PR("MlpPolicy", Pair({"a": (2, "end"), "b": (9, "limit")}), **SETTINGS, **options).learn(80)
    model.save_replay_buffer(tmp_path / "buffer")
    model.load_replay_buffer(tmp_path / "buffer")
    batch = model.replay_buffer.sample(200)
    assert batch.observations.min() >= 1  # an agent that waits is shown 0
    assert batch.next_observations.min() >= 1
    ends, seen = batch.dones.view(2, 200), batch.next_observations[:, 0].view(2, 200)
    if not options:
        assert th.equal(ends[0], (seen[0] == 3).float())
        assert ends[1].max() == 0
        assert (batch.rewards == 1).all()
    assert {episode["l"] for episode in model.ep_info_buffer} == {2, 9}


def test_who_draws_rows_by_himself_is_told_that_an_agent_left():
    class Own(ReplayBuffer):
        def sample(self, batch_size, env=None):
            return self._get_samples(np.zeros(batch_size, dtype=int), env)

    env = Pair({"a": (2, "end"), "b": (9, "limit")})
    with pytest.raises(ValueError, match="column 0 took no part in a step.*Own draws its rows"):
        TD3PR("MlpPolicy", env, replay_buffer_class=Own, **SETTINGS).learn(80)
    assert HerReplayBuffer.sample.__module__ != ReplayBuffer.sample.__module__  # refused likewise


class Unseen(Pair):
    """Agent a is cut off without a last observation, and starts late."""

    def reset(self, seed=None, options=None):
        observations, infos = super().reset()
        self.agents.remove("a")
        return {"b": observations["b"]}, infos

    def step(self, actions):
        observations, *rest = super().step(actions)
        if self.steps == 2:
            self.agents.append("a")
            observations["a"] = self._seen()
        elif self.steps > self.ends["a"][0]:
            observations.pop("a", None)
        return observations, *rest


def test_a_step_with_an_unknown_end_is_no_transition():
    model = TD3PR("MlpPolicy", Unseen({"a": (4, "limit"), "b": (9, "limit")}), **SETTINGS).learn(80)
    assert model.replay_buffer.present[:9, 0].tolist() == [False, True, True] + [False] * 6
    assert model.replay_buffer.present[:9, 1].all()
    late, punctual = evaluate_agents(model, Unseen({"a": (4, "limit"), "b": (9, "limit")}), 2)
    assert (late.tolist(), punctual.tolist()) == ([3, 3], [9, 9])


def test_leaving_without_a_word_is_a_time_limit_and_said():
    class Silent(Pair):
        def step(self, actions):
            observations, rewards, *_ = super().step(actions)
            return observations, rewards, {}, {}, {}

    venv = parallel_to_vec_env(Silent({"a": (2, "end"), "b": (3, "end")}))
    venv.reset()
    venv.step(np.zeros((2, 1)))
    with pytest.warns(UserWarning, match="agent 'a' left env.agents without termination or truncation"):
        _, _, dones, infos = venv.step(np.zeros((2, 1)))
    assert dones.tolist() == [True, False]
    assert infos[0]["TimeLimit.truncated"]


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "cloudpickle"])
def test_a_copy_has_a_world_of_its_own(how):
    model = TD3PR("MlpPolicy", Pair({"a": (3, "end"), "b": (10, "limit")}), **SETTINGS).learn(30)
    other = COPIERS[how](model)
    assert other.env.unwrapped.env is not model.env.unwrapped.env
    for one in (model, other):
        th.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        one.learn(30, reset_num_timesteps=False)
    assert_same_bits(model, other)
    assert list(other.ep_info_buffer)[-1]["l"] == 10
