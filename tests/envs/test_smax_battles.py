"""SMAX battle by battle: who won, thousands of episodes, rows of a vector. Needs jax and JaxMARL."""

import numpy as np
import pytest

from marl_pr_common.envs import make
from marl_pr_common.envs.smax.maps import LIMITS
from marl_pr_common.envs.smax.simulator import STOP, simulator
from marl_pr_common.envs.smax.vector import SMAXVector
from tests.envs.test_smax import episode, legal
from tests.needs import NEEDS_JAX

pytestmark = NEEDS_JAX

PAPER = ("3s_vs_5z", "5m_vs_6m")
SHAPES = {"3s_vs_5z": (3, 101, 96, 10, 250), "5m_vs_6m": (5, 140, 132, 11, 70)}
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in LIMITS if name not in PAPER]


def attack(env):
    """Shoot at the lowest enemy in reach, else walk to the right, where they come from."""

    def choose(observations):
        return {
            a: int(max(np.flatnonzero(s["action_mask"])[-1], 1))
            if s["action_mask"][5:].any()
            else int(1 if s["action_mask"][1] else STOP)
            for a, s in observations.items()
        }

    return choose


def test_won_and_lost_battles_are_told_apart_and_pay_on_smacs_scale():
    env = make("smax:3m")
    results = [episode(env, attack(env), seed) for seed in range(12)]
    won = [result for result in results if result[4]["ally_0"]["battle_won"]]
    lost = [result for result in results if not result[4]["ally_0"]["battle_won"]]
    assert won
    assert lost
    for total, _, ended, cut, infos in won:
        assert total == pytest.approx(20, abs=1e-4)
        assert all(ended.values())
        assert not any(cut.values())
        assert infos["ally_0"]["dead_enemies"] == 3
    for total, *_, infos in lost:
        assert 0 <= total < 10.01
        assert infos["ally_0"]["dead_allies"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("rounds, within", [(1, 0.6), (10, 0.2)])
def test_a_hundred_or_a_thousand_random_episodes(rounds, within):
    """Returns of a standard deviation near 1.5: a mean of 100 is within 0.6 of its expectation but for 1 in 10,000."""
    env = SMAXVector("3s_vs_5z", range(100))
    rng = np.random.default_rng(0)
    returns = []
    for _ in range(rounds):
        now = env.reset()
        total, over = np.zeros(env.n_rows), np.zeros(env.n_rows, bool)
        while not over.all():
            actions = (rng.random(now.masks.shape) * now.masks).argmax(axis=2)
            now = env.step(actions)
            total += np.where(over, 0, now.rewards[:, 0])
            over |= now.ended | now.cut
        returns.extend(total)
    assert len(returns) == 100 * rounds
    assert np.std(returns) < 1.5
    assert np.mean(returns) == pytest.approx(2.2, abs=within)  # 0.22 of 2 before scaling


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smax:3s_vs_5z", "smax:5m_vs_6m", "smax:2s3z", "smax:smacv2_5_units"])
def test_a_thousand_random_episodes_of_the_parallel_env(name):
    env, rng = make(name, max_cycles=20), np.random.default_rng(0)
    lengths = []
    for _ in range(1000):
        observations, _ = env.reset()
        steps = 0
        while env.agents:
            observations, rewards, ended, cut, infos = env.step(legal(rng, observations))
            steps += 1
            assert all(env.observation_space(a).contains(seen) for a, seen in observations.items())
            assert not any(info["illegal_action"] for info in infos.values())
            assert 0 <= rewards["ally_0"] <= 20
            assert any(cut.values()) == (steps == 20 and not any(ended.values()))
        lengths.append(steps)
    assert max(lengths) == 20


@pytest.mark.slow
def test_a_row_of_the_vector_is_the_single_environment():
    rows, singles = SMAXVector("3m", [5, 6]), [make("smax:3m") for _ in range(2)]
    for env, seed in zip(singles, (5, 6), strict=True):
        env.seed(seed)
    for _ in range(2):
        now = rows.reset()
        for env in singles:
            env.reset()
        for step in range(8):
            rng = np.random.default_rng(step)
            actions = (rng.random(now.masks.shape) * now.masks).argmax(axis=2)
            now = rows.step(actions)
            for row, env in enumerate(singles):
                _, rewards, *_ = env.step(dict(zip(env.agents, actions[row], strict=True)))
                assert np.allclose(env.observations(), now.observations[row], atol=1e-5)
                assert np.allclose(env.state(), now.states[row], atol=1e-4)
                assert rewards["ally_0"] == pytest.approx(now.rewards[row, 0], abs=1e-5)


def test_compiles_once_whatever_the_number_of_environments_and_steps():
    compiled = (simulator("3m")._compiled_step, simulator("3m")._compiled_reset)
    sizes = []
    for _ in range(3):
        env = make("smax:3m")
        episode(env, attack(env), 0)
        sizes.append([function._cache_size() for function in compiled])
    assert sizes[0] == sizes[1] == sizes[2]
