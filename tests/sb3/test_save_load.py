"""Saving, loading, going on."""

import base64
import json
import sys
import zipfile

import numpy as np
import pytest
import torch as th
from stable_baselines3 import DDPG, TD3
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from marl_pr_common.reciprocity import Reciprocity, ReciprocityConfig
from sb3_pr import DDPGPR, SACPR, TD3PR
from tests import warm
from tests.sb3.tools import ALGORITHMS, SMALL, assert_same_bits, tensors, trained


@pytest.mark.parametrize("options", [{}, {"adjacency": "noise", "sync_interval": 5, "peers": "random"}])
@pytest.mark.parametrize("cls", ALGORITHMS)
@pytest.mark.few(3)
def test_save_and_load_keep_networks_optimisers_and_reciprocity(cls, options, tmp_path):
    model = trained(cls, **options)
    model.save(tmp_path / "model")
    loaded = cls.load(tmp_path / "model")
    assert_same_bits(model, loaded)
    assert loaded.pr == model.pr
    assert loaded.n_agents == 3
    assert loaded.leader == model.leader
    if model.peer_critics is not None:
        for mine, other in zip(model.peer_critics.parameters(), loaded.peer_critics.parameters(), strict=True):
            assert th.equal(mine, other)
    assert np.array_equal(loaded.reciprocity.peer_weights, model.reciprocity.peer_weights)
    obs = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0])
    states = th.randn(3, 8, 3)
    if model.pr.adjacency != "same":  # PR's own generator goes on where it stood
        assert th.equal(model.reciprocity.adjacent(states).states, loaded.reciprocity.adjacent(states).states)


@pytest.mark.parametrize("cls", ALGORITHMS)
@pytest.mark.few(1)
def test_a_loaded_model_goes_on_like_the_saved_one(cls, tmp_path):
    """With the same replay buffer and global generators, the next updates are the same, bit for bit."""
    model = trained(cls, adjacency="resample")
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    loaded = cls.load(tmp_path / "model", env=make_vec_env("Pendulum-v1", n_envs=3))
    loaded.load_replay_buffer(tmp_path / "buffer.pkl")
    for one in (model, loaded):
        one._setup_learn(100, reset_num_timesteps=False)
        one._current_progress_remaining = 0.5
        np.random.seed(1)  # noqa: NPY002
        th.manual_seed(1)
        one.train(20, 32)
    assert_same_bits(model, loaded)


def test_a_saved_model_holds_no_object_of_reciprocity(tmp_path):
    model = trained(adjacency="noise", peers="random")
    model.save(tmp_path / "model")
    assert (type(model.pr), type(model.reciprocity)) == (ReciprocityConfig, Reciprocity)
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        content = json.loads(archive.read("data"))
    assert content["pr"]["adjacency"] == "noise"
    assert list(content["reciprocity"]) == ["tree", "tensors"]
    pickled = [base64.b64decode(entry[":serialized:"]) for entry in content.values() if ":serialized:" in str(entry)]
    assert pickled
    assert not any(b"marl_pr_common" in entry for entry in pickled)


def test_damaged_state_of_reciprocity_is_refused(tmp_path):
    trained().save(tmp_path / "model")
    for damaged in ({"tree": {}}, {"tree": {}, "tensors": "AAAA"}, {}):
        with pytest.raises(ValueError, match="damaged"):
            TD3PR.load(tmp_path / "model", reciprocity=damaged)


def test_learning_continues_after_loading(tmp_path):
    model = trained()
    model.save(tmp_path / "model")
    loaded = TD3PR.load(tmp_path / "model", env=make_vec_env("Pendulum-v1", n_envs=3))
    loaded.learn(60, reset_num_timesteps=False)
    assert loaded.num_timesteps == 150 + 60


def test_options_may_be_changed_when_loading(tmp_path):
    trained(kappa=0.5).save(tmp_path / "model")
    loaded = TD3PR.load(tmp_path / "model", kappa=0.2, adjacency="resample", rho=2)
    assert (loaded.kappa, loaded.pr.adjacency, loaded.reciprocity.config.rho) == (0.2, "resample", 2)
    with pytest.raises(ValueError, match="kappa=3"):
        TD3PR.load(tmp_path / "model", kappa=3)
    with pytest.raises(TypeError, match="Did you mean 'kappa'"):
        TD3PR.load(tmp_path / "model", kapa=0.3)
    assert TD3PR.load(tmp_path / "model", policy_kwargs=dict(SMALL)).n_agents == 3
    masks = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    np.testing.assert_array_equal(TD3PR.load(tmp_path / "model", observation_masks=masks).reciprocity.masks, masks)
    with pytest.raises(ValueError, match="policy kwargs do not equal"):
        TD3PR.load(tmp_path / "model", policy_kwargs={"net_arch": [7]})
    with pytest.raises(ValueError, match="sync_interval=9, but the model was saved with 1"):
        TD3PR.load(tmp_path / "model", sync_interval=9)


def test_a_file_of_another_algorithm_is_named(tmp_path):
    SACPR("MlpPolicy", "Pendulum-v1", n_agents=2, policy_kwargs=dict(SMALL)).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"is that of SACPR, and the model a TD3PR.*SACPR\.load"):
        TD3PR.load(tmp_path / "model")


def test_loading_with_another_kappa_keeps_what_reciprocity_knows(tmp_path):
    model = trained(adjacency="noise", peers="random", kappa=0.5)
    model.save(tmp_path / "model")
    loaded = TD3PR.load(tmp_path / "model", kappa=0.3)
    assert loaded.reciprocity.config.kappa == 0.3
    for mine, other in zip(*(one.reciprocity.state_dict()["moments"] for one in (model, loaded)), strict=True):
        assert th.equal(th.as_tensor(mine), th.as_tensor(other))
    np.testing.assert_array_equal(loaded.reciprocity.peer_weights, model.reciprocity.peer_weights)
    states = th.randn(3, 8, 3)
    assert th.equal(model.reciprocity.adjacent(states).states, loaded.reciprocity.adjacent(states).states)


@pytest.mark.parametrize("policy", ["MlpPolicy", "CnnPolicy"])
def test_policy_save_and_load(policy, tmp_path):
    if policy == "CnnPolicy":
        from stable_baselines3.common.envs import FakeImageEnv

        env = make_vec_env(lambda: FakeImageEnv(screen_height=36, screen_width=36, discrete=False), n_envs=2)
        model = TD3PR(policy, env, buffer_size=10, policy_kwargs={"net_arch": [8]})
    else:
        model = TD3PR(policy, "Pendulum-v1", n_agents=2, policy_kwargs=dict(SMALL))
    model.policy.save(tmp_path / "policy.pkl")
    loaded = type(model.policy).load(tmp_path / "policy.pkl")
    obs = np.stack([model.observation_space.sample() for _ in range(2)])
    np.testing.assert_array_equal(loaded.predict(obs)[0], model.policy.predict(obs)[0])


def test_replay_buffer_files_are_plain_sb3s(tmp_path):
    """A buffer saved by a group is loaded by a group, and one saved by upstream with as many envs too."""
    model = trained(steps=150)
    model.save_replay_buffer(tmp_path / "group.pkl")
    before = model.replay_buffer.observations.copy()
    model.load_replay_buffer(tmp_path / "group.pkl")
    np.testing.assert_array_equal(model.replay_buffer.observations, before)
    assert len(model.replay_buffer.sample(5).rewards) == 15
    upstream = TD3("MlpPolicy", make_vec_env("Pendulum-v1", n_envs=3), policy_kwargs=dict(SMALL)).learn(150)
    upstream.save_replay_buffer(tmp_path / "upstream.pkl")
    assert type(upstream.replay_buffer) is ReplayBuffer
    model.load_replay_buffer(tmp_path / "upstream.pkl")
    assert len(model.replay_buffer.sample(5).rewards) == 15


def test_set_env_and_pickled_group():
    model = trained()
    model.set_env(make_vec_env("Pendulum-v1", n_envs=3))
    model.learn(90)
    with pytest.raises(AssertionError):
        model.set_env(make_vec_env("Pendulum-v1", n_envs=2))


def test_one_agent_may_be_loaded_with_several_copies_of_its_environment(tmp_path):
    TD3PR("MlpPolicy", "Pendulum-v1", policy_kwargs=dict(SMALL)).learn(120).save(tmp_path / "one")
    loaded = TD3PR.load(tmp_path / "one", env=make_vec_env("Pendulum-v1", n_envs=2))
    assert loaded.n_agents == 1
    loaded.learn(100)


PROGRAM = """
import hashlib, torch as th
th.set_num_threads(1)
from sb3_pr import TD3PR
model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, adjacency="noise", peers="random", estimator="sampled",
              policy_kwargs=dict(net_arch=[16]), seed=3).learn(240)
digest = hashlib.sha256()
for tensor in model.policy.state_dict().values():
    digest.update(tensor.numpy().tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_a_seed_gives_the_same_run_in_two_processes():
    done = [warm.run([sys.executable, "-c", PROGRAM]) for _ in range(2)]
    assert [one.returncode for one in done] == [0, 0], done
    assert done[0].stdout == done[1].stdout
    assert len(done[0].stdout.strip()) == 64


def test_vec_normalize_statistics_survive(tmp_path):
    env = VecNormalize(make_vec_env("Pendulum-v1", n_envs=2))
    model = DDPGPR("MlpPolicy", env, policy_kwargs=dict(SMALL)).learn(150)
    model.save(tmp_path / "m")
    env.save(tmp_path / "stats.pkl")
    again = VecNormalize.load(tmp_path / "stats.pkl", make_vec_env("Pendulum-v1", n_envs=2))
    loaded = DDPGPR.load(tmp_path / "m", env=again)
    assert loaded.get_vec_normalize_env() is again
    loaded.learn(100)
    assert tensors(loaded)
    assert isinstance(loaded.agent(0), DDPG)
