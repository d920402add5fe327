"""PettingZoo ParallelEnvs: agents are columns, padded; a time limit is a truncation."""

import numpy as np
import pytest
from gymnasium import spaces

pytest.importorskip("supersuit", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from mpe2 import simple_spread_v3, simple_tag_v3
from pettingzoo import ParallelEnv

from sb3_pr import DDPGPR, TD3PR
from sb3_pr.vec_env import parallel_to_vec_env
from tests.sb3.tools import ALGORITHMS, SMALL, tensors


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("module", [simple_spread_v3, simple_tag_v3])
def test_mpe_trains(algorithm, module):
    env = module.parallel_env(continuous_actions=True, max_cycles=25)
    model = algorithm("MlpPolicy", env, adjacency="resample", policy_kwargs=dict(SMALL), seed=0)
    assert model.n_agents == len(env.possible_agents)
    model.learn(200 * model.n_agents)
    assert all(np.isfinite(tensor.numpy()).all() for tensor in tensors(model).values())
    assert model.predict(model.get_env().reset())[0].shape == (model.n_agents, 5)
    lengths = [episode["l"] for episode in model.ep_info_buffer]
    assert set(lengths) == {25}


def test_the_time_limit_is_a_truncation_and_lands_in_the_replay_buffer():
    env = simple_spread_v3.parallel_env(continuous_actions=True, max_cycles=7)
    model = DDPGPR("MlpPolicy", env, policy_kwargs=dict(SMALL), learning_starts=10_000)
    model.learn(3 * 21)
    ends = np.flatnonzero(model.replay_buffer.dones[:21, 0])
    assert ends.tolist() == [6, 13, 20]
    np.testing.assert_array_equal(model.replay_buffer.timeouts[ends], 1)
    batch = model.replay_buffer.sample(200)
    assert batch.dones.max() == 0  # bootstrapped, not ended


def test_padding_gives_every_agent_the_same_spaces():
    venv = parallel_to_vec_env(simple_tag_v3.parallel_env(continuous_actions=True))
    assert venv.observation_space.shape == (16,)
    assert venv.num_envs == 4


@pytest.mark.parametrize("seed", [0, 5])
def test_a_seed_repeats_the_episode(seed):
    venv = parallel_to_vec_env(simple_spread_v3.parallel_env(continuous_actions=True))
    venv.seed(seed)
    first = venv.reset()
    assert not np.array_equal(venv.reset(), first)
    venv.seed(seed)
    np.testing.assert_array_equal(venv.reset(), first)


class Leaving(ParallelEnv):
    """Agent 0 finishes at step 2, agent 1 at step 4 or, with ``cut``, runs into the time limit there."""

    metadata = {"name": "leaving_v0"}  # noqa: RUF012
    possible_agents = ["a", "b"]  # noqa: RUF012
    render_mode = None

    def __init__(self, cut):
        self.cut = cut

    def observation_space(self, agent):
        return spaces.Box(-10, 10, (2,))

    def action_space(self, agent):
        return spaces.Box(-1, 1, (1,))

    def reset(self, seed=None, options=None):
        self.agents, self.steps = ["a", "b"], 0
        return {agent: np.ones(2, dtype=np.float32) for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(self, actions):
        assert set(actions) == set(self.agents)
        self.steps += 1
        alive = list(self.agents)
        ended = {a: (a == "a" and self.steps == 2) or (a == "b" and self.steps == 4 and not self.cut) for a in alive}
        cut = dict.fromkeys(alive, self.steps == 4 and self.cut)
        self.agents = [a for a in alive if not ended[a] and not cut[a]]
        observations = {a: np.full(2, self.steps, dtype=np.float32) for a in alive}
        return observations, dict.fromkeys(alive, 1.0), ended, cut, {a: {} for a in alive}


@pytest.mark.parametrize("cut", [False, True])
def test_an_agent_that_leaves_early_sees_zeros_until_the_others_finish(cut):
    venv = parallel_to_vec_env(Leaving(cut))
    venv.reset()
    rewards, dones, infos = [], [], []
    for step in range(4):
        observations, reward, done, info = venv.step(np.zeros((2, 1), dtype=np.float32))
        if step == 2:
            np.testing.assert_array_equal(observations, [[0, 0], [3, 3]])
        rewards.append(reward.tolist())
        dones.append(done.tolist())
        infos.append(info)
    assert rewards == [[1, 1], [1, 1], [0, 1], [0, 1]]
    assert dones == [[False, False]] * 3 + [[True, True]]
    assert [info["TimeLimit.truncated"] for info in infos[-1]] == [False, cut]
    assert [info["episode"]["r"] for info in infos[-1]] == [2, 4]


def test_discrete_actions_are_refused_with_the_way_out():
    with pytest.raises(AssertionError, match="continuous_actions=True"):
        TD3PR("MlpPolicy", simple_spread_v3.parallel_env(continuous_actions=False))


def test_a_function_may_make_the_environment():
    model = TD3PR("MlpPolicy", lambda: simple_spread_v3.parallel_env(continuous_actions=True))
    assert model.n_agents == 3


def test_saved_groups_load_with_a_pettingzoo_environment(tmp_path):
    env = simple_spread_v3.parallel_env(continuous_actions=True)
    TD3PR("MlpPolicy", env, policy_kwargs=dict(SMALL)).save(tmp_path / "spread")
    loaded = TD3PR.load(tmp_path / "spread", env=simple_spread_v3.parallel_env(continuous_actions=True))
    loaded.learn(60)
