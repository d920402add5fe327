"""Predator-prey: mpe2's simple_tag from the predators' side, with preys that belong to the environment."""

import pickle

import numpy as np
import pytest

pytest.importorskip("mpe2", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from mpe2 import simple_tag_v3
from pettingzoo.test import parallel_api_test, parallel_seed_test

from marl_pr_common.envs import make
from marl_pr_common.envs.grids.reference import chase
from tests.envs.teams import needs_checkout, play, random_actions

IDS = ["PredatorPrey-3", "PredatorPrey-4", "PredatorPrey-6"]
PREYS = ["flee", "random", "frozen", pytest.param("pretrained", marks=needs_checkout)]


@pytest.mark.parametrize("name", IDS)
def test_pettingzoo_api_and_seeds(name):
    parallel_api_test(make(name), num_cycles=60)
    parallel_seed_test(lambda: make(name), num_cycles=40)


@pytest.mark.parametrize("prey", PREYS)
def test_pettingzoo_api_and_seeds_with_every_prey(prey):
    parallel_api_test(make("PredatorPrey-3", prey=prey), num_cycles=60)
    parallel_seed_test(lambda: make("PredatorPrey-3", prey=prey), num_cycles=40)


@pytest.mark.parametrize("name", IDS)
def test_pettingzoo_api_and_seeds_with_continuous_actions(name):
    parallel_api_test(make(name, continuous_actions=True), num_cycles=60)
    parallel_seed_test(lambda: make(name, continuous_actions=True), num_cycles=40)


@pytest.mark.parametrize("n_agents", range(2, 10))
def test_sizes(n_agents):
    env = make(f"PredatorPrey-{n_agents}")
    observations, _ = env.reset(seed=0)
    assert env.possible_agents == [f"adversary_{i}" for i in range(n_agents)]
    assert {o.shape for o in observations.values()} == {(10 + 2 * n_agents,)}
    np.testing.assert_array_equal(env.state(), np.concatenate(list(observations.values())))
    assert env.state().shape == env.state_space.shape == (n_agents * (10 + 2 * n_agents),)


@pytest.mark.parametrize("continuous", [False, True])
def test_it_is_simple_tag_with_the_prey_played_by_the_environment(continuous):
    ours = make("PredatorPrey-4", prey="frozen", continuous_actions=continuous)
    theirs = simple_tag_v3.parallel_env(num_adversaries=4, continuous_actions=continuous)
    rng = np.random.default_rng(0)
    for seed in range(5):
        mine, _ = ours.reset(seed=seed)
        reference, _ = theirs.reset(seed=seed)
        for t in range(25):
            for agent in ours.possible_agents:
                np.testing.assert_array_equal(mine[agent], reference[agent])
            actions = random_actions(ours, rng)
            still = np.eye(5, dtype=np.float32)[0] if continuous else 0
            mine, rewards, terminated, truncated, infos = ours.step(actions)
            reference, expected, *_ = theirs.step({**actions, "agent_0": still})
            assert rewards == {agent: expected[agent] for agent in ours.possible_agents}
            assert not any(terminated.values())
            assert set(truncated.values()) == {t == 24}
            assert [info.get("TimeLimit.truncated", False) for info in infos.values()] == [t == 24] * 4
    assert ours.agents == []


def test_rewards_are_shared_and_the_last_one_is_kept():
    env = make("PredatorPrey-6", prey="frozen", max_cycles=20)
    env.seed(0)
    last = []
    for _ in range(5):
        observations, _ = env.reset()
        while env.agents:
            observations, rewards, *_ = env.step(chase(observations))
            assert len(set(rewards.values())) == 1
            assert rewards["adversary_0"] % 10 == 0
        last.append(rewards["adversary_0"])
    assert max(last) > 0


@pytest.mark.parametrize("prey", PREYS)
def test_the_prey_draws_from_the_seed_and_not_from_global_generators(prey):
    env, other = make("PredatorPrey-3", prey=prey), make("PredatorPrey-3", prey=prey)
    env.seed(4)
    np.random.seed(0)  # noqa: NPY002
    first = play(env, 60)
    other.seed(4)
    np.random.seed(1)  # noqa: NPY002
    np.testing.assert_array_equal(play(other, 60), first)
    other.seed(5)
    assert not np.array_equal(play(other, 60), first)


@pytest.mark.parametrize("prey", PREYS)
@pytest.mark.parametrize(
    "continuous, copy", [(False, lambda state: pickle.loads(pickle.dumps(state))), (True, lambda state: state)]
)
def test_a_restored_state_continues_exactly(prey, continuous, copy):
    env = make("PredatorPrey-3", prey=prey, continuous_actions=continuous)
    env.seed(1)
    play(env, 37)
    state = copy(env.get_state())
    assert {type(value) for value in state.values()} <= {bool, int, float, str, np.ndarray}
    expected = play(env, 50)
    fresh = make("PredatorPrey-3", prey=prey, continuous_actions=continuous)
    fresh.set_state(state)
    np.testing.assert_array_equal(play(fresh, 50), expected)
    env.set_state(state)
    np.testing.assert_array_equal(play(env, 50), expected)


@pytest.mark.parametrize("episodes", [0, 1])
def test_a_state_between_episodes_is_restored_too(episodes):
    env = make("PredatorPrey-3", prey="random")
    env.seed(1)
    for _ in range(episodes):
        play(env, 25)
    copy = pickle.loads(pickle.dumps(env))  # as SuperSuit copies environments
    assert copy.agents == []
    np.testing.assert_array_equal(play(copy, 50), play(env, 50))


def test_a_state_of_another_team_is_refused():
    with pytest.raises(ValueError, match="has 7 bodies"):
        make("PredatorPrey-4").set_state(make("PredatorPrey-3").get_state())


def test_frames_need_no_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    env, closed = (make("PredatorPrey-6", render_mode="rgb_array") for _ in range(2))
    env.reset(seed=0)
    first = env.render()
    assert (first.shape, first.dtype) == ((700, 700, 3), np.uint8)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) >= 4  # ground, predators, prey, obstacles
    closed.close()
    play(env, 10)
    assert not np.array_equal(env.render(), first)
    restored = make("PredatorPrey-6", render_mode="rgb_array")
    restored.set_state(env.get_state())
    np.testing.assert_array_equal(restored.render(), env.render())
    env.close()


def test_a_window_is_drawn_once_per_step_and_its_end_is_no_other_environments_end(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window, frames = make("PredatorPrey-3", render_mode="human"), make("PredatorPrey-3", render_mode="rgb_array")
    drawn = []
    monkeypatch.setattr(window._raw, "draw", lambda: drawn.append(1))
    window.reset(seed=0)
    frames.reset(seed=0)
    play(window, 3)
    assert len(drawn) == 3
    window.close()
    window.close()
    assert frames.render().shape == (700, 700, 3)
    play(make("PredatorPrey-3", render_mode="rgb_array"), 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prey": "tame"}, "prey='tame'.*flee, pretrained, random, frozen"),
        ({"max_cycles": 0}, "max_cycles=0"),
        ({"render_mode": "ansi"}, "render_mode='ansi'"),
        ({"continuous_actions": "False"}, "continuous_actions='False', expected True or False"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        make("PredatorPrey-3", **options)


def test_seeds_are_checked():
    env = make("PredatorPrey-3")
    first = env.reset(seed=np.int64(3))[0]
    again = env.reset(seed=3)[0]
    assert all(np.array_equal(first[agent], again[agent]) for agent in first)
    for seed in (-1, 1.5, "3"):
        with pytest.raises(ValueError, match="seed=.*expected None or an integer >= 0"):
            env.reset(seed=seed)


def test_a_limit_that_was_set_later_is_part_of_the_state():
    env = make("PredatorPrey-3", prey="random")
    env.max_cycles = 5
    env.reset(seed=1)
    other = make("PredatorPrey-3", prey="random")
    other.set_state(env.get_state())
    assert pickle.loads(pickle.dumps(env)).max_cycles == other.max_cycles == 5
    old = {key: value for key, value in env.get_state().items() if key != "max_cycles"}
    fresh = make("PredatorPrey-3", prey="random")
    fresh.set_state(old)
    assert fresh.max_cycles == 25


@pytest.mark.parametrize("name", ["PredatorPrey-1", "PredatorPrey-10", "PredatorPrey", "PredatorPrey-3-maptf"])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=f"{name}'.*from 2 to 9"):
        make(name)


@pytest.mark.parametrize(
    ("continuous", "action", "message"),
    [
        (False, 5, "adversary_1: action 5"),
        (False, -1, "action -1"),
        (False, 1.5, "action 1.5"),
        (True, [0, 0, 0, 0], "5 finite numbers"),
        (True, [0, 0, float("nan"), 0, 0], "5 finite numbers"),
    ],
)
def test_actions_are_checked(continuous, action, message):
    env = make("PredatorPrey-2", continuous_actions=continuous)
    with pytest.raises(RuntimeError, match="reset"):
        env.step({})
    env.reset(seed=0)
    good = random_actions(env, np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        env.step({**good, "adversary_1": action})
    with pytest.raises(ValueError, match="No action for adversary_1"):
        env.step({"adversary_0": good["adversary_0"]})
    env.step(good)


@pytest.mark.slow
@pytest.mark.parametrize("prey", PREYS)
@pytest.mark.parametrize("name", IDS)
def test_a_thousand_random_episodes(name, prey):
    env = make(name, prey=prey)
    env.seed(0)
    assert np.isfinite(play(env, 25_000)).all()
