"""Stacked teams: files, exact resume, what is refused, and a team that ends."""

import copy
import logging
import pickle

import numpy as np
import pytest
import torch as th
from gymnasium.envs.classic_control import PendulumEnv
from mpe2 import simple_spread_v3
from stable_baselines3 import TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import VectorizedActionNoise
from stable_baselines3.common.vec_env import VecNormalize

from marl_pr_common.reciprocity.guards import NonFiniteError
from sb3_pr import DDPGPR, SACPR, TD3PR, load_checkpoint, save_checkpoint
from tests.sb3.test_stacked_teams import STEPS, options, stack
from tests.sb3.tools import assert_same_bits


def pendulums(n=6):
    return make_vec_env("Pendulum-v1", n)


@pytest.mark.parametrize("cls", [TD3PR, SACPR])
def test_a_stack_is_saved_and_loaded(cls, tmp_path):
    model = stack(cls, trust="td")
    model.save(tmp_path / "model")
    loaded = cls.load(tmp_path / "model", env=pendulums())
    assert (loaded.n_agents, loaded.n_teams, tuple(loaded.seeds), loaded.n_columns) == (3, 2, (7, 8), 6)
    assert_same_bits(loaded, model)
    np.testing.assert_array_equal(loaded.reciprocity.errors, model.reciprocity.errors)
    model.save_replay_buffer(tmp_path / "replay")
    loaded.load_replay_buffer(tmp_path / "replay")
    assert_same_bits(loaded.team(1), model.team(1))
    loaded.learn(5 * 6, reset_num_timesteps=False)
    lone = loaded.team(1)
    lone.save(tmp_path / "team")
    assert_same_bits(cls.load(tmp_path / "team"), lone)
    with pytest.raises(ValueError, match=r"n_agents=3, n_teams=2.*5 column.*6 environments"):
        cls.load(tmp_path / "model", env=pendulums(5))


@pytest.mark.parametrize("cls", [TD3PR, SACPR])
@pytest.mark.few(1)
def test_a_stack_resumes_exactly(cls, tmp_path):
    pr = {"adjacency": "noise", "trust": "td", "peers": "random", "sync_interval": 2}
    whole = stack(cls, **pr).learn(10 * 6, reset_num_timesteps=False)
    save_checkpoint(stack(cls, **pr), tmp_path)
    resumed = stack(cls, steps=0, **pr)
    th.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002
    load_checkpoint(tmp_path, resumed)
    resumed.learn(10 * 6, reset_num_timesteps=False)
    assert resumed.num_timesteps == whole.num_timesteps == (STEPS + 10) * 6
    assert_same_bits(resumed, whole)
    np.testing.assert_array_equal(resumed.replay_buffer.actions, whole.replay_buffer.actions)


REFUSED = [
    ({"n_teams": 0}, "n_teams=0: expected an integer >= 1"),
    ({"n_teams": True}, "n_teams=True"),
    ({"n_teams": 2.0}, "n_teams=2.0"),
    ({"n_teams": 2, "seeds": [1, 2, 3]}, "n_teams=2 with 3 seeds"),
    ({"seeds": [1, 1]}, "two teams of one seed"),
    ({"seeds": [1, -1]}, "expected a list of integers"),
    ({"seeds": 3}, "expected a list of integers"),
    ({"seeds": []}, "expected a list of integers"),
    ({"seeds": [1, 2], "seed": 0}, "give the first of consecutive seeds, or all"),
    ({"n_teams": 2, "seed": 2**32 - 1}, "expected integers from 0"),
    ({"n_teams": 2, "leader": 0}, "each team has its own|each team has a leader"),
    ({"n_teams": 2, "n_agents": 1, "observation_masks": [[1, 0, 1]]}, "observation_masks with n_agents=1"),
    ({"n_teams": 2, "n_agents": 2, "env": lambda: pendulums(5)}, "5 column.*VecEnv with 4"),
    ({"n_teams": 2, "env": lambda: pendulums(5), "n_agents": None}, "5 column.*multiple"),
    ({"n_teams": 2, "env": lambda: VecNormalize(pendulums(4))}, "VecNormalize: its statistics are of all columns"),
    ({"n_teams": 3, "n_agents": 1, "env": simple_spread_v3.parallel_env}, "agents share one world"),
    ({"n_tems": 3}, "n_teams"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_teams_cannot_be(given, message):
    given = {"n_agents": 2, "env": lambda: "Pendulum-v1", **given}
    env = given.pop("env")
    env = env(continuous_actions=True) if env is simple_spread_v3.parallel_env else env()
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        TD3PR("MlpPolicy", env, **given)


def test_what_needs_one_team_says_whose():
    model = stack(steps=0)
    with pytest.raises(ValueError, match=r"agent\(1\).*n_teams=2: whose\? Use model.team\(t\).agent\(1\)"):
        model.agent(1)
    with pytest.raises(ValueError, match=r"leader of a model with n_teams=2"):
        _ = model.leader
    with pytest.raises(ValueError, match=r"index=2: expected a team from 0 to 1"):
        model.team(2)
    with pytest.raises(ValueError, match=r"predict\(\) of 1 observation.*model.team\(t\).predict"):
        model.predict(np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match=r"model.team\(t\).predict"):
        model.predict(np.zeros((6, 3), np.float32), team="vote")
    assert model.predict(np.zeros((6, 3), np.float32))[0].shape == (6, 1)
    with pytest.raises(ValueError, match="n_teams=2, but it makes one team"):
        TD3PR.from_agents([TD3("MlpPolicy", "Pendulum-v1")], n_teams=2)
    with pytest.raises(ValueError, match="VecNormalize"):
        model.set_env(VecNormalize(pendulums()))
    with pytest.raises(ValueError, match="use_sde=True with n_teams=2"):
        SACPR("MlpPolicy", "Pendulum-v1", n_teams=2, use_sde=True)

    class Coupled(VectorizedActionNoise):
        pass

    noise = Coupled(options()["action_noise"], 6)
    with pytest.raises(ValueError, match="each agent needs a noise of its own"):
        stack(action_noise=noise)


class Breaks(PendulumEnv):
    """Returns a reward that it should not in its 20th step, and ever after."""

    made = 0
    which = None
    reward = np.nan

    def __init__(self):
        super().__init__()
        self.number, Breaks.made = Breaks.made, Breaks.made + 1
        self.steps = 0

    def step(self, action):
        observation, reward, *rest = super().step(action)
        self.steps += 1
        if self.number == Breaks.which and self.steps >= 20:
            reward = Breaks.reward
        return observation, reward, *rest


def broken(which, cls=TD3PR, n_teams=2, steps=STEPS, reward=np.nan):
    Breaks.made, Breaks.which, Breaks.reward = 0, which, reward
    n = 2 * n_teams
    given = {**options(cls), "learning_starts": 12 * n, "buffer_size": 40 * n, "seed": 7, "trust": "td"}
    model = cls("MlpPolicy", Breaks, n_agents=2, n_teams=n_teams, **given)
    return model.learn(steps * n)


@pytest.mark.parametrize(
    ("cls", "reward", "what"), [(TD3PR, np.nan, "reward"), (SACPR, np.nan, "reward"), (TD3PR, 1e30, "critic_loss")]
)
@pytest.mark.few(1)
def test_a_team_whose_environment_breaks_ends_alone(cls, reward, what, caplog, tmp_path):
    with caplog.at_level(logging.WARNING, "marl_pr"):
        model = broken(3, cls, reward=reward)
    assert model.ended.keys() == {1}
    assert "team 1 (seed 8, agents 2 to 3 of all) ends alone" in caplog.text
    assert f"non-finite {what} of agent 3" in caplog.text
    assert_same_bits(model.team(0), broken(None, cls).team(0))
    with pytest.raises(ValueError, match=f"team 1 has ended.*{what} of agent 3"):
        model.team(1)
    model.save(tmp_path / "model")
    loaded = cls.load(tmp_path / "model", env=pendulums(4))
    assert loaded.ended == model.ended


def test_a_team_whose_networks_break_ends_alone(caplog):
    def run(breaks):
        model = stack(DDPGPR, steps=20)
        if breaks:
            next(model.policy.critic.parameters()).data[1].fill_(th.nan)
        return model.learn(10 * 6, reset_num_timesteps=False)

    model = run(breaks=True)
    assert model.ended.keys() == {0}
    assert "non-finite gradient of agent 1" in model.ended[0]
    assert_same_bits(model.team(1), run(breaks=False).team(1))


def test_the_last_team_takes_the_run_with_it():
    with pytest.raises(NonFiniteError, match="reward of agent 1"):
        broken(1, n_teams=1)


@pytest.mark.parametrize("pr", [{"trust": "td"}, {"shared_replay": True, "adjacency": "noise"}])
def test_a_copy_trains_as_the_original_would(pr):
    model = stack(TD3PR, **pr)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for one in (*copies, model):
        one.learn(10 * 6, reset_num_timesteps=False)
        th.manual_seed(123)  # nothing is drawn from the global generators
        np.random.seed(123)  # noqa: NPY002
    for one in copies:
        assert_same_bits(one, model)


def test_what_load_and_set_env_refuse_changes_nothing(tmp_path):
    model = stack(TD3PR)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"^seeds: load keeps the file's"):
        TD3PR.load(tmp_path / "model", seeds=[5, 9])
    with pytest.raises(ValueError, match=r"n_teams=3, but .* holds 2 team\(s\)"):
        TD3PR.load(tmp_path / "model", custom_objects={"n_teams": 3})
    before = model.env
    with pytest.raises(ValueError, match="with VecNormalize"):
        model.set_env(VecNormalize(pendulums()))
    assert model.env is before
    by_id = TD3PR.load(tmp_path / "model", env="Pendulum-v1")
    assert by_id.env.unwrapped._seeds == TD3PR.load(tmp_path / "model", env=pendulums()).env.unwrapped._seeds


def test_an_actor_that_broke_ends_its_team_alone():
    model = stack(TD3PR, n_teams=3)
    with th.no_grad():
        next(model.policy.actor.parameters())[3].fill_(np.nan)
    model.learn(12 * 9, reset_num_timesteps=False)
    assert list(model.ended) == [1]
