"""engine="jaxmarl" is the same task as engine="mpe2": equal observations and rewards over whole episodes."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="needs the extra smax: pip install 'marl-pr[smax]'")
from pettingzoo.test import parallel_api_test, parallel_seed_test

from marl_pr_common.envs import make
from marl_pr_common.envs.grids.reference import chase
from marl_pr_common.envs.particles.vector import ParticleVector
from tests.needs import NEEDS_JAX

pytestmark = NEEDS_JAX

NAMES = ("CooperativeNavigation-3", "CooperativeNavigation-6", "PredatorPrey-3", "PredatorPrey-6")
TOLERANCE = 1e-5


def pair(name, **options):
    return [make(name, engine=engine, max_cycles=100, **options) for engine in ("mpe2", "jaxmarl")]


def chasing(env, observations):
    found = chase(observations)
    return {agent: np.eye(5, dtype=np.float32)[a] for agent, a in found.items()} if env.continuous_actions else found


def actions(rng, env):
    if env.continuous_actions:
        return {agent: rng.random(5).astype(np.float32) for agent in env.agents}
    return {agent: int(rng.integers(5)) for agent in env.agents}


@pytest.mark.parametrize(
    ("name", "continuous"),
    [
        *((name, number % 3 != 0) for number, name in enumerate(NAMES)),
        *(pytest.param(name, number % 3 == 0, marks=pytest.mark.slow) for number, name in enumerate(NAMES)),
    ],
)
@pytest.mark.slow
def test_observations_and_rewards_agree_over_100_random_steps(name, continuous):
    prey = {"prey": "random"} if name.startswith("Pred") else {}
    ours, theirs = envs = pair(name, continuous_actions=continuous, **prey)
    rng = np.random.default_rng(0)
    paid, apart = 0.0, 0
    for seed in (0, 2):
        first, second = (env.reset(seed=seed)[0] for env in envs)
        for _ in range(100):
            for agent in ours.possible_agents:
                assert np.abs(first[agent] - second[agent]).max() < TOLERANCE
            hunt = seed == 2 and bool(prey)  # at random they hardly ever touch the prey
            given = chasing(ours, first) if hunt else actions(rng, ours)
            if hunt:  # six bodies in contact are chaotic: the last bits of float64 grow to 1e-5 within 100 steps
                theirs.set_state(ours.get_state())
            (first, rewards, ended, cut, _), (second, same, *ends, _) = (env.step(given) for env in envs)
            assert ends == [ended, cut]
            for agent in ours.possible_agents:
                assert abs(rewards[agent] - same[agent]) < TOLERANCE
            paid += abs(rewards[ours.possible_agents[0]])
            apart += len({round(reward, 6) for reward in rewards.values()}) > 1
    assert ours.agents == theirs.agents == []
    assert paid > 0
    if name.startswith("Coop"):
        assert apart > 0  # somebody collided


@pytest.mark.parametrize("name", NAMES[::3])
@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.slow
def test_pettingzoo_takes_it(name):
    parallel_api_test(make(name, engine="jaxmarl"), 60)
    parallel_seed_test(lambda: make(name, engine="jaxmarl"), 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_random_episodes(name):
    env, rng = make(name, engine="jaxmarl", max_cycles=5), np.random.default_rng(0)
    for _ in range(1000):
        seen, _ = env.reset()
        ends = []
        while env.agents:
            assert all(np.isfinite(found).all() for found in seen.values())
            seen, rewards, ended, cut, _ = env.step(actions(rng, env))
            assert np.isfinite(list(rewards.values())).all()
            ends.append((any(ended.values()), all(cut.values())))
        assert ends == [(False, False)] * 4 + [(False, True)]


@pytest.mark.parametrize(
    "prey", ["flee", *(pytest.param(prey, marks=pytest.mark.slow) for prey in ("random", "frozen"))]
)
@pytest.mark.parametrize("name", ["CooperativeNavigation-3", "PredatorPrey-3"])
def test_a_row_of_the_vector_is_the_single_environment(name, prey):
    options = {"prey": prey} if name.startswith("Pred") else {}
    if not options and prey != "flee":
        pytest.skip("no prey in cooperative navigation")
    rows, singles = ParticleVector(name, [3, 4], **options), [make(name, **options) for _ in range(2)]
    for env, seed in zip(singles, (3, 4), strict=True):
        env.seed(seed)
    rng = np.random.default_rng(0)
    for _ in range(2):
        now, seen = rows.reset(), [env.reset()[0] for env in singles]
        for step in range(25):
            for row, found in enumerate(seen):
                assert np.allclose(np.stack(list(found.values())), now.observations[row], atol=TOLERANCE)
            given = rng.integers(5, size=(2, 3))
            now, seen = rows.step(given), []
            for row, env in enumerate(singles):
                found, rewards, _, cut, _ = env.step(dict(zip(env.agents, given[row], strict=True)))
                seen.append(found)
                assert np.allclose(list(rewards.values()), now.rewards[row], atol=TOLERANCE)
                assert cut["adversary_0" if options else "agent_0"] == now.cut[row] == (step == 24)


def test_copies_go_on_exactly():
    env = make("PredatorPrey-3", engine="jaxmarl")
    env.reset(seed=1)
    env.step(dict.fromkeys(env.agents, 2))
    copy = pickle.loads(pickle.dumps(env))
    results = [found.step(dict.fromkeys(found.agents, 1)) for found in (env, copy)]
    assert np.array_equal(results[0][0]["adversary_1"], results[1][0]["adversary_1"])
    assert results[0][1] == results[1][1]


def test_refusals():
    with pytest.raises(ValueError, match="engine='vmas', expected one of mpe2, jaxmarl"):
        make("CooperativeNavigation-3", engine="vmas")
    with pytest.raises(ValueError, match="no variant maptf"):
        make("CooperativeNavigation-3-maptf", engine="jaxmarl")


@pytest.mark.parametrize("when", ["after", "asked for"])
@pytest.mark.slow
def test_float64_stays_with_the_particles(when):
    code = (
        "import sys, warnings\nwarnings.simplefilter('error', UserWarning)\nfrom marl_pr_common.envs import make\n"
        "if sys.argv[1] == 'after':\n"
        "    team = make('CooperativeNavigation-3', engine='jaxmarl')\n"
        "    team.reset(seed=0)\n    team.step(dict.fromkeys(team.agents, 1))\n"
        "if sys.argv[1] == 'asked for':\n"
        "    import jax\n    jax.config.update('jax_enable_x64', True)\n"
        "env = make('smax:3m')\nenv.reset(seed=0)\n"
        "print([repr(env.step(dict.fromkeys(env.agents, 1))[0]['ally_0']['observation'].tolist()) for _ in range(5)])\n"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code, when], capture_output=True, text=True) for when in (when, "alone")
    ]
    assert [found.returncode for found in runs] == [0, 0], runs[0].stderr
    assert runs[0].stdout == runs[1].stdout
