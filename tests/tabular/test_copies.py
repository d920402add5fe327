"""A task for one agent, copied: agents that never meet live as they would alone; a killed run loses nothing."""

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from pettingzoo.test import parallel_api_test

from marl_pr_common.envs.copies import Copies
from marl_pr_common.results.readers import read_all
from marl_pr_common.study.hosts import CellRun
from marl_pr_common.tabular import host
from marl_pr_common.tabular.cell import Budget, parse
from marl_pr_common.tabular.one_seed import make_trainer

OWN = "tests.envs.own_envs"
SHORT = {"mode": "decision", "steps_per_agent": 40, "eval_every": 20, "eval_episodes": 2}


def lake():
    return gym.make("FrozenLake-v1", max_episode_steps=12)


def test_copies_are_a_parallel_env():
    parallel_api_test(Copies(lake, 3), num_cycles=60)


@pytest.mark.parametrize("restart", [False, True])
def test_each_agent_lives_as_it_would_alone(restart):
    team, rng = Copies(lake, 3, restart), np.random.default_rng(0)
    seeds = [int(seed) for seed in np.random.SeedSequence(5).generate_state(3)]
    alone = [lake() for _ in seeds]
    seen, _ = team.reset(seed=5)
    assert list(seen.values()) == [env.reset(seed=seed)[0] for env, seed in zip(alone, seeds, strict=True)]
    over, ends = [False] * 3, 0
    for _ in range(60):
        actions = dict.fromkeys(team.agents, int(rng.integers(4)))
        found = team.step(actions)
        for i, agent in enumerate(team.possible_agents):
            if agent in actions:
                terms = alone[i].step(actions[agent])
                assert tuple(part[agent] for part in found) == terms
                over[i] = terms[2] or terms[3]
                ends += over[i]
            elif restart:
                assert found[0][agent] == alone[i].reset()[0]
                assert agent not in found[1]
                over[i] = False
            else:
                assert all(agent not in part for part in found)
        assert team.agents == [agent for agent, ended in zip(team.possible_agents, over, strict=True) if not ended]
        if not team.agents:
            break
    assert ends == 3 if not restart else ends > 6


@pytest.mark.parametrize(
    ("task", "n_agents", "expected"),
    [("FrozenLake-v1", None, 3), ("FrozenLake-v1", 2, 2), (f"{OWN}:lake", 4, 4), (f"{OWN}:DiscreteDuel", None, 2)],
)
def test_tasks_of_others_are_cells_like_ours(task, n_agents, expected, tmp_path):
    settings = SHORT | ({} if n_agents is None else {"n_agents": n_agents})
    plan = host.plan(task, 0, settings)
    assert (plan.n_agents, plan.total_env_steps) == (expected, 40 * expected)
    assert not host.may_share(task, plan)
    host.run(CellRun("cell", "iql", task, 0, plan), tmp_path / "run")
    table = read_all([tmp_path / "run"])
    assert set(table["task"]) == {task}
    assert sorted(table["agent"].unique()) == list(range(expected))


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        (f"{OWN}:OddDuel", {}, "env='.*OddDuel': a observes Discrete.* and b Discrete"),
        (f"{OWN}:Duel", {}, "env='.*Duel': .*tabular learning needs Discrete"),
        (f"{OWN}:DiscreteDuel", {"n_agents": 3}, "n_agents=3, but .*DiscreteDuel has 2 agents"),
        ("Navigation-3", {"n_agents": 2}, "n_agents=2, but Navigation-3 has 3 agents"),
        ("FrozenLake-v1", {"n_agents": 0}, "n_agents=0: expected an integer >= 1"),
        ("CartPole-v1", {}, "tabular learning needs Discrete"),
        ("FrozenLak-v1", {}, "Unknown environment 'FrozenLak-v1'.*package.module:factory.*FrozenLake"),
        (f"{OWN}:raises", {}, "its factory raised KeyError: 'port'"),
        ("not_there:make", {}, "no module 'not_there'"),
    ],
)
def test_a_slip_is_named_before_anything_runs(task, settings, message):
    with pytest.raises(ValueError, match=message):
        host.plan(task, 0, SHORT | settings)


@pytest.mark.parametrize("task", ["FrozenLake-v1", "CliffWalking-v1"])
def test_a_killed_run_goes_on_bit_for_bit(task):
    budget, config = parse(SHORT, task)
    whole, part, rest = (make_trainer(task, config, budget, 3) for _ in range(3))
    whole.train(70)
    part.train(33)
    rest.load_state_dict(part.state_dict())
    rest.train(37)
    assert np.array_equal(whole.learner.tables.q, rest.learner.tables.q)
    assert np.array_equal(whole.evaluate(3).returns, rest.evaluate(3).returns)


def test_a_run_whose_environment_cannot_be_saved_begins_anew(tmp_path, caplog):
    task = f"{OWN}:DiscreteDuel"
    trainer = make_trainer(task, parse(SHORT, task)[1], Budget(), 0)
    assert "DiscreteDuel is not known" in trainer.unsaveable
    plan = host.plan(task, 0, SHORT | {"checkpoint_every": 20})
    host.run(CellRun("cell", "iql", task, 0, plan), tmp_path / "run")
    assert "cell: if it is killed it begins anew" in caplog.text
