"""Cooperative navigation: mpe2's simple_spread, and MAPTF's variant of it."""

import pickle

import numpy as np
import pytest

pytest.importorskip("mpe2", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from mpe2 import simple_spread_v3
from pettingzoo.test import parallel_api_test, parallel_seed_test

from benchmarks.environments import returns
from marl_pr_common.envs import make
from marl_pr_common.envs.grids.reference import cover, own
from tests.envs.teams import play, random_actions

IDS = ["CooperativeNavigation-3", "CooperativeNavigation-6"]
BOTH = [name + end for name in IDS for end in ("", "-maptf")]


def mean_return(name, team, episodes):
    """Summed over agents."""
    return returns(make(name), team, episodes).sum(axis=1).mean()


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("name", BOTH)
def test_pettingzoo_api_and_seeds(name, continuous):
    parallel_api_test(make(name, continuous_actions=continuous), num_cycles=120)
    parallel_seed_test(lambda: make(name, continuous_actions=continuous), num_cycles=40)


@pytest.mark.parametrize("n_agents", range(2, 10))
def test_sizes(n_agents):
    for end in ("", "-maptf"):
        env = make(f"CooperativeNavigation-{n_agents}{end}")
        observations, _ = env.reset(seed=0)
        assert {o.shape for o in observations.values()} == {(6 * n_agents,)}
        assert env.state().shape == env.state_space.shape == (6 * n_agents**2,)


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("local_ratio", [None, 0.0, 0.5, 1.0])
def test_it_is_simple_spread(local_ratio, continuous):
    ours = make("CooperativeNavigation-4", local_ratio=local_ratio, continuous_actions=continuous)
    ratio = 0.5 if local_ratio is None else local_ratio
    theirs = simple_spread_v3.parallel_env(N=4, local_ratio=ratio, continuous_actions=continuous)
    rng = np.random.default_rng(0)
    for seed in range(3):
        mine, _ = ours.reset(seed=seed)
        reference, _ = theirs.reset(seed=seed)
        for t in range(25):
            for agent in ours.possible_agents:
                np.testing.assert_array_equal(mine[agent], reference[agent])
            actions = random_actions(ours, rng)
            mine, rewards, terminated, truncated, infos = ours.step(actions)
            reference, expected, *_ = theirs.step(actions)
            assert rewards == expected
            assert not any(terminated.values())
            assert set(truncated.values()) == {t == 24}
            assert [info.get("TimeLimit.truncated", False) for info in infos.values()] == [t == 24] * 4


def test_scripted_agents_earn_the_known_returns():
    assert -30 < mean_return("CooperativeNavigation-3", cover, 40) < -19
    assert -95 < mean_return("CooperativeNavigation-6", cover, 20) < -70


def test_maptf_pays_every_agent_for_its_own_landmark():
    env = make("CooperativeNavigation-3-maptf")
    rng = np.random.default_rng(0)
    starts = []
    for _ in range(60):
        env.reset(seed=int(rng.integers(1000)))
        starts.append(env.get_state()["positions"])
        _, rewards, *_ = env.step(random_actions(env, rng))
        positions = env.get_state()["positions"]
        distances = np.linalg.norm(positions[:3] - positions[3:], axis=1)
        assert list(rewards.values()) == pytest.approx((-distances).tolist())
    assert 3.8 < np.abs(starts).max() <= 4  # the arena


def test_maptf_agents_may_touch_for_free_and_push_each_other():
    env = make("CooperativeNavigation-2-maptf")
    env.reset(seed=0)
    state = env.get_state()
    state["positions"][:] = [[0, 0], [0.06, 0], [0, 0], [0.06, 0]]
    env.set_state(state)
    env.step({"agent_0": 0, "agent_1": 0})
    _, rewards, *_ = env.step({"agent_0": 0, "agent_1": 0})
    positions = env.get_state()["positions"]
    assert positions[1, 0] - positions[0, 0] > 0.06
    assert min(rewards.values()) > -0.5


def test_maptf_lasts_a_hundred_steps_and_its_own_script_does_best():
    assert make("CooperativeNavigation-3-maptf").max_cycles == 100
    assert make("CooperativeNavigation-3-maptf", max_cycles=30).max_cycles == 30
    assert make("CooperativeNavigation-3", variant="maptf").max_cycles == 100
    best = mean_return("CooperativeNavigation-3-maptf", own, 5)
    assert best > mean_return("CooperativeNavigation-3-maptf", cover, 5) + 100


@pytest.mark.parametrize("name", BOTH)
def test_a_restored_state_continues_exactly(name):
    env = make(name, max_cycles=20)
    env.seed(1)
    play(env, 33)
    state, copy = pickle.loads(pickle.dumps(env.get_state())), pickle.loads(pickle.dumps(env))
    expected = play(env, 50)
    fresh = make(name, max_cycles=20)
    fresh.set_state(state)
    np.testing.assert_array_equal(play(fresh, 50), expected)
    np.testing.assert_array_equal(play(copy, 50), expected)


@pytest.mark.parametrize("name", BOTH)
def test_frames(name):
    env = make(name, render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    assert (first.shape, first.dtype) == ((700, 700, 3), np.uint8)
    play(env, 10)
    assert not np.array_equal(env.render(), first)
    with pytest.raises(ValueError, match="render_mode='rgb_array'"):
        make(name).render()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "maptff"}, "variant='maptff'.*mpe2, maptf"),
        ({"local_ratio": 1.5}, "local_ratio=1.5"),
        ({"variant": "maptf", "local_ratio": 0.5}, "local_ratio=0.5.*maptf"),
        ({"max_cycles": -1}, "max_cycles=-1"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        make("CooperativeNavigation-3", **options)


def test_a_name_and_a_variant_that_contradict_each_other():
    with pytest.raises(ValueError, match="CooperativeNavigation-3-maptf: variant='mpe2'. .*CooperativeNavigation-3"):
        make("CooperativeNavigation-3-maptf", variant="mpe2")
    assert make("CooperativeNavigation-3-maptf", variant="maptf").max_cycles == 100


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_a_thousand_random_episodes(name):
    env = make(name)
    env.seed(0)
    assert np.isfinite(play(env, 1000 * env.max_cycles)).all()
