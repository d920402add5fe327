"""PettingZoo ParallelEnvs: agents are columns, padded; a time limit is a truncation."""

import numpy as np
import pytest

pytest.importorskip("supersuit", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from mpe2 import simple_spread_v3, simple_tag_v3

from sb3_pr import DDPGPR, TD3PR
from sb3_pr.envs.columns import parallel_to_vec_env
from tests.sb3.tools import SMALL, tensors


@pytest.mark.parametrize(("algorithm", "module"), [(TD3PR, simple_spread_v3), (DDPGPR, simple_tag_v3)])
@pytest.mark.few(1)
def test_mpe_trains(algorithm, module):
    env = module.parallel_env(continuous_actions=True, max_cycles=25)
    model = algorithm("MlpPolicy", env, adjacency="resample", policy_kwargs=dict(SMALL), seed=0)
    assert model.n_agents == len(env.possible_agents)
    model.learn(130 * model.n_agents)
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
