"""Whole runs of the real EPyMARL, each in a process of its own, in a clone where their results stay."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch as th

from epymarl_pr.launch.locate import Checkout
from tests.epymarl import runs
from tests.epymarl.test_identical import same
from tests.events import HANG, wait_for

LBF = "lbforaging:Foraging-5x5-2p-1f-v3"
SETTINGS = ["t_max=260", "test_interval=100", "save_model=True", "save_model_interval=100", "hidden_dim=16"]
WORKERS = ["batch_size_run=2", "buffer_size=4"]
UPSTREAM = [sys.executable, str(Path(__file__).with_name("upstream.py"))]


@dataclass(frozen=True)
class Run:
    """What a run leaves behind.

    info: what sacred recorded as curves
    models: saved networks and optimisers by step and file name
    folder: where models were saved
    """

    info: dict[str, Any]
    models: dict[str, Any]
    folder: Path | None
    output: str


Play = Callable[..., Run]


@pytest.fixture(scope="module")
def play(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Runs an algorithm once, however often it is asked for."""
    pytest.importorskip("lbforaging")
    root = runs.clone(checkout, tmp_path_factory.mktemp("clone") / "epymarl")
    known: dict[Any, Run] = {}

    def played(name: str, *settings: str, upstream: bool = False, flags: tuple[str, ...] = ()) -> Run:
        key = (name, settings, upstream, flags)
        if key not in known:
            command = runs.command(root, name, LBF, *SETTINGS, *settings, flags=flags)
            if upstream:
                command = [*UPSTREAM, str(root), *(item for item in command[3:] if not item.startswith("--epymarl"))]
            folder = tmp_path_factory.mktemp("run")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("TMPDIR", str(folder))
                output = runs.run(command, folder)
            assert not list(folder.glob("epymarl_pr_*"))  # derived configurations are not left behind
            known[key] = collected(root, folder, output)
            shutil.rmtree(root / "results", ignore_errors=not upstream)  # ours are where the run was started
        return known[key]

    return played


def collected(root: Path, folder: Path, output: str) -> Run:
    """What a run has left in the clone and in the folder that it was started in."""
    (info,) = [file for where in (root, folder) for file in (where / "results" / "sacred").glob("*/*/*/info.json")]
    found = sorted((folder / "results" / "models").glob("*/*/*.th"))
    models = {f"{file.parent.name}/{file.name}": th.load(file, weights_only=False) for file in found}
    return Run(json.loads(info.read_text()), models, found[0].parents[1] if found else None, output)


def equal(left: Run, right: Run) -> bool:
    """Whether two runs logged and saved the same, bit for bit; both must have learned."""
    assert left.models.keys() == right.models.keys()
    assert len(left.models) >= 4
    assert any("loss" in key for key in left.info)
    return left.info == right.info and all(same(left.models[key], right.models[key]) for key in left.models)


SLOW = pytest.mark.slow
CASES = [
    pytest.param("mappo_ns", WORKERS, id="mappo_ns"),
    pytest.param("qmix", [], id="qmix", marks=SLOW),
    pytest.param("maddpg", [], id="maddpg", marks=SLOW),
    pytest.param("mappo", WORKERS, id="mappo", marks=SLOW),
    pytest.param("ia2c", WORKERS, id="ia2c", marks=SLOW),
    pytest.param("vdn_ns", ["use_rnn=True"], id="vdn_ns", marks=SLOW),
]


@pytest.mark.parametrize("name, settings", CASES)
@pytest.mark.slow
def test_kappa_0_is_upstream(play: Play, name: str, settings: list[str]) -> None:
    assert equal(play(name, *settings, upstream=True), play(f"{name}_pr", *settings, "pr_kappa=0"))


DECIDING = [
    pytest.param("iql_ns", ["use_rnn=True"], id="iql_ns"),
    pytest.param("qmix_ns", ["runner=parallel", *WORKERS], id="qmix_ns", marks=pytest.mark.slow),
]


@pytest.mark.slow  # in one process: test_deciding.py
@pytest.mark.parametrize("name, settings", DECIDING)
def test_deciding_with_kappa_0_is_upstream(play: Play, name: str, settings: list[str]) -> None:
    run = play(f"{name}_pr", *settings, "pr_act=True", "pr_trust=td", "pr_kappa=0")
    assert equal(play(name, *settings, upstream=True), run)


@pytest.mark.parametrize("name, settings", CASES[:4])
@pytest.mark.slow
def test_a_plain_algorithm_is_upstream(play: Play, name: str, settings: list[str]) -> None:
    assert equal(play(name, *settings, upstream=True), play(name, *settings))


@pytest.mark.slow  # in one process: test_identical.py
def test_kappa_is_what_makes_the_difference(play: Play) -> None:
    upstream, ours = play("mappo_ns", *WORKERS, upstream=True), play("mappo_ns_pr", *WORKERS)
    assert upstream.models.keys() == ours.models.keys()
    last = max((key for key in upstream.models if key.endswith("/critic.th")), key=lambda key: int(key.split("/")[0]))
    assert not same(upstream.models[last], ours.models[last])
    assert {key.removesuffix("_T") for key in ours.info.keys() - upstream.info.keys()} == {
        "pr_own_value", "pr_peer_value", "pr_value_gap", "pr_critic_disagreement", "pr_masked_peer_values",
    }  # fmt: skip


@pytest.mark.parametrize("method", [pytest.param("spawn", marks=SLOW), pytest.param("forkserver", marks=SLOW)])
def test_workers_may_start_in_any_way(play: Play, method: str) -> None:
    if multiprocessing.get_start_method() != "fork":
        pytest.skip("workers are not forked here to begin with")
    forked = play("mappo_ns_pr", *WORKERS)
    assert equal(forked, play("mappo_ns_pr", *WORKERS, flags=(f"--start-method={method}",)))


@pytest.mark.slow
def test_upstream_evaluates_our_checkpoint_to_the_same_returns(play: Play) -> None:
    trained = play("mappo_ns_pr", *WORKERS)
    assert trained.folder is not None
    settings = [f"checkpoint_path={trained.folder}", "evaluate=True", "runner=episode", "batch_size_run=1", "seed=5"]
    ours, upstream = play("mappo_ns_pr", *settings), play("mappo_ns", *settings, upstream=True)
    assert ours.info == upstream.info
    assert ours.info["test_return_mean"]
    assert f"Loading model from {trained.folder}" in upstream.output


@pytest.mark.slow
def test_a_mistake_found_while_workers_wait_ends_the_run(checkout: Checkout, tmp_path: Path) -> None:
    root = runs.clone(checkout, tmp_path / "epymarl")
    command = runs.command(root, "mappo_ns_pr", LBF, *WORKERS, "pr_peers=random", "pr_n_peers=5")
    output = runs.run(command, tmp_path / "run", expect=2)
    assert "n_peers=5 with n_agents=2" in output.strip().splitlines()[-1]
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "number, code, settings",
    [
        pytest.param(signal.SIGINT, 130, [], marks=SLOW),
        pytest.param(signal.SIGTERM, 143, ["runner=parallel", "batch_size_run=2"], marks=SLOW),
    ],
)
def test_a_signal_ends_a_run_and_leaves_nothing_behind(
    checkout: Checkout, tmp_path: Path, number: int, code: int, settings: list[str]
) -> None:
    root = runs.clone(checkout, tmp_path / "epymarl")
    (tmp_path / "tmp").mkdir()
    command = runs.command(root, "qmix_pr", LBF, "t_max=1000000", *settings)
    with (tmp_path / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True,
            # also where the tests themselves run in the background, with SIGINT ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={**runs.variables(), "TMPDIR": str(tmp_path / "tmp")},
        )  # fmt: skip
        said = (tmp_path / "log.txt").read_text
        wait_for(lambda: "Beginning training" in said(), process, said)
        assert list((tmp_path / "tmp").glob("epymarl_pr_*"))
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        assert process.wait(HANG) == code
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)  # no worker is left
    assert not list((tmp_path / "tmp").glob("epymarl_pr_*"))
    assert "Traceback" not in (tmp_path / "log.txt").read_text()
