"""A run that was killed and goes on ends where the uninterrupted one does: weights, optimisers, buffer, random states,
counters and logs."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch as th

from epymarl_pr.launch.locate import Checkout
from epymarl_pr.resume.settings import require_same
from marl_pr_common import checkpoint
from tests import warm
from tests.epymarl import runs
from tests.epymarl.test_identical import same
from tests.events import SAVE, halting, send, wait_for
from tests.needs import NEEDS_JAX

LBF = "lbforaging:Foraging-5x5-2p-1f-v3"
SPREAD = "epymarl_pr:spread-3-v0"
FULL = ["pr_full_checkpoint=True", "save_model=True", "save_model_interval=150", "pr_adjacency=resample"]
CASES = [
    pytest.param("qmix_ns_pr", LBF, ["use_rnn=True", "pr_sync_interval=3"], id="qmix"),
    pytest.param("mappo_ns_pr", LBF, ["batch_size_run=2", "buffer_size=4", "standardise_returns=True", "pr_trust=td"],
                 id="mappo", marks=pytest.mark.slow),
    pytest.param("maddpg_ns_pr", SPREAD, ["pr_in_actor=True", "pr_trust=td"], id="maddpg", marks=pytest.mark.slow),
    pytest.param("maptf_pr", SPREAD, ["maptf_option_start=100", "maptf_target_interval=7"], id="maptf",
                 marks=pytest.mark.slow),
    pytest.param("dvm_pr", SPREAD, ["dvm_episodes=7", "dvm_minibatches=5", "dvm_batch_size=32"], id="dvm",
                 marks=pytest.mark.slow),
    pytest.param("maptf_mappo_pr", SPREAD, ["batch_size_run=2", "buffer_size=4", "maptf_option_start=100"],
                 id="maptf-mappo", marks=pytest.mark.slow),
    pytest.param("iql_ns_pr", "epymarl_pr:navigation-3-v0",
                 ["pr_act=True", "pr_trust=td", "pr_shared_experience=True", "use_rnn=True", "pr_adjacency=same"],
                 id="deciding", marks=pytest.mark.slow),
    pytest.param("iql_ns_pr", LBF, ["pr_act=True", "pr_own_critics=True", "pr_adjacency=same"], id="own-networks",
                 marks=pytest.mark.slow),
    pytest.param("maddpg_pr", "pz-mpe-simple-spread-v3", [], id="maddpg-pz", marks=pytest.mark.slow),
    pytest.param("iql_pr", "epymarl_pr:pp-3-v0", ["env_args.prey=random"], id="iql-pp", marks=pytest.mark.slow),
    pytest.param("qmix_pr", "epymarl_pr:pp-3-v0",
                 ["env_args.engine=jaxmarl", "runner=vectorised", "batch_size_run=2", "env_args.prey=random"],
                 id="vectorised", marks=[NEEDS_JAX, pytest.mark.slow]),
    pytest.param("ia2c_pr", LBF, ["batch_size_run=2", "buffer_size=2", "batch_size=2", "pr_z=A"], id="ia2c",
                 marks=pytest.mark.slow),
]  # fmt: skip


def folders(where: Path) -> list[Path]:
    """The folders of models below a run's folder, oldest first."""
    return sorted((where / "results" / "models").glob("*"), key=lambda path: path.stat().st_mtime)


def kill(command: list[str], where: Path, saves: int) -> None:
    """Start a run and kill it when it has written so many checkpoints and is about to write the next."""
    where.mkdir(parents=True)
    process = warm.Program(command, where, halting(SAVE, saves + 1, where / "halted", runs.variables()))
    send(process, signal.SIGKILL, where / "halted", process.communicate)
    assert process.wait() == -signal.SIGKILL


@pytest.fixture(scope="module")
def short(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """The command of a complete short run of QMIX+PR, and the models that it left."""
    folder = tmp_path_factory.mktemp("short")
    command = runs.command(runs.clone(checkout, folder / "epymarl"), "qmix_pr", LBF, *FULL, "t_max=200")
    runs.run(command, folder / "run")
    (models,) = folders(folder / "run")
    return command, models


def saved(models: Path) -> list[Path]:
    return checkpoint.checkpoints(models / "full")


@pytest.mark.parametrize("algorithm, key, settings", CASES)
@pytest.mark.slow
def test_killed_and_resumed_is_uninterrupted(
    checkout: Checkout, tmp_path: Path, algorithm: str, key: str, settings: list[str]
) -> None:
    root = runs.clone(checkout, tmp_path / "epymarl")
    command = runs.command(root, algorithm, key, *FULL, *settings)
    runs.run(command, tmp_path / "whole")
    kill(command, tmp_path / "killed", saves=2)
    models = folders(tmp_path / "killed")[-1]
    printed = runs.run([*command, f"checkpoint_path={models}"], tmp_path / "resumed")
    assert "Resumed everything" in printed
    whole, resumed = (checkpoint.load(folders(tmp_path / name)[-1] / "full") for name in ("whole", "resumed"))
    assert whole.manifest.exact
    assert resumed.manifest.exact
    assert whole.manifest.step == resumed.manifest.step > 300
    assert set(whole.tree) == set(resumed.tree)
    for tree in (whole.tree, resumed.tree):
        for environment in tree["environments"]:
            # a forked process seeds Python's generator from the system: no two runs of EPyMARL agree in it
            (environment["global"] or {}).pop("python", None)
    for part, value in whole.tree.items():
        assert same(value, resumed.tree[part]), part


def test_sigterm_saves_once_and_says_how_to_resume(checkout: Checkout, tmp_path: Path) -> None:
    root = runs.clone(checkout, tmp_path / "epymarl")
    never = ["save_model_interval=1000000", "t_max=100000000"]
    command = runs.command(root, "mappo_ns_pr", LBF, *FULL, "batch_size_run=2", *never)
    where = tmp_path / "run"
    where.mkdir()
    process = warm.Program(command, where, runs.variables())
    # the second evaluation comes after the first save has returned: a signal during that one ends the run with it
    wait_for(lambda: process.said().count(" / 100000000") > 1, process, process.said)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert "Resume with the same command and checkpoint_path=" in process.said()
    first, last = saved(folders(where)[-1])
    assert checkpoint.verify(last).step > checkpoint.verify(first).step


@pytest.mark.slow
def test_random_kills_leave_something_to_resume_from(checkout: Checkout, tmp_path: Path) -> None:
    root = runs.clone(checkout, tmp_path / "epymarl")
    command = runs.command(root, "qmix_ns_pr", LBF, *FULL, "save_model_interval=25", "t_max=100000")
    models, chance, reached = "", random.Random(3), 0
    for attempt in range(6):
        where = tmp_path / str(attempt)
        going = [*command, f"checkpoint_path={models}"] if models else command
        kill(going, where, saves=chance.randint(1, 20))
        models = str(folders(where)[-1])
        step = checkpoint.load(Path(models) / "full").manifest.step
        assert step > reached
        reached = step


SAVED = {"agent.th", "critic.th", "agent_opt.th", "critic_opt.th"}


@pytest.mark.parametrize(
    "algorithm, base, key, files",
    [
        pytest.param("qmix_pr", "qmix", LBF, {"agent.th", "mixer.th", "opt.th"}, id="qmix"),
        pytest.param("maptf_pr", "maddpg_ns", SPREAD, SAVED, id="maptf", marks=pytest.mark.slow),
        pytest.param("maptf_mappo_pr", "mappo_ns", SPREAD, SAVED, id="maptf-mappo", marks=pytest.mark.slow),
        pytest.param("dvm_pr", "maddpg_ns", SPREAD, SAVED, id="dvm", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_upstream_reads_what_a_full_checkpoint_run_saves(
    checkout: Checkout, tmp_path: Path, request: pytest.FixtureRequest,
    algorithm: str, base: str, key: str, files: set[str],
) -> None:  # fmt: skip
    root = runs.clone(checkout, tmp_path / "epymarl")
    if algorithm == "qmix_pr":
        _, models = request.getfixturevalue("short")
    else:
        runs.run(runs.command(root, algorithm, key, *FULL, "t_max=200"), tmp_path / "run")
        (models,) = folders(tmp_path / "run")
    steps = sorted(int(path.name) for path in models.iterdir() if path.name.isdigit())
    assert {file.name for file in (models / str(steps[-1])).iterdir()} == files
    evaluate = [f"checkpoint_path={models}", "evaluate=True"]
    printed = [
        runs.run(runs.command(root, name, key, *evaluate, *more), tmp_path / name)
        for name, more in ((algorithm, ["pr_full_checkpoint=True"]), (base, []))
    ]
    ours, upstream = (
        [line.split("test_return_mean:")[1].split()[0] for line in text.splitlines() if "test_return_mean:" in line]
        for text in printed
    )
    assert ours == upstream != []


@pytest.mark.parametrize("given", ["checkpoint_path={folder}", "checkpoint_path={models} load_step=7"])
@pytest.mark.few(1)
def test_nothing_to_resume_from(checkout: Checkout, tmp_path: Path, given: str) -> None:
    root = runs.clone(checkout, tmp_path / "epymarl")
    (tmp_path / "empty" / "25").mkdir(parents=True)
    models = tmp_path / "empty"
    checkpoint.save(models / "full", {"a": 1}, step=25, kind="epymarl_pr")
    settings = given.format(folder=tmp_path / "empty" / "25", models=models).split()
    printed = runs.run(runs.command(root, "qmix_pr", LBF, *FULL, *settings), tmp_path / "run", expect=2)
    assert "Traceback" not in printed
    assert "epymarl_pr: " in printed
    assert str(tmp_path / "empty") in printed


def test_buffers_and_tensors_are_really_compared() -> None:
    assert same({"a": [th.ones(2), np.ones(2)]}, {"a": [th.ones(2), np.ones(2)]})
    assert not same({"a": th.ones(2)}, {"a": th.zeros(2)})
    assert not same({"a": 1}, {"b": 1})


@pytest.mark.slow
def test_a_save_that_was_cut_short_is_passed_over(short: tuple[list[str], Path], tmp_path: Path) -> None:
    """Killed between EPyMARL's folder and the end of ours: the steps since the checkpoint before are made again."""
    command, models = short
    models = Path(shutil.copytree(models, tmp_path / models.name))
    last = checkpoint.checkpoints(models / "full")[-1]
    whole, step = checkpoint.load(last), int(last.name.rpartition("-")[2])
    for folder in (last, models / str(step)):
        shutil.rmtree(folder)
    (models / str(step)).mkdir()
    runs.run([*command, f"checkpoint_path={models}"], tmp_path / "resumed")
    resumed = checkpoint.load(folders(tmp_path / "resumed")[-1] / "full")
    assert resumed.manifest.step == step
    assert same(resumed.tree, whole.tree)


@pytest.mark.slow
def test_other_settings_are_told(short: tuple[list[str], Path], tmp_path: Path) -> None:
    command, models = short
    again = [*command, f"checkpoint_path={models}", "t_max=260", "seed=9"]
    printed = runs.run([*again, "pr_kappa=0.25"], tmp_path / "changed")
    # what may change without a word: the end, and the seed, since every generator goes on
    assert "is resumed with other settings: pr_kappa was 0.5 and is now 0.25." in printed
    # networks of another size are found by their tensors, all else by its settings
    for setting, text in {
        "hidden_dim=32": "hidden_dim was 64 and is now 32",
        "lr=0.01": "a run cannot go on with another setting: lr was 0.0005 and is now 0.01",
    }.items():
        refused = runs.run([*again, setting], tmp_path / setting.partition("=")[0], expect=2)
        assert "Traceback" not in refused
        assert text in refused
        assert "Resume" in refused


@pytest.mark.parametrize(
    "key", ["maptf_option_lr", "maptf_termination_lr", "maptf_reward_lr", "maptf_option_replay", "key"]
)
def test_what_a_checkpoint_holds_cannot_change(key: str) -> None:
    then, now = ({"lr": 0.1, "env_args": {}, **({"env_args": {key: n}} if key == "key" else {key: n})} for n in (1, 2))
    require_same(then, dict(then))
    with pytest.raises(ValueError, match=f"{key} was 1 and is now 2. Resume it as it was started"):
        require_same(then, now)
