"""A user's mistake: one message that names it and says what to do, before anything starts. No stack trace, no hang."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch as th

from epymarl_pr.launch import derive, launcher, locate
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.launch.locate import Checkout
from tests.epymarl import odd_envs, runs
from tests.events import HANG

PP = ["env_args.key=epymarl_pr:pp-3-v0"]
CASES: list[tuple[list[str], str]] = [
    (["--config=mappo_pr", "--env-config=gymma"], "env_args.key is missing"),
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
    (["--config=qmix", "--env-config=gymma", "with", *PP, "seed=-1"], "seed=-1: expected an integer in"),
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
    (["--config=mappo", "--env-config=gymma", "with", *PP, "env_args.time_limt=5"],
     "env_args.time_limt=5: epymarl_pr:pp-3-v0 has no such setting"),
    (["--config=mappo", "--env-config=gymma", "with", "env_args.key=x:Y-v0", "env_args.time_limt=5"],
     "env_args.time_limt=5: .*Did you mean env_args.time_limit"),
    (["--config=mappo", "--env-config=gymma", "with", "env_args.key=x:Y-v0", "env_args.common_reward=False"],
     "that is a setting of the run: ... with common_reward=False"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "lrr=0.1"], "lrr=0.1: .* no such setting. Did you mean lr"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "t_max=many"], "t_max=many: expected a number"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "common_reward=false"],
     "common_reward=false: expected True or False"),
    *[([f"--config={name}", "--env-config=gymma", "with", *PP, "common_reward=False"],
       f"common_reward=False with --config={name}: .*Use common_reward=True")
      for name in ("qmix", "qmix_pr", "vdn_ns_pr")],
    (["--config=qmix_pr", "--env-config=gymma", "with", *PP, "buffer_size=4"],
     "buffer_size=4 with batch_size=32: .*Use buffer_size=32"),
    (["--config=qmix_pr", "--env-config=gymma", "with", *PP, "use_wandb=True"],
     "use_wandb=True: the package wandb is not installed" if importlib.util.find_spec("wandb") is None
     else "use_wandb=True without wandb_team"),
    (["--config=qmix_pr", "--env-config=gymma", "with", *PP, "evaluate=True"], "evaluate=True needs trained networks"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "save_replay=True"], "save_replay=True needs trained"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "agent=[1]"], "agent=\\[1\\]: expected one of"),
    (["--config=qmix", "--env-config=gymma", "with", "env_args=5"], "env_args=5: expected settings by name"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "checkpoint_path=None"], "checkpoint_path=None: .*Leave it"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "local_results_path=2024"], "local_results_path=./2024"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher sets it for worker processes; it is to be as before after the test."""
    monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, os.environ.get(locate.ENVIRONMENT_VARIABLE, "unused"))


@pytest.mark.parametrize("arguments, message", CASES, ids=range(len(CASES)))
def test_one_message(checkout: Checkout, tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){message}"):
        launcher.prepare([f"--epymarl-dir={checkout.root}", *arguments], tmp_path)


def test_settings_of_a_file_are_checked_too(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("env_args: {key: epymarl_pr:pp-3-v0, prey: random}\nbuffer_size: 2\npr_rho: 2\n")
    command = [f"--epymarl-dir={checkout.root}", "--config=qmix_pr", "--env-config=gymma", "with"]
    with pytest.raises(UsageError, match="buffer_size=2 with batch_size=32"):
        launcher.prepare([*command, str(tmp_path / "own.yaml")], tmp_path)
    prepared = launcher.prepare([*command, str(tmp_path / "own.yaml"), "batch_size=1"], tmp_path)
    assert prepared.config["pr_rho"] == 2
    assert prepared.config["env_args"]["prey"] == "random"


def test_no_environment_is_made_and_no_generator_moved(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(odd_envs.Plain, "made", 0)
    before = random.getstate(), np.random.get_state()[1].tobytes(), th.get_rng_state().numpy().tobytes()
    command = ["--config=qmix_pr", "--env-config=gymma", "with", "env_args.key=tests.epymarl.odd_envs:Plain-v0"]
    launcher.prepare([f"--epymarl-dir={checkout.root}", *command], tmp_path)
    assert odd_envs.Plain.made == 0
    assert (random.getstate(), np.random.get_state()[1].tobytes(), th.get_rng_state().numpy().tobytes()) == before


def test_further_settings_reach_the_environment(checkout: Checkout, tmp_path: Path) -> None:
    """Sacred refuses what no file names, so that the file of the run names them."""
    given = ["env_args.key=pz-mpe-simple-tag-v3", "env_args.num_good=2", "env_args.shape.wide=[1, 2]"]
    command = ["--config=qmix", "--env-config=gymma", "with", *given]
    prepared = launcher.prepare([f"--epymarl-dir={checkout.root}", *command], tmp_path)
    (file,) = [argument.partition("=")[2] for argument in prepared.arguments if argument.startswith("--env-config")]
    written = derive.read(Path(f"{file}.yaml"))["env_args"]
    assert {"num_good": 2, "shape": {"wide": [1, 2]}, "time_limit": 100}.items() <= written.items()


def saved(folder: Path, *files: str) -> Path:
    """A folder of saved models of one step."""
    (folder / "models" / "120").mkdir(parents=True)
    for name in files:
        (folder / "models" / "120" / name).touch()
    return folder / "models"


@pytest.mark.parametrize("mode", [[], ["evaluate=True"]])
@pytest.mark.parametrize(
    "algorithm, files, settings, message",
    [
        ("qmix_pr", [], ["checkpoint_path={0}/nowhere"], "nowhere: expected a folder with saved models"),
        ("qmix_pr", [], ["checkpoint_path={0}"], "expected a folder with saved models"),
        ("qmix_pr", [], ["checkpoint_path={0}/models/120"], "models load_step=120"),
        ("qmix_pr", ["agent.th", "opt.th"], ["checkpoint_path={0}/models"], "120 holds no mixer.th"),
        ("mappo", ["agent.th"], ["checkpoint_path={0}/models"], "120 holds no critic.th, agent_opt.th"),
        ("qmix_pr", [], ["checkpoint_path={0}/models", "load_step=last"], "load_step=last: expected a number"),
        ("qmix_pr", [], ["checkpoint_path={0}/models", "load_step=-1"], "load_step=-1: expected the step"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_is_not_there(
    checkout: Checkout, tmp_path: Path, algorithm: str, files: list[str], settings: list[str], message: str,
    mode: list[str],
) -> None:  # fmt: skip
    saved(tmp_path, *(files or ["agent.th"]))
    given = [setting.format(tmp_path) for setting in settings]
    command = [f"--config={algorithm}", "--env-config=gymma", "with", *PP, *mode, *given]
    with pytest.raises(UsageError, match=message):
        launcher.prepare([f"--epymarl-dir={checkout.root}", *command], tmp_path)


def test_the_nearest_step_is_told(checkout: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, "agent.th", "opt.th", "mixer.th")
    command = ["--config=qmix", "--env-config=gymma", "with", *PP, f"checkpoint_path={path}", "load_step=100"]
    launcher.prepare([f"--epymarl-dir={checkout.root}", *command], tmp_path)
    assert "load_step=100: nothing was saved then; EPyMARL takes the nearest, 120" in capsys.readouterr().err


def test_a_number_that_yaml_reads_as_text(checkout: Checkout, tmp_path: Path) -> None:
    root = runs.clone(checkout, tmp_path / "epymarl")
    file = root / "src" / "config" / "algs" / "qmix.yaml"
    file.write_text(f"{file.read_text()}\nlr: 5e-4\n")
    for name in ("qmix", "qmix_pr"):
        with pytest.raises(UsageError, match=r"lr: 5e-4 in a YAML file is text.*5\.0e-4"):
            launcher.prepare([f"--epymarl-dir={root}", f"--config={name}", "--env-config=gymma", "with", *PP], tmp_path)


def test_another_commit_is_a_warning_not_an_end(
    checkout: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = runs.clone(checkout, tmp_path / "epymarl")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "more"], cwd=root, check=True)
    launcher.prepare([f"--epymarl-dir={root}", "--config=qmix", "--env-config=gymma", "with", *PP], tmp_path)
    assert f"tested with {locate.TESTED_COMMIT}" in capsys.readouterr().err


def ended(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """The exit code of the launcher, in this process."""
    monkeypatch.setattr(launcher, "end_with_parent", lambda: None)
    with pytest.raises(SystemExit) as end:
        launcher.main(arguments, {})
    return end.value.code


def test_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(locate.ENVIRONMENT_VARIABLE)
    assert ended(["--config=qmix_pr", "--env-config=gymma", "with", *PP], monkeypatch) == 2
    said = capsys.readouterr().err
    assert said.startswith("epymarl_pr: no EPyMARL checkout found")
    assert "git clone" in said


@pytest.mark.parametrize("package", ["sacred", "gymnasium"])
def test_without_the_extra(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    arguments = [f"--epymarl-dir={checkout.root}", "--config=qmix_pr", "--env-config=gymma", "with", *PP]
    assert ended(arguments, monkeypatch) == 2
    message = f"the package {package} is not installed. EPyMARL needs it: pip install 'marl-pr[epymarl]'"
    assert message in capsys.readouterr().err


def test_the_module_needs_no_extra_to_begin(checkout: Checkout, tmp_path: Path) -> None:
    """In a process that has imported nothing: the message comes before anything that needs the package."""
    code = (
        "import runpy, sys; sys.modules['gymnasium'] = sys.modules['sacred'] = None; sys.argv = "
        f"['x', '--epymarl-dir={checkout.root}', '--config=qmix_pr', '--env-config=gymma', 'with', *{PP!r}]; "
        "runpy.run_module('epymarl_pr', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=HANG, check=False,
        env=runs.variables(),
    )  # fmt: skip
    assert done.returncode == 2
    assert "is not installed. EPyMARL needs it" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "option, expected",
    [("--help", ["--start-method"]), ("--pr-keys", ["pr_kappa: 0.5"]),
     ("--transfer-keys", ["maptf_c1: 0.005", "dvm_episodes: 1000"])],
)  # fmt: skip
def test_help_needs_nothing(option: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    launcher.main([option], {})
    said = capsys.readouterr().out
    assert all(text in said for text in expected)
