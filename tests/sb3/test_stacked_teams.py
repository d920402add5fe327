"""A team of a stack is the team that it is alone with its seed, and teams know nothing of each other."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3 import TD3
from stable_baselines3.common import policies as sb3_policies
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise, VectorizedActionNoise

from sb3_pr import DDPGPR, SACPR, TD3PR, AgentEvalCallback, evaluate_agents
from tests.sb3.tools import ALGORITHMS, assert_same_bits, tensors

DOCS = Path(__file__).parents[2] / "docs" / "sb3.md"
STEPS, WARM_UP = 30, 12  # of each agent


def options(cls=TD3PR, **more):
    noise = None if cls is SACPR else NormalActionNoise(np.zeros(1), 0.1 * np.ones(1))
    return {"policy_kwargs": {"net_arch": [8]}, "batch_size": 8, "action_noise": noise, **more}


def counted(n):
    return {"learning_starts": WARM_UP * n, "buffer_size": 40 * n}


def stack(cls=TD3PR, n_agents=3, n_teams=2, steps=STEPS, **more):
    seeds = {} if "seeds" in more else {"seed": 7}
    n = n_agents * n_teams
    given = {**options(cls), **counted(n), **seeds, **more}
    return cls("MlpPolicy", "Pendulum-v1", n_agents=n_agents, n_teams=n_teams, **given).learn(steps * n)


def alone(cls=TD3PR, n_agents=3, seed=7, steps=STEPS, **more):
    given = {**options(cls), **counted(n_agents), **more}
    return cls("MlpPolicy", "Pendulum-v1", n_agents=n_agents, seed=seed, **given).learn(steps * n_agents)


def assert_same(team, lone, rows=STEPS, **tolerance):
    """Transitions, networks, targets and optimisers. One product of all agents, and one of a team's, round apart."""
    tolerance = tolerance or {"rtol": 1e-3, "atol": 1e-4}
    for name in ("observations", "actions", "rewards"):
        kept = [getattr(model.replay_buffer, name)[:rows] for model in (team, lone)]
        np.testing.assert_allclose(*kept, **tolerance, err_msg=name)
    mine, theirs = tensors(team), tensors(lone)
    assert mine.keys() == theirs.keys()
    for name, tensor in theirs.items():
        th.testing.assert_close(mine[name], tensor, **tolerance, msg=lambda text, name=name: f"{name}: {text}")
    assert (team.num_timesteps, team._n_updates) == (lone.num_timesteps, lone._n_updates)


RECIPROCITY = [
    {"adjacency": "resample", "trust": "td", "peers": "random", "sync_interval": 3},
    {"adjacency": "noise", "estimator": "sampled", "consensus": 0.1},
    {"adjacency": "neighbours", "n_adjacent": 2, "estimator": "one_voice", "shared_replay": True},
    {"adjacency": "drop", "in_actor": True, "observation_masks": [[1, 0, 1], [1, 1, 1], [0, 1, 1]]},
    {"own_critics": True},
]


@pytest.mark.parametrize("more", RECIPROCITY, ids=lambda more: "-".join(map(str, more)))
@pytest.mark.few(2)
def test_a_team_with_every_part_of_reciprocity_is_the_team_alone(more):
    assert_same(stack(**more).team(1), alone(seed=8, **more))


@pytest.mark.parametrize("n_agents", [1, 2])
@pytest.mark.parametrize("cls", ALGORITHMS)
@pytest.mark.few(2)
def test_a_team_of_every_algorithm_is_the_team_alone(cls, n_agents):
    """Warm-up, exploration, target noise, replay rows and environments all follow from the team's seed."""
    model = stack(cls, n_agents, n_teams=3, seeds=[3, 99, 0])
    for team, seed in enumerate([3, 99, 0]):
        assert_same(model.team(team), alone(cls, n_agents, seed=seed))


def test_in_float64_a_team_is_the_team_alone_to_1e_10(monkeypatch):
    cast = sb3_policies.preprocess_obs  # SB3 casts observations to float32
    monkeypatch.setattr(sb3_policies, "preprocess_obs", lambda *args, **kwargs: cast(*args, **kwargs).double())
    before = th.get_default_dtype()
    th.set_default_dtype(th.float64)
    try:
        assert_same(stack(adjacency="noise").team(1), alone(seed=8, adjacency="noise"), rtol=1e-9, atol=1e-10)
    finally:
        th.set_default_dtype(before)


def test_ten_seeds_of_td3_at_once_are_upstreams():
    model = stack(n_agents=1, n_teams=4, kappa=0.0)
    lone = TD3("MlpPolicy", "Pendulum-v1", seed=9, **options(), **counted(1)).learn(STEPS)
    assert type(model.team(2).agent(0)) is TD3
    assert_same(model.team(2).agent(0), lone, rows=0)
    assert_same(model.team(2), lone)


def test_before_any_update_teams_and_their_draws_are_equal_bit_for_bit():
    for steps in (0, WARM_UP):
        team, lone = stack(steps=steps).team(1), alone(seed=8, steps=steps)
        assert_same_bits(team, lone)
        for name in ("observations", "actions", "rewards"):
            np.testing.assert_array_equal(getattr(team.replay_buffer, name), getattr(lone.replay_buffer, name))
    drawn, expected = stack(steps=WARM_UP).replay_buffer.sample(5), alone(seed=8, steps=WARM_UP).replay_buffer.sample(5)
    for mine, theirs in zip(drawn, expected, strict=True):
        if theirs is not None:
            assert th.equal(th.as_tensor(mine[15:]), theirs)


def test_other_teams_change_nothing_in_a_team():
    more = {"shared_replay": True, "trust": "td", "adjacency": "resample", "consensus": 0.2}
    one, other = stack(seeds=[5, 6], **more), stack(seeds=[5, 1000], **more)
    assert_same_bits(one.team(0), other.team(0))
    with pytest.raises(AssertionError):
        assert_same_bits(one.team(1), other.team(1))


def test_the_global_generators_are_left_where_they_are():
    model = stack(steps=WARM_UP)
    state, torch_state = np.random.get_state()[1].copy(), th.get_rng_state()  # noqa: NPY002
    model.learn(5 * 6, reset_num_timesteps=False)
    assert th.equal(th.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert np.random.normal.__self__ is np.random.mtrand._rand


def test_one_team_is_what_it_was():
    assert_same_bits(stack(n_teams=1), alone())
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, seeds=[4])
    assert (model.n_teams, model.seed, model.seeds, model.streams) == (1, 4, None, None)


def test_every_noise_is_drawn_team_by_team():
    def noise():
        return OrnsteinUhlenbeckActionNoise(np.zeros(1), 0.3 * np.ones(1))

    assert_same(stack(n_agents=2, action_noise=noise()).team(1), alone(n_agents=2, seed=8, action_noise=noise()))


def test_defaults_are_every_teams():
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=1, n_teams=5, seed=0)
    assert (model.buffer_size, model.learning_starts, model.seeds) == (5_000_000, 500, (0, 1, 2, 3, 4))
    assert model.env.unwrapped._seeds == [0, 1, 2, 3, 4]
    fresh = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=1, n_teams=2)
    assert len(set(fresh.seeds)) == 2


def test_teams_and_agents_go_on():
    model = stack(DDPGPR)
    team = model.team(1)
    assert (type(team), team.n_agents, team.n_teams, team.env, team.seed) == (DDPGPR, 3, 1, None, 8)
    assert team.replay_buffer.size() == STEPS
    assert not np.shares_memory(team.replay_buffer.observations, model.replay_buffer.observations)
    np.testing.assert_array_equal(team.replay_buffer.rewards[:STEPS], model.replay_buffer.rewards[:STEPS, 3:])
    team.set_env(make_vec_env("Pendulum-v1", 3))
    before = team._n_updates
    team.learn(9, reset_num_timesteps=False)
    assert team._n_updates > before
    assert model.team(0, replay=False).replay_buffer.size() == 0


def test_evaluations_and_logs_are_team_by_team():
    model = stack(steps=WARM_UP)
    found = evaluate_agents(model, gym.make("Pendulum-v1"), n_eval_episodes=1, seed=3)
    assert [len(team) for team in found] == [3, 3]
    expected = evaluate_agents(model.team(1), gym.make("Pendulum-v1"), n_eval_episodes=1, seed=3)
    np.testing.assert_array_equal(found[1], expected)
    callback = AgentEvalCallback(gym.make("Pendulum-v1"), n_eval_episodes=1, eval_freq=2, verbose=0)
    model.learn(2 * 6, callback=callback, reset_num_timesteps=False)
    assert callback.agent_returns[0].shape == (2, 3, 1)
    logged = model.logger.name_to_value
    assert {"eval/team_1/agent_2/mean_reward", "train/team_0/agent_0/own_value"} <= logged.keys()
    model._agent_episodes = [[{"r": float(agent), "l": 5}] for agent in range(6)]
    model.logger.record, kept = lambda key, value, **_: kept.update({key: value}), {}
    model.dump_logs()
    assert (kept["rollout/team_1/ep_rew_mean"], kept["rollout/team_1/agent_0/ep_rew_mean"]) == (4.0, 3.0)


def test_the_example_in_the_docs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section = DOCS.read_text().split("### Ten seeds of TD3 at once")[1]
    example = section.split("```python")[1].split("```")[0].replace("20_000", "2").replace("episodes=10", "episodes=1")
    found = {}
    exec(example, found)
    assert len(found["returns"]) == 10
    assert type(TD3.load("td3-seed-3")) is TD3


@pytest.mark.parametrize("n_agents", [1, 2])
def test_one_team_is_taken_out_like_any_other(n_agents):
    only = stack(n_agents=n_agents, n_teams=1)
    assert_same_bits(only.team(0), only)


def test_noises_are_as_many_as_agents_and_evaluations_every_agents():
    noise = VectorizedActionNoise(NormalActionNoise(np.zeros(1), np.ones(1)), 5)
    with pytest.raises(ValueError, match="VectorizedActionNoise of 5 environments, and there are 4"):
        stack(n_agents=2, action_noise=noise)
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_teams=2, seed=0, **options())
    with pytest.raises(ValueError, match="EvalCallback of a model of n_teams=2 teams.*AgentEvalCallback"):
        model.learn(10, callback=EvalCallback(gym.make("Pendulum-v1")))
