"""SMAX as ParallelEnvs: the API, masks, state, and which end an episode has. Needs jax and JaxMARL."""

import pickle

import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="needs the extra smax: pip install 'marl-pr[smax]'")
from pettingzoo.test import parallel_api_test, parallel_seed_test

from marl_pr_common.envs import make
from marl_pr_common.envs.smax.maps import LIMITS
from marl_pr_common.envs.smax.simulator import STOP, simulator
from tests.needs import NEEDS_JAX

pytestmark = NEEDS_JAX

PAPER = ("3s_vs_5z", "5m_vs_6m")
SHAPES = {"3s_vs_5z": (3, 101, 96, 10, 250), "5m_vs_6m": (5, 140, 132, 11, 70)}
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in LIMITS if name not in PAPER]


def legal(rng, observations):
    return {a: int(rng.choice(np.flatnonzero(seen["action_mask"]))) for a, seen in observations.items()}


def episode(env, choose, seed=None):
    """Return, steps, last terminations, truncations and infos."""
    observations, _ = env.reset(seed=seed)
    total, steps = 0.0, 0
    while env.agents:
        observations, rewards, ended, cut, infos = env.step(choose(observations))
        total, steps = total + rewards["ally_0"], steps + 1
    return total, steps, ended, cut, infos


@pytest.mark.parametrize("name", [PAPER[1], pytest.param(PAPER[0], marks=pytest.mark.slow), *OTHERS])
@pytest.mark.filterwarnings("error::UserWarning")
def test_pettingzoo_takes_it(name):
    parallel_api_test(make(f"smax:{name}"), 120)
    parallel_seed_test(lambda: make(f"smax:{name}"), 60)


@pytest.mark.parametrize("name", PAPER)
def test_shapes_and_limits(name):
    env = make(f"smax:{name}")
    env.reset(seed=0)
    n_agents, obs_dim, state_dim, n_actions, limit = SHAPES[name]
    assert len(env.possible_agents) == n_agents
    assert env.observation_space("ally_0")["observation"].shape == (obs_dim,)
    assert env.state().shape == env.state_space.shape == (state_dim,)
    assert env.action_space("ally_0").n == n_actions
    assert env.max_cycles == limit


@pytest.mark.parametrize("name", [*PAPER, pytest.param("smacv2_5_units", marks=pytest.mark.slow)])
def test_the_mask_offers_what_is_possible_and_nothing_else(name):
    env = make(f"smax:{name}")
    rng = np.random.default_rng(0)
    world = simulator(name)._env
    ranges, n = np.asarray(world.unit_type_attack_ranges), len(env.possible_agents)
    deaths = 0
    for seed in range(8):
        observations, infos = env.reset(seed=seed)
        while env.agents:
            units = env._battle["units"].state
            alive, places = np.asarray(units.unit_alive), np.asarray(units.unit_positions)
            for i, agent in enumerate(env.agents):
                mask = observations[agent]["action_mask"]
                assert np.array_equal(mask, infos[agent]["action_mask"])
                near = np.linalg.norm(places[n:] - places[i], axis=1) < ranges[np.asarray(units.unit_types)[i]]
                expected = [alive[i]] * STOP + [True] + list(alive[i] & alive[n:] & near)
                assert mask.tolist() == [int(entry) for entry in expected]
                if not alive[i]:
                    deaths += 1
                    assert not observations[agent]["observation"].any()
                    assert infos[agent]["alive"] is False
            observations, _, _, _, infos = env.step(legal(rng, observations))
            assert not any(info["illegal_action"] for info in infos.values())
    assert deaths > 0


def test_an_illegal_action_is_carried_out_as_stop():
    outcomes = []
    for action in (STOP, 5):  # the enemy is out of range at the start
        env = make("smax:5m_vs_6m")
        env.reset(seed=3)
        outcomes.append(env.step(dict.fromkeys(env.agents, action)))
    for agent in ("ally_0", "ally_4"):
        assert np.array_equal(outcomes[0][0][agent]["observation"], outcomes[1][0][agent]["observation"])
        assert [outcome[4][agent]["illegal_action"] for outcome in outcomes] == [False, True]


@pytest.mark.parametrize("limit", [1, 7, None])
def test_the_time_limit_fires_at_its_step_and_is_a_truncation(limit):
    env = make("smax:3s_vs_5z", max_cycles=limit)
    flee = [0, 2]  # up and down: out of the enemy's reach at first, never into a wall in seven steps
    env.reset(seed=0)
    if limit is None:  # SMAC's 250: put a battle that nobody decides just before it
        env._steps, limit = 249, 250
        env.step(dict.fromkeys(env.agents, STOP))
    else:
        for step in range(limit):
            _, _, ended, cut, infos = env.step(dict.fromkeys(env.agents, flee[step % 2]))
            assert any(cut.values()) == (step == limit - 1)
        assert not any(ended.values())
        assert all(infos[agent]["TimeLimit.truncated"] for agent in env.possible_agents)
        assert not infos["ally_0"]["battle_won"]
    assert env.agents == []
    assert env._steps == limit


def test_state_and_copies_go_on_exactly():
    env = make("smax:3m")
    rng = np.random.default_rng(0)
    observations, _ = env.reset(seed=1)
    for _ in range(5):
        observations, *_ = env.step(legal(rng, observations))
    actions = legal(rng, observations)
    copy, other = pickle.loads(pickle.dumps(env)), make("smax:3m")
    other.set_state(env.get_state())
    for _ in range(2):
        results = [found.step(actions) for found in (env, copy, other)]
        for result in results[1:]:
            assert result[1] == results[0][1]
            assert np.array_equal(result[0]["ally_1"]["observation"], results[0][0]["ally_1"]["observation"])
        actions = dict.fromkeys(env.agents, STOP)
    starts = [found.reset()[0]["ally_0"]["observation"] for found in (env, copy, other)]
    assert np.array_equal(starts[0], starts[1])
    assert np.array_equal(starts[0], starts[2])
    with pytest.raises(ValueError, match="not one of 5m_vs_6m"):
        make("smax:5m_vs_6m").set_state(env.get_state())


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: make("smax:4m"), "Unknown SMAX map '4m'. Known: 3m"),
        (lambda: make("smax:3m", max_cycles=0), "max_cycles=0"),
        (lambda: make("smax:3m", render_mode="rgb_array"), "render_mode='rgb_array'"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_before_the_first_battle_and_bad_seeds():
    env = make("smax:3m")
    for ask in (env.state, env.observations, env.masks):
        with pytest.raises(RuntimeError, match="reset"):
            ask()
    with pytest.raises(ValueError, match="seed=-1: expected"):
        env.reset(seed=-1)


def test_a_limit_that_was_set_later_is_part_of_the_state():
    env, other = make("smax:3m"), make("smax:3m")
    env.max_cycles = 5
    env.reset(seed=1)
    other.set_state(env.get_state())
    assert pickle.loads(pickle.dumps(env)).max_cycles == other.max_cycles == 5


def test_bad_actions():
    env = make("smax:3m")
    with pytest.raises(RuntimeError, match="reset"):
        env.step({})
    env.reset(seed=0)
    with pytest.raises(ValueError, match="No action for ally_1"):
        env.step({"ally_0": 4})
    with pytest.raises(ValueError, match="8 is not one of 0 .. 7"):
        env.step({"ally_0": 8, "ally_1": 4, "ally_2": 4})
