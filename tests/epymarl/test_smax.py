"""SMAX in EPyMARL: episode, parallel and vectorised runners; what is logged; mistakes. Runs need jax and JaxMARL."""

import json
import os
import subprocess
import sys

import pytest

from epymarl_pr.launch import checks, derive, locate
from epymarl_pr.launch.errors import UsageError
from marl_pr_common.envs.smax.maps import LIMITS
from tests.needs import NEEDS_JAX

QUICK = ("test_nepisode=2", "test_interval=100000", "batch_size=2", "buffer_size=8", "seed=1", "log_interval=50")


@pytest.fixture(scope="module")
def checkout():
    try:
        return locate.find()
    except UsageError as error:
        pytest.skip(str(error))


def run(checkout, tmp_path, algorithm, env, *settings, flags=()):
    """The run's metrics, as sacred keeps them."""
    command = [sys.executable, "-m", "epymarl_pr", f"--epymarl-dir={checkout.root}", f"--run-dir={tmp_path / 'run'}"]
    command += [*flags, f"--config={algorithm}", f"--env-config={env}", "with", *QUICK, *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    (file,) = (tmp_path / "run").rglob("metrics.json")
    return json.loads(file.read_text())


def test_the_configuration_follows_the_checkout(checkout):
    derived = derive.environment(checkout, "smax", {})
    host = derive.read(checkout.src / "config" / "envs" / "smaclite.yaml")
    assert derived["env"] == "smax"
    assert derived["env_args"] == {"map_name": None, "time_limit": None}
    assert derived["test_interval"] == host["test_interval"]


@NEEDS_JAX
@pytest.mark.parametrize("runner, rows", [pytest.param("episode", 1, marks=pytest.mark.slow), ("vectorised", 2)])
@pytest.mark.slow
def test_qmix_pr_runs_and_logs_who_won(checkout, tmp_path, runner, rows):
    settings = ("env_args.map_name=3m", "t_max=120", f"runner={runner}", f"batch_size_run={rows}")
    metrics = run(checkout, tmp_path, "qmix_pr", "smax", *settings, "runner_log_interval=40", "learner_log_interval=40")
    assert set(metrics["battle_won_mean"]["values"]) <= {i / 100 for i in range(101)}
    assert {"return_mean", "dead_enemies_mean", "ep_length_mean", "test_battle_won_mean"} <= set(metrics)
    assert metrics["loss"]["values"]
    assert all(0 <= value <= 20.01 for value in metrics["return_mean"]["values"])


@NEEDS_JAX
@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_start_by_every_method(checkout, tmp_path, method):
    settings = ("env_args.map_name=3m", "t_max=60", "runner=parallel", "batch_size_run=2", "runner_log_interval=30")
    metrics = run(checkout, tmp_path, "mappo_pr", "smax", *settings, flags=[f"--start-method={method}"])
    assert "battle_won_mean" in metrics


@NEEDS_JAX
@pytest.mark.slow
@pytest.mark.parametrize("env", ["smax", "gymma"])
def test_the_vectorised_runner_collects_what_forked_workers_collect(checkout, tmp_path, env):
    task = (
        ("env_args.map_name=3m",) if env == "smax" else ("env_args.key=epymarl_pr:pp-3-v0", "env_args.engine=jaxmarl")
    )
    # epsilon stays 1 and nothing is trained: the same seeds give the same episodes
    settings = (*task, "t_max=200", "batch_size_run=3", "batch_size=50", "buffer_size=60", "runner_log_interval=1")
    found = []
    for runner in ("parallel", "vectorised"):
        folder = tmp_path / runner
        folder.mkdir()
        metrics = run(checkout, folder, "qmix", env, *settings, f"runner={runner}", "epsilon_anneal_time=100000000")
        found.append([metrics[key]["values"] for key in ("return_mean", "ep_length_mean")])
    for ours, theirs in zip(*found, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)


@NEEDS_JAX
@pytest.mark.slow
def test_jax_stays_out_of_the_process_that_forks(checkout):
    code = (
        "import sys\nfrom pathlib import Path\nfrom epymarl_pr import launcher, register\n"
        "import tempfile\n"
        "particles = ['env_args.key=epymarl_pr:pp-3-v0', 'env_args.engine=jaxmarl']\n"
        "for env, task in (('smax', ['env_args.map_name=3m']), ('gymma', particles)):\n"
        "    argv = ['--config=qmix_pr', f'--env-config={env}', 'with', *task, 'runner=parallel']\n"
        "    launcher.prepare(argv, Path(tempfile.mkdtemp()))\n"
        "register.learners(); register.environments(); register.runners()\n"
        "print('jax' in sys.modules)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    environment = {**os.environ, locate.ENVIRONMENT_VARIABLE: str(checkout.root)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip().endswith("False")


@NEEDS_JAX
def test_the_environment_has_what_epymarl_asks_for():
    from epymarl_pr.envs.smax import make

    env = make(map_name="3m", seed=0, time_limit=3, common_reward=True, reward_scalarisation="sum")
    info = env.get_env_info()
    assert info == {"state_shape": 72, "obs_shape": 75, "n_actions": 8, "n_agents": 3, "episode_limit": 3}
    env.reset()
    for step in range(3):
        observations, reward, terminated, truncated, facts = env.step([4, 4, 4])
        assert (terminated, truncated, facts.get("episode_limit", False)) == (False, step == 2, step == 2)
        assert isinstance(reward, float)
        assert [len(seen) for seen in observations] == [75] * 3
        assert all(mask[4] == 1 for mask in env.get_avail_actions())
    assert env.get_stats() == {"battles_won": 0, "battles_game": 1, "timeouts": 1, "win_rate": 0.0}
    alone = make(map_name="3m", seed=0, common_reward=False, reward_scalarisation="sum")
    alone.reset()
    assert alone.step([4, 4, 4])[1] == [0.0] * 3
    assert alone.episode_limit == LIMITS["3m"]


@pytest.mark.slow
@NEEDS_JAX
def test_the_smaller_limit_of_the_vectorised_runner_counts(checkout):
    code = (
        "from epymarl_pr.launch import compat, locate\ncompat.install(locate.find().src)\n"
        "from epymarl_pr.envs.vectorised import make\n"
        "task = {'key': 'epymarl_pr:spread-3-v0', 'engine': 'jaxmarl', 'seed': 1}\n"
        "limits = ((25, 7), (6, 25), (8, None))\n"
        "made = [make('gymma', {**task, 'time_limit': t, 'max_cycles': m}, 2) for t, m in limits]\n"
        "print(*(env.max_cycles for env in made))\n"
    )
    environment = {**os.environ, locate.ENVIRONMENT_VARIABLE: str(checkout.root)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split()[-3:] == ["7", "6", "8"]


@pytest.mark.parametrize(
    "config, message",
    [
        ({"env": "smax", "env_args": {"map_name": None}}, "env_args.map_name is missing"),
        ({"env": "smax", "env_args": {"map_name": "4m"}}, "Unknown SMAX map '4m'"),
        ({"env": "smax", "env_args": {"map_name": "3m", "time_limit": 0}}, "env_args.time_limit=0"),
        ({"env": "gymma", "runner": "vectorised", "env_args": {"key": "epymarl_pr:pp-3-v0", "engine": "mpe2"}},
         "runner=vectorised with env=gymma"),
        ({"env": "gymma", "runner": "vectorised",
          "env_args": {"key": "epymarl_pr:pp-3-v0", "engine": "jaxmarl", "pretrained_wrapper": "PretrainedTag"}},
         "pretrained_wrapper=PretrainedTag"),
        ({"env": "smax", "runner": "vectorised", "render": True, "env_args": {"map_name": "3m"}}, "render=True"),
        ({"env": "smax", "runner": "episode", "render": True, "env_args": {"map_name": "3m"}},
         "render=True with env=smax: SMAX is not drawn"),
        ({"env": "smax", "runner": "vectorised", "batch_size_run": 0, "env_args": {"map_name": "3m"}},
         "batch_size_run=0"),
    ],
)  # fmt: skip
def test_mistakes(monkeypatch, config, message):
    monkeypatch.setattr("epymarl_pr.envs.smax.require", lambda: None)
    with pytest.raises(UsageError, match=message):
        checks.environment(config)
