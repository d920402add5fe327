"""EPyMARL's parallel runner: a worker that ends says why, and none outlives the run."""

from __future__ import annotations

import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from epymarl_pr.envs import workers
from epymarl_pr.envs.guarded import GuardedFactory, Uses
from epymarl_pr.launch import register
from epymarl_pr.launch.errors import EXIT_CODE, bare, exit_code
from tests.epymarl import odd_envs, runs

PLACE = "tests.epymarl.odd_envs"
KEYS = {"time_limit": 10, "pretrained_wrapper": None, "seed": 1}


@pytest.fixture
def runner(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes EPyMARL's own parallel runner with two workers."""
    from envs import REGISTRY, gymma_fn
    from runners import parallel_runner

    monkeypatch.setattr(parallel_runner, "Pipe", None)
    monkeypatch.setattr(parallel_runner, "Process", None)
    monkeypatch.setitem(REGISTRY, "gymma", GuardedFactory(gymma_fn, Uses()))
    monkeypatch.setattr(workers, "_pipes", [])
    workers.install()
    made: list[Any] = []

    def make(name: str, **more: Any) -> Any:
        env_args = {"key": f"{PLACE}:{name}-v0", **KEYS, **more}
        args = SimpleNamespace(env="gymma", env_args=env_args, batch_size_run=2, common_reward=True,
                               reward_scalarisation="sum")  # fmt: skip
        made.append(parallel_runner.ParallelRunner(args, None))
        return made[-1]

    yield make
    for found in made:
        for process in found.ps:
            process.kill()


def ask(runner: Any, *commands: tuple[str, Any]) -> Any:
    for command in commands:
        runner.parent_conns[1].send(command)
        answer = runner.parent_conns[1].recv()
    return answer


STEPS = [("reset", None), ("step", [0, 0]), ("step", [0, 0]), ("step", [0, 0])]


def test_a_worker_answers_as_upstreams_does(runner: Any) -> None:
    made = runner("Plain")
    assert made.env_info["n_agents"] == 2
    assert ask(made, *STEPS)["reward"] == 2.0
    made.close_env()
    for process in made.ps:
        process.join()
        assert process.exitcode == 0


@pytest.mark.parametrize(
    "how, words",
    [
        ("raise", "step() raised Unpicklable: lost 1 (odd_envs.py:"),
        ("sys.exit", "step() raised SystemExit: 0"),
        ("os._exit", "the worker process that runs it ended with exit code 3"),
        ("kill", "the worker process that runs it ended with signal SIGKILL"),
    ],
)
def test_last_words(runner: Any, how: str, words: str) -> None:
    made = runner("Fails", how=how)
    with pytest.raises(Exception, match="^epymarl_pr: ") as caught:
        ask(made, *STEPS)
    assert exit_code(caught.value) == EXIT_CODE
    assert bare(caught.value).startswith(f"env_args.key={PLACE}:Fails-v0: {words}")
    made.ps[0].join()  # the others end as well


def test_a_worker_that_does_not_end_when_asked_is_killed(runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_JOIN_SECONDS", 0.1)
    made = runner("Tidy")
    for pipe in made.parent_conns:  # both have its handler
        pipe.send(("reset", None))
        pipe.recv()
        pipe.send(("step", [0, 0]))
        pipe.recv()
    with pytest.raises(Exception, match="lost"):
        ask(made, ("step", [0, 0]), ("step", [0, 0]))
    assert not any(process.is_alive() for process in made.ps)


def test_an_environment_that_a_worker_can_not_make(runner: Any) -> None:
    with pytest.raises(Exception, match="agent 0 of Continuous has the action space Box"):
        runner("Continuous")


def test_each_worker_makes_one(runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odd_envs.Once, "made", 0)
    assert ask(runner("Once"), *STEPS)["reward"] == 2.0


OWNER = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from epymarl_pr.launch import compat
from epymarl_pr.launch import register
compat.install(Path(sys.argv[1]))
import multiprocessing
multiprocessing.set_start_method("fork")
register.guards({})
from runners.parallel_runner import ParallelRunner
env_args = {"key": "tests.epymarl.odd_envs:Plain-v0", "time_limit": 10, "pretrained_wrapper": None, "seed": 1}
runner = ParallelRunner(SimpleNamespace(env="gymma", env_args=env_args, batch_size_run=2, common_reward=True,
                                        reward_scalarisation="sum"), None)
print(*[process.pid for process in runner.ps], flush=True)
time.sleep(3600)
"""


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.few(1)
def test_workers_end_with_the_run(checkout: Any, deaf: bool) -> None:
    """With the pipe alone too, where no signal tells a worker that its parent is gone."""
    code = OWNER.replace("import multiprocessing\n", "import multiprocessing, signal\n" + DEAF * deaf)
    owner = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, str(checkout.src)],
        env=runs.variables(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert owner.stdout is not None
    assert len(owner.stdout.readline().split()) == 2
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert owner.stdout.read() == ""  # comes to an end when the last process that could write to it has ended


DEAF = "from epymarl_pr.envs import workers\nworkers.sigterm_at_parents_death = lambda: None\n"


def test_guards_are_put_in_once(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from envs import REGISTRY
    from learners import REGISTRY as LEARNERS
    from runners import parallel_runner

    for name in ("Pipe", "Process"):
        monkeypatch.setattr(parallel_runner, name, getattr(parallel_runner, name))
    for registry in (REGISTRY, LEARNERS):
        for name, found in list(registry.items()):
            monkeypatch.setitem(registry, name, found)
    register.guards({"render": True})
    register.guards({"pr_kappa": 0.5, "pr_peers": "ring"})
    assert REGISTRY["gymma"].uses == Uses(render=False, all_are_peers=True)
    assert not isinstance(REGISTRY["gymma"].make, GuardedFactory)
