"""Our environments under gymnasium ids, and inside EPyMARL's own wrapper and runners."""

import functools
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

pytest.importorskip("mpe2", reason="needs the extra epymarl: pip install 'marl-pr[epymarl]'")
import epymarl_pr  # noqa: F401
from epymarl_pr.envs.ours import AnyEndIsTheLimit
from marl_pr_common.envs import make
from marl_pr_common.envs.grids.reference import chase
from tests import warm

CHECKOUT = Path(os.environ.get("EPYMARL_HOME") or "~/epymarl").expanduser()
needs_checkout = pytest.mark.skipif(
    not (CHECKOUT / "src" / "envs" / "gymma.py").is_file(),
    reason=f"no EPyMARL checkout at {CHECKOUT}; set EPYMARL_HOME",
)
ALL = [f"{family}-{n}{end}" for n in range(2, 10) for family, end in (("pp", ""), ("spread", ""), ("spread", "-maptf"))]
SEED = 14  # of this seed and the next, an episode pays at steps 20 and 25


@pytest.mark.parametrize("name", ALL)
def test_every_id_has_the_form_that_gymma_takes(name):
    env = gymnasium.make(f"epymarl_pr:{name}-v0", max_cycles=2)
    n = int(name.split("-")[1])
    size = 10 + 2 * n if name.startswith("pp") else 6 * n
    assert env.unwrapped.n_agents == len(env.action_space) == n
    assert {space.shape for space in env.observation_space} == {(size,)}
    observations, info = env.reset(seed=0)
    assert isinstance(observations, tuple)
    assert observations in env.observation_space
    assert info == {}
    for ends in (False, True):
        observations, rewards, terminated, truncated, info = env.step([4] * n)
        assert observations in env.observation_space
        assert [type(reward) for reward in rewards] == [float] * n
        assert (terminated, truncated) == (False, ends)
        assert sum([0, *info.values()]) == len(info)  # EPyMARL adds up all of it


def test_the_import_is_cheap():
    code = "import sys, epymarl_pr; print([m for m in ('torch', 'mpe2', 'pygame', 'numba') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_end_is_the_limit_whoever_fires():
    end = AnyEndIsTheLimit(1)
    for copy in (end, pickle.loads(pickle.dumps(end))):
        terminated = [False, True]
        assert [flag != copy for flag in terminated] == [copy != flag for flag in terminated] == [False, False]
        assert bool(copy) is True
        assert type(2 + copy) is type(sum([0.5, copy])) is float
        assert 2 + copy == 3
        assert copy != 2.0
        assert copy == 1.0


@pytest.mark.parametrize("name", ["pp-3", "spread-3"])
def test_seed_starts_a_stream_that_resets_go_on_from(name):
    def starts(restart, count=3):
        restart()
        return np.array([env.reset()[0] for _ in range(count)])

    env = gymnasium.make(f"epymarl_pr:{name}-v0").unwrapped
    first = starts(lambda: env.seed(5))
    assert not np.array_equal(first[0], first[1])
    np.testing.assert_array_equal(starts(lambda: env.seed(5)), first)
    np.testing.assert_array_equal(env.reset(seed=5)[0], first[0])


def roll(env, steps):
    """Everything that chasing predators see, are paid and told, over episodes."""
    seen = []
    rng = np.random.default_rng(1)
    for _ in range(steps):
        observations, rewards, _, truncated, _ = env.step(rng.integers(5, size=env.n_agents))
        seen.append(np.concatenate([*observations, rewards, [truncated]]))
        if truncated:
            seen.append(np.concatenate(env.reset()[0]))
    return np.concatenate(seen)


@pytest.mark.parametrize("name", ["pp-3", "spread-3", "spread-3-maptf"])
def test_a_restored_state_continues_exactly(name):
    env = gymnasium.make(f"epymarl_pr:{name}-v0", max_cycles=20).unwrapped
    env.reset(seed=1)
    roll(env, 13)
    state = env.get_state()
    expected = roll(env, 50)
    other = gymnasium.make(f"epymarl_pr:{name}-v0", max_cycles=20).unwrapped
    other.set_state(pickle.loads(pickle.dumps(state)))
    np.testing.assert_array_equal(roll(other, 50), expected)


def test_bad_input_names_the_value():
    with pytest.raises(ValueError, match="prey='tame'.*flee, pretrained, random, frozen"):
        gymnasium.make("epymarl_pr:pp-3-v0", prey="tame")
    env = gymnasium.make("epymarl_pr:pp-3-v0")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="2 actions for 3 agents"):
        env.step([0, 0])
    with pytest.raises(ValueError, match="adversary_1: action 7"):
        env.step([0, 7, 0])


def host(start_method, cases):
    request = json.dumps({"checkout": str(CHECKOUT), "start_method": start_method, "cases": cases})
    script = Path(__file__).with_name("host_episodes.py")
    done = warm.run([sys.executable, str(script), request])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


LIMITS = {"same": (25, 25), "earlier": (20, 25), "later": (40, 25), "first step": (1, 25), "own first step": (3, 1)}
ORDERS = [*((order, 1) for order in LIMITS), ("same", 2), ("earlier", 2)]
"""Which limit is the earlier, and how many workers play."""


@functools.cache
def limit_cases():
    """EPyMARL's time limit and ours in every order, through both runners; played once for all tests."""
    cases = {}
    for name, workers in ORDERS:
        time_limit, max_cycles = LIMITS[name]
        env_args = {"key": "epymarl_pr:pp-6-v0", "prey": "frozen", "time_limit": time_limit, "max_cycles": max_cycles}
        cases[name, workers] = {"seed": SEED, "env_args": env_args, "episodes": 2, "workers": workers}
    return dict(zip(cases, host("fork", list(cases.values())), strict=True))


def expected_rewards(seed, steps, name="PredatorPrey-6", episodes=2, **options):
    """Mean rewards of chasing predators, (episodes, steps), straight from the ParallelEnv."""
    env = make(name, **(options or {"prey": "frozen"}))
    env.seed(seed)
    rewards = np.zeros((episodes, steps))
    for episode in rewards:
        observations, _ = env.reset()
        for t in range(steps):
            observations, paid, *_ = env.step(chase(observations))
            episode[t] = np.mean(list(paid.values()))
    return rewards


@needs_checkout
@pytest.mark.parametrize("order, workers", ORDERS)
@pytest.mark.few(3)
def test_epymarl_keeps_the_last_reward_and_stores_no_time_out_as_terminal(order, workers):
    played = limit_cases()[order, workers]
    steps = min(LIMITS[order])
    for worker in range(workers):
        expected = expected_rewards(SEED + worker, steps)
        rewards = np.array(played["reward"])[:, worker]
        np.testing.assert_allclose(rewards[:, :steps], expected, rtol=1e-6)
        if steps > 10:
            assert expected[:, -1].max() > 0  # the last reward is one that can be missed
        assert not rewards[:, steps:].any()
    assert not np.any(played["terminated"])
    filled = np.array(played["filled"])
    assert filled[:, :, : steps + 1].all()
    assert not filled[:, :, steps + 1 :].any()
    assert played["stats"]["ep_length_mean"] == steps
    assert played["stats"]["episode_limit_mean"] == 1


@needs_checkout
@pytest.mark.parametrize(
    "start_method", ["fork", *(pytest.param(name, marks=pytest.mark.slow) for name in ("spawn", "forkserver"))]
)
def test_workers_of_every_kind_follow_their_seeds(start_method):
    preys = ["random", "pretrained"]
    env_args = {"key": "epymarl_pr:pp-3-v0", "time_limit": 25, "checkout": str(CHECKOUT)}
    cases = [{"seed": 7, "episodes": 2, "workers": 2, "env_args": {**env_args, "prey": prey}} for prey in preys]
    for prey, played in zip(preys, host(start_method, cases), strict=True):
        for worker in range(2):
            expected = expected_rewards(7 + worker, 25, "PredatorPrey-3", prey=prey, checkout=CHECKOUT)
            np.testing.assert_allclose(np.array(played["reward"])[:, worker, :25], expected, rtol=1e-6)
        assert np.any(played["reward"])


@needs_checkout
def test_sizes_are_those_that_epymarl_expects():
    keys = {"pp-3": (16, 48, 3), "pp-6": (22, 132, 6), "spread-3": (18, 54, 3), "spread-6-maptf": (36, 216, 6)}
    cases = [{"seed": 0, "episodes": 0, "env_args": {"key": f"epymarl_pr:{key}-v0", "time_limit": 25}} for key in keys]
    for played, expected in zip(host("fork", cases), keys.values(), strict=True):
        info = played["info"]
        assert (info["obs_shape"], info["state_shape"], info["n_agents"]) == expected
        assert info["n_actions"] == 5
