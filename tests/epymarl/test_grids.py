"""Grid worlds in EPyMARL's form: the rules are those of the ParallelEnv, ends are stored as what they are."""

from __future__ import annotations

import logging
from typing import Any

import gymnasium
import numpy as np
import pytest

import epymarl_pr  # noqa: F401
from epymarl_pr.envs.ours import env_args, task_name
from epymarl_pr.launch import derive
from epymarl_pr.launch.errors import UsageError
from marl_pr_common.envs import make

NAMES = ["navigation-4", "landmarks-3", "blocker-3"]


def one_hot(features: Any, sizes: Any) -> list[float]:
    return [float(value == place) for value, size in zip(features, sizes, strict=True) for place in range(size)]


def test_the_compiler_is_silent_where_everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)  # as EPyMARL has it
    gymnasium.make("epymarl_pr:navigation-2-v0")
    assert not logging.getLogger("numba.core.ssa").isEnabledFor(logging.INFO)


@pytest.mark.parametrize("unlike", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_rules_are_those_of_the_parallel_env(name: str, unlike: bool) -> None:
    key = f"epymarl_pr:{name}-v0"
    env = gymnasium.make(key, unlike=unlike).unwrapped
    task = make(str(task_name(key)))
    agents, rng = task.possible_agents, np.random.default_rng(2)
    sizes = [task.observation_space(agent).nvec for agent in agents]
    ends = set()
    for episode in range(30):
        seed = 3 if episode == 0 else None
        found, _ = env.reset(seed=seed)
        seen = dict(task.reset(seed=seed)[0])
        over = cut = False
        while not (over or cut):
            for row, agent, size in zip(found, agents, sizes, strict=True):
                assert row.tolist() == (one_hot(seen[agent], size) if agent in seen else [0.0] * sum(size))
            actions = rng.integers(5, size=len(agents))
            meant = {agent: int(a + i * unlike) % 5 for i, (agent, a) in enumerate(zip(agents, actions, strict=True))}
            found, rewards, over, cut, info = env.step(actions)
            seen, paid, left, truncated, _ = task.step({agent: meant[agent] for agent in task.agents})
            seen = {agent: seen[agent] for agent in seen if not left[agent]}
            assert rewards == [paid.get(agent, 0.0) for agent in agents]
            assert (over, cut) == (not task.agents and not any(truncated.values()), any(truncated.values()))
            # EPyMARL's rule of what is terminal, whatever limit it adds itself
            assert [end != info["episode_limit"] for end in (over or cut, True)] == [over, over]
        ends.add((over, cut))
    assert ends == {(True, False), (False, True)} or name == "blocker-3"


def test_the_tables_default_limits_are_the_rules(checkout: Any) -> None:
    for name in NAMES:
        key = f"epymarl_pr:{name}-v0"
        limit = env_args(key)["time_limit"]
        assert limit == gymnasium.make(key).unwrapped._team.spec.world.limit
        found = derive.environment(checkout, "gymma", {"env_args.key": key, "env_args.time_limit": 7})
        assert found is not None
        assert found["env_args"]["max_cycles"] == 7
        assert found["env_args"]["unlike"] is False
        with pytest.raises(UsageError, match=r"env_args.prey=flee: .* has no such setting. It has .*env_args.unlike"):
            derive.environment(checkout, "gymma", {"env_args.key": key, "env_args.prey": "flee"})


def test_a_limit_of_ones_own() -> None:
    env = gymnasium.make("epymarl_pr:navigation-2-v0", max_cycles=3)
    env.reset(seed=0)
    assert [env.step([0, 0])[3] for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unlike": 1}, "unlike=1: expected True or False"),
        ({"max_cycles": 0}, "max_cycles=0: expected a number of steps"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gymnasium.make("epymarl_pr:navigation-2-v0", **settings)


def test_bad_actions_are_named() -> None:
    env = gymnasium.make("epymarl_pr:navigation-2-v0", unlike=True)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="3 actions for 2 agents"):
        env.step([0, 0, 0])
    with pytest.raises(ValueError, match=r"agent_1: action 5 is not one of 0 .. 4"):
        env.step([0, 5])


def test_frames_for_a_film() -> None:
    env = gymnasium.make("epymarl_pr:blocker-2-v0", render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().ndim == 3
