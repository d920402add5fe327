"""``marl-pr train`` on multi-agent tasks: the team is the columns, time limits are truncations, films are real."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("supersuit", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from marl_pr_common.envs import make
from marl_pr_common.runs.film import write_film
from marl_pr_common.runs.table import read_results
from sb3_pr.evaluation import evaluate_team
from sb3_pr.render import film
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.run import build_model, train
from sb3_pr.study.teams import team_env

TINY = TrainConfig(
    env="CooperativeNavigation-3",
    timesteps_per_agent=60,
    learning_starts=30,
    batch_size=8,
    buffer_size=200,
    eval_every=30,
    eval_episodes=2,
    net_arch=(8,),
)


@pytest.mark.parametrize(
    "algo, env, n_agents", [("td3_pr", "CooperativeNavigation-3", 3), ("ddpg_pr", "PredatorPrey-4", 4)]
)
@pytest.mark.few(1)
def test_a_team_trains_and_can_be_filmed(tmp_path, algo, env, n_agents):
    train(replace(TINY, algo=algo, env=env, n_agents=n_agents), tmp_path / "run")
    table = read_results([tmp_path / "run"]).query("metric == 'eval/return'")
    assert sorted(table["agent"].unique()) == list(range(n_agents))
    (evaluation,) = set(table["evaluation"])
    assert evaluation.startswith("2 episodes of the whole team, deterministic")
    if env.startswith("Pred"):  # all predators are paid the same
        assert (table.groupby("env_steps_per_agent")["value"].nunique() == 1).all()
    frames = film(tmp_path / "run")
    assert len(frames) == 26
    assert frames[0].shape == (700, 700, 3)
    assert any(np.any(first != second) for first, second in pairwise(frames))
    with pytest.raises(ValueError, match="episodes=0"):
        film(tmp_path / "run", episodes=0)
    with pytest.raises(ValueError, match="seed=-1"):
        film(tmp_path / "run", seed=-1)
    write_film(tmp_path / "film.gif", frames)
    assert (tmp_path / "film.gif").stat().st_size > 1000


def test_the_time_limit_is_no_end():
    model = build_model(TINY, team_env("CooperativeNavigation-3", 0))
    model.learn(3 * 60)
    buffer = model.replay_buffer
    ends = np.flatnonzero(buffer.dones[:60, 0])
    assert ends.tolist() == [24, 49]
    assert (buffer.timeouts[ends] == 1).all()


@pytest.mark.parametrize("name", ["CooperativeNavigation-3", "PredatorPrey-6"])
def test_columns_show_the_team_to_its_last_step(name):
    venv, team = team_env(name, 7), make(name, continuous_actions=True)
    rng, (seen, _) = np.random.default_rng(0), team.reset(seed=7)
    assert np.array_equal(venv.reset(), np.stack(list(seen.values())))
    for step in range(1, 51):
        actions = rng.random((venv.num_envs, 5)).astype(np.float32)
        rows, rewards, dones, infos = venv.step(actions)
        seen, paid, *_ = team.step(dict(zip(team.possible_agents, actions, strict=True)))
        assert rewards == pytest.approx(list(paid.values()), abs=1e-4)
        assert dones.tolist() == [step % 25 == 0] * venv.num_envs
        if dones.all():
            assert all(info["TimeLimit.truncated"] for info in infos)
            last = np.stack([info["terminal_observation"] for info in infos])
            assert np.array_equal(last, np.stack(list(seen.values())))
            seen, _ = team.reset()
        assert np.array_equal(rows, np.stack(list(seen.values())))


def test_the_team_is_evaluated_together_and_repeatably():
    venv = team_env("CooperativeNavigation-3")
    model = build_model(TINY, team_env("CooperativeNavigation-3", 0))
    first, again, other = (np.array(evaluate_team(model, venv, 2, seed)) for seed in (5, 5, 6))
    assert first.shape == (3, 2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"algo": "td3"}, "algo=td3 on CooperativeNavigation-3.*td3_pr with pr.kappa=0"),
        ({"n_agents": 4}, "n_agents=4, but CooperativeNavigation-3 has 3 agents. Set n_agents=3"),
        ({"env": "smax:3m"}, "has discrete actions"),
        ({"env": "CooperativeNavigation-12"}, "cannot be made"),
    ],
)
def test_refusals(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        train(replace(TINY, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()
