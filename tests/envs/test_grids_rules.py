"""The rules of every environment, one by one, on states set by hand; observation matrices; pictures; bad input."""

from __future__ import annotations

import numpy as np
import pytest

from marl_pr_common.envs import ObsSpace, digital_mdp, grid_spec, make, register
from marl_pr_common.envs.grids.grid import Grid


def place(name: str, pos: list[tuple[int, int]], goal: list[tuple[int, int]]) -> Grid:
    env = make(name)
    env.reset(seed=0)
    env._pos[:], env._goal[:] = pos, goal
    return env


def joint(env: Grid, *actions: int) -> dict[str, int]:
    return dict(zip(env.possible_agents, actions, strict=True))


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("Landmarks-2", [405, 405]),
        ("Landmarks-10", [1125] * 10),
        ("Navigation-3", [625] * 3),
        ("Blocker-3", [9261] * 3),
        ("Blocker-2", [96, 144]),
    ],
)
def test_numbers_of_states(name: str, states: list[int]) -> None:
    assert [space.n_states for space in grid_spec(name).spaces] == states


def test_landmarks() -> None:
    env = place("Landmarks-2", [(0, 0), (1, 0)], [(0, 1), (4, 4)])
    observations, rewards, terminated, truncated, _ = env.step(joint(env, 3, 2))
    assert rewards == pytest.approx({"agent_0": -0.07, "agent_1": -0.07})  # blocked by a mate, and by the wall
    assert observations["agent_0"].tolist() == [0 + 4, 1 + 4, 1 + 2]  # dx, dy to the landmark, mx of the mate
    assert observations["agent_1"].tolist() == [-1 + 4, 1 + 4, 0 + 2]  # misses mx, sees my
    observations, rewards, terminated, truncated, _ = env.step(joint(env, 1, 0))
    assert rewards == pytest.approx({"agent_0": 0.98, "agent_1": -0.02})
    assert terminated == {"agent_0": True, "agent_1": False}
    assert not any(truncated.values())
    assert env.agents == ["agent_1"]
    assert observations["agent_1"].tolist() == [3 + 4, 4 + 4, 2]  # the landmark is taken, no mate is active


def test_landmarks_first_agent_takes_it() -> None:
    env = place("Landmarks-2", [(0, 0), (2, 0)], [(1, 0), (4, 4)])
    _, rewards, terminated, _, _ = env.step(joint(env, 3, 4))
    assert rewards == pytest.approx({"agent_0": 0.98, "agent_1": -0.02})  # the second may enter: the first has left
    assert terminated == {"agent_0": True, "agent_1": False}


def test_navigation() -> None:
    env = place("Navigation-2", [(0, 0), (1, 0)], [(4, 4), (2, 0)])
    observations, rewards, _, _, _ = env.step(joint(env, 3, 2))
    assert rewards == pytest.approx({"agent_0": -0.07, "agent_1": -0.02})  # soft collision: agent 0 enters all the same
    assert observations["agent_0"].tolist() == [1, 0, 4, 4]
    _, rewards, terminated, _, _ = env.step(joint(env, 0, 3))
    assert rewards == pytest.approx({"agent_0": -0.02, "agent_1": 0.98})
    assert terminated["agent_1"]


def test_blocker() -> None:
    env = place("Blocker-2", [(0, 1), (3, 1)], [(0, 0), (0, 0)])
    _, rewards, _, _, _ = env.step(joint(env, 1, 0))
    assert rewards == {"agent_0": -1.0, "agent_1": -1.0}
    _, rewards, _, _, _ = env.step(joint(env, 1, 0))  # agent 0 stands before the gap: the blocker moves first
    assert rewards["agent_0"] == -1.0
    assert env._goal[0, 0] == 1
    assert env._pos[0].tolist() == [0, 2]
    _, rewards, _, _, _ = env.step(joint(env, 0, 1))
    observations, rewards, terminated, _, _ = env.step(joint(env, 0, 1))  # both gaps attacked: it stays open
    assert rewards == {"agent_0": 1.0, "agent_1": 1.0}
    assert all(terminated.values())
    assert observations["agent_0"].tolist() == [2, 0, 3, 1]  # own row, column; the mate's row is missed; g
    assert observations["agent_1"].tolist() == [2, 3, 2, 0]  # the last agent misses g


def test_observation_matrices() -> None:
    """Remark 1: each row of Pi has one 1, and s = Pi s_G."""
    env = make("Blocker-3")
    for agent, hidden in zip(env.possible_agents, [2, 4, 6], strict=True):
        pi = env.observation_matrix(agent)
        assert pi.shape == (6, 7)
        assert (pi.sum(axis=1) == 1).all()
        assert pi.sum(axis=0)[hidden] == 0
    space = ObsSpace((3, 4, 2), (True, False, True))
    states = np.arange(space.n_states)
    assert space.encode(np.maximum(space.decode(states), 0)).tolist() == states.tolist()
    assert space.matrix.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_limits_truncate() -> None:
    env = make("Navigation-2")
    env.reset(seed=1)
    env._goal[:] = (4, 4)
    env._pos[:] = (0, 0)
    for step in range(50):
        _, _, terminated, truncated, _ = env.step(joint(env, 0, 0))
        assert not any(terminated.values())
        assert all(truncated.values()) == (step == 49)
    assert env.agents == []


@pytest.mark.slow
def test_digital_model() -> None:
    """Digital's samples agree with its model: frequencies of s' and means of r, within 5 standard errors."""
    env = make("Digital", n_agents=3, n_states=4, limit=20_000, model_seed=5)
    np.testing.assert_array_equal(env.mdp.transition, digital_mdp(np.random.default_rng(5), 4, 2, 3).transition)
    rng = np.random.default_rng(0)
    observations, _ = env.reset(seed=0)
    counts, rewards, visits = np.zeros((4, 2, 4)), np.zeros((3, 4, 2)), np.zeros((4, 2))
    while env.agents:
        s, a = observations["agent_0"], int(rng.integers(2))
        observations, reward, _, _, infos = env.step(dict.fromkeys(env.agents, a))
        assert infos["agent_1"]["executed_action"] == a
        counts[s, a, observations["agent_0"]] += 1
        rewards[:, s, a] += list(reward.values())
        visits[s, a] += 1
    assert np.abs(counts / visits[..., None] - env.mdp.transition).max() < 5 * 0.5 / np.sqrt(visits.min())
    assert np.abs(rewards / visits - env.mdp.reward).max() < 5 * 0.29 / np.sqrt(visits.min())


@pytest.mark.parametrize("name", ["Landmarks-2", "Navigation-10", "Blocker-3", "Digital"])
def test_rendering(name: str) -> None:
    env = make(name, render_mode="rgb_array")
    env.reset(seed=0)
    image = env.render()
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 2
    env = make(name, render_mode="ansi")
    env.reset(seed=0)
    text = env.render()
    assert len({len(line) for line in text.splitlines()}) == 1
    assert make(name).render() is None


def test_ansi_picture() -> None:
    env = Grid(grid_spec("Blocker-2"), render_mode="ansi")
    env.reset(seed=0)
    env._pos[:], env._goal[0, 0] = [(1, 0), (3, 2)], 1
    assert env.render() == ". A . .\n. . . .\n. . . B\nX X X  \n"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make("Maze-3"), "Unknown environment 'Maze-3'.*Landmarks-N"),
        (lambda: make("Navigation-0"), "Unknown grid environment 'Navigation-0'"),
        (lambda: make("Blocker-1"), "at least 2 agents"),
        (lambda: make("Landmarks-40"), "80 distinct start cells are needed but the grid has 64"),
        (lambda: make("Blocker-3", render_mode="human"), "render_mode='human'"),
        (lambda: make("Digital", coupling="none"), "coupling='none'"),
        (lambda: register("Digital", lambda: None), "taken"),
        (lambda: ObsSpace((2, 3), (False, False)), "observes no feature"),
        (lambda: ObsSpace((2, 3), (True,)), "keep has 1 entries"),
        (lambda: ObsSpace((2, 3)).encode([0, 3]), "outside"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_action() -> None:
    env = make("Navigation-1")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action 5 is not one of 0 \.\. 4"):
        env.step({"agent_0": 5})


def test_register() -> None:
    register("MyNavigation", lambda **options: make("Navigation-2", **options))
    assert len(make("MyNavigation", render_mode="ansi").possible_agents) == 2
