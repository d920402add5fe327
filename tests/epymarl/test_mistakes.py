"""A user's mistake: one message that names it and says what to do, before anything starts. No stack trace, no hang."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch as th

from epymarl_pr import launcher, locate
from epymarl_pr.errors import UsageError
from epymarl_pr.locate import Checkout
from tests.epymarl import runs
from tests.events import HANG

PP = ["env_args.key=epymarl_pr:pp-3-v0"]
CASES: list[tuple[list[str], str]] = [
    (["--config=mappo_pr", "--env-config=gymma", "with", "env_args.key=Foo-v0"],
     "env_args.key=Foo-v0: Environment `Foo` doesn't exist.*PACKAGE:ID"),
    (["--config=mappo_pr", "--env-config=gymma", "with", "env_args.key=nothere:Foo-v0"],
     "env_args.key=nothere:Foo-v0: No module named 'nothere'.*Install the package"),
    (["--config=mappo_pr", "--env-config=gymma", "with", "env_args.key=epymarl_pr:pp-3-v7"],
     "env_args.key=epymarl_pr:pp-3-v7: .*v7"),
    (["--config=mappo_pr", "--env-config=gymma"], "env_args.key is missing"),
    (["--config=mappo", "--env-config=gymma", "with", *PP, "env_args.prey=fleee"],
     "env_args.key=epymarl_pr:pp-3-v0 can't be built with .*prey=fleee.*expected one of flee"),
    (["--config=mappo", "--env-config=gymma", "with", *PP, "env_args.speed=3"],
     "env_args.speed=3: epymarl_pr:pp-3-v0 has no such setting. It has .*env_args.prey"),
    (["--config=mappo", "--env-config=gymma", "with", *PP, "env_args.continuous_actions=True"],
     "env_args.continuous_actions=True: epymarl_pr:pp-3-v0 has no such setting"),
    (["--config=mappo", "--env-config=smax", "with", "env_args.map_name=3m", "env_args.max_cycles=5"],
     "env_args.max_cycles=5: --env-config=smax has no such setting. It has .*env_args.time_limit"),
    (["--config=mappo", "--env-config=gymma", "with", "env_args.key=smax:3m"],
     "env_args.key=smax:3m: .*--env-config=smax with env_args.map_name=3m"),
    (["--config=mappo", "--env-config=smaclite", "with", "env_args.map_name=5m_vs_6m"],
     "SMAClite has no such map. Use --env-config=smaclite_5m_vs_6m"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "runner=vectorized"],
     "runner=vectorized: expected one of episode, parallel, vectorised"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "batch_size_run=True"], "batch_size_run=True: expected"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "seed=-1"], "seed=-1: expected an integer"),
    (["--config=mappo", "--env-config=gymma", "with", *PP, "env_args.pretrained_wrapper=Nobody"],
     "can't be built with .*pretrained_wrapper=Nobody.*no attribute 'Nobody'"),
    (["--config=mappo", "--env-config=gymma", "with", *PP, "reward_scalarisation=max"], "reward_scalarisation: max"),
    (["--config=mappo", "--env-config=smaclite", "with", "env_args.map_name=2s3z"],
     "env=smaclite: the package smaclite is not installed.*pip install"),
    (["--config=qmix", "--env-config=sc2", "with", "env_args.map_name=3m"],
     "env=sc2: the package smac is not .*pip install.* And StarCraft II is not in .*SC2PATH"),
    (["--config=qmix_pr", "--env-config=gymma", "pr_kappa=0.5", "with", *PP],
     "pr_kappa=0.5 stands before `with`.*with pr_kappa=0.5"),
    (["--config=qmix_pr", "--env-config=gymma", *PP], "stands before `with`"),
    (["--env-config=gymma", "with", *PP], "--config=NAME is missing"),
    (["--config=qmix_pr", "with", *PP], "--env-config=NAME is missing"),
    (["--config=qmix_pr", "--env-config=gyma", "with", *PP], "--env-config=gyma.*Did you mean gymma"),
    (["--config", "--env-config=gymma", "with", *PP], "--config needs a value: --config=VALUE"),
    (["--config=coma_pr", "--env-config=gymma", "with", *PP], "coma_learner.*has no reciprocity"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "pr_kappa=0.5"], "Use --config=qmix_pr"),
    (["--config=qmix_pr", "--env-config=gymma", "with", *PP, "pr_kappa=1.5"], "pr_kappa=1.5: expected a number"),
    (["--config=qmix_pr", "--env-config=gymma", "with", *PP, "pr_kapa=0.5"], "Did you mean pr_kappa"),
    (["--config=maddpg", "--env-config=gymma", "with", *PP, "runner=parallel", "batch_size_run=2"],
     "runner=parallel with mac=maddpg_mac: .*Use runner=episode"),
    (["--config=dvm_pr", "--env-config=gymma", "with", *PP, "env_args.engine=jaxmarl", "runner=vectorised"],
     "runner=vectorised with mac=maddpg_mac: .*DVM.*Use runner=episode"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "batch_size_run=3"],
     "batch_size_run=3 with runner=episode: .*Use runner=parallel"),
    (["--config=qmix_pr", "--env-config=gymma", "--start-method=thread", "with", *PP],
     "--start-method=thread: expected one of"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher sets it for worker processes; it is to be as before after the test."""
    monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, os.environ.get(locate.ENVIRONMENT_VARIABLE, "unused"))


@pytest.mark.parametrize("arguments, message", CASES, ids=range(len(CASES)))
def test_one_message(checkout: Checkout, tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){message}"):
        launcher.prepare([f"--epymarl-dir={checkout.root}", *arguments], tmp_path)


def test_a_prey_that_is_not_there(checkout: Checkout, tmp_path: Path) -> None:
    runs.clone(checkout, tmp_path / "epymarl")
    (tmp_path / "epymarl" / "src" / "envs" / "pretrained" / "prey_params.pt").unlink()
    command = ["--config=mappo_pr", "--env-config=gymma", "with", *PP, "env_args.prey=pretrained"]
    with pytest.raises(UsageError, match=r"can't be built with .*prey=pretrained.*prey_params\.pt"):
        launcher.prepare([f"--epymarl-dir={tmp_path / 'epymarl'}", *command], tmp_path)


def test_settings_of_a_file_are_checked_too(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("env_args: {key: epymarl_pr:pp-3-v0, prey: tame}\npr_rho: 2\n")
    command = [f"--epymarl-dir={checkout.root}", "--config=qmix_pr", "--env-config=gymma", "with"]
    with pytest.raises(UsageError, match="prey=tame"):
        launcher.prepare([*command, str(tmp_path / "own.yaml")], tmp_path)
    prepared = launcher.prepare([*command, str(tmp_path / "own.yaml"), "env_args.prey=random"], tmp_path)
    assert prepared.config["pr_rho"] == 2
    assert prepared.config["env_args"]["prey"] == "random"


def test_the_environment_that_is_tried_leaves_the_generators_alone(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "greedy_env.py").write_text(
        "import random, gymnasium, numpy as np, torch as th\n"
        "from epymarl_pr.environments import TeamEnv\n"
        "class Greedy(TeamEnv):\n"
        "    def seed(self, seed=None):\n"
        "        np.random.seed(3); random.seed(3); th.manual_seed(3)\n"
        "gymnasium.register('Greedy-v0', entry_point=Greedy, kwargs={'name': 'PredatorPrey-3'},\n"
        "                   disable_env_checker=True, order_enforce=False)\n"
    )
    sys.path.insert(0, str(tmp_path))
    before = random.getstate(), np.random.get_state()[1].tobytes(), th.get_rng_state().numpy().tobytes()
    try:
        command = ["--config=qmix", "--env-config=gymma", "with", "env_args.key=greedy_env:Greedy-v0"]
        launcher.prepare([f"--epymarl-dir={checkout.root}", *command], tmp_path)
        assert "greedy_env" in sys.modules
    finally:
        sys.path.remove(str(tmp_path))
    assert (random.getstate(), np.random.get_state()[1].tobytes(), th.get_rng_state().numpy().tobytes()) == before


def test_another_commit_is_a_warning_not_an_end(
    checkout: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = runs.clone(checkout, tmp_path / "epymarl")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "more"], cwd=root, check=True)
    launcher.prepare([f"--epymarl-dir={root}", "--config=qmix", "--env-config=gymma", "with", *PP], tmp_path)
    assert f"tested with {locate.TESTED_COMMIT}" in capsys.readouterr().err


def end(code: str, folder: Path) -> tuple[int, str]:
    """Exit code and everything printed of a program, run in an empty home."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=HANG, check=False,
        env={**runs.variables(), "HOME": str(folder), locate.ENVIRONMENT_VARIABLE: ""},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


RUN = "import runpy, sys; sys.argv = ['x', *{arguments!r}]; runpy.run_module('epymarl_pr', run_name='__main__')"


def test_no_checkout(tmp_path: Path) -> None:
    code, text = end(RUN.format(arguments=["--config=qmix_pr", "--env-config=gymma", "with", *PP]), tmp_path)
    assert code == 2
    assert text.startswith("epymarl_pr: no EPyMARL checkout found")
    assert "git clone" in text


@pytest.mark.parametrize("package", ["sacred", "gymnasium"])
def test_without_the_extra(checkout: Checkout, tmp_path: Path, package: str) -> None:
    arguments = [f"--epymarl-dir={checkout.root}", "--config=qmix_pr", "--env-config=gymma", "with", *PP]
    code, text = end(f"import sys; sys.modules[{package!r}] = None; " + RUN.format(arguments=arguments), tmp_path)
    assert code == 2
    assert f"the package {package} is not installed. EPyMARL needs it: pip install 'marl-pr[epymarl]'" in text
    assert "Traceback" not in text


def test_help_needs_nothing(tmp_path: Path) -> None:
    code, text = end(RUN.format(arguments=["--help"]), tmp_path)
    assert code == 0
    assert "--start-method" in text
    code, text = end(RUN.format(arguments=["--pr-keys"]), tmp_path)
    assert code == 0
    assert "pr_kappa: 0.5" in text
    code, text = end(RUN.format(arguments=["--transfer-keys"]), tmp_path)
    assert code == 0
    assert "maptf_c1: 0.005" in text
    assert "dvm_episodes: 1000" in text
