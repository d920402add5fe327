"""One process says how many agents EPyMARL's environments have; one that dies of a question is replaced."""

import os
from pathlib import Path

import pytest

from epymarl_pr.launch.errors import UsageError
from epymarl_pr.launch.locate import Checkout
from epymarl_pr.study import probe

MODULE = """
import gymnasium
import os
import threading
from tests.epymarl.odd_envs import Plain

class Dying(Plain):
    def __init__(self, **_):
        print("marl-pr is what this environment says", flush=True)
        os.write(2, b"the simulator is gone\\n")
        os._exit(7)

class Hanging(Plain):
    def __init__(self, **_):
        threading.Event().wait()

gymnasium.register("Hanging-v0", entry_point=Hanging)
gymnasium.register("Plain-v0", entry_point=Plain)
gymnasium.register("Dying-v0", entry_point=Dying)
"""


def config(key: str, **more: object) -> dict[str, object]:
    arguments = {"key": key, "time_limit": 8, "pretrained_wrapper": None, **more}
    return {"env": "gymma", "env_args": arguments, "common_reward": True, "reward_scalarisation": "sum"}


def test_all_questions_are_one_process_and_a_dead_one_is_replaced(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(MODULE)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    assert probe.n_agents(checkout, config("mine:Plain-v0", time_limit=1001)) == 2
    first = probe._Answering.running
    assert first is not None
    with pytest.raises(UsageError, match="mine:Plane-v0"):
        probe.n_agents(checkout, config("mine:Plane-v0"))
    assert probe._Answering.running is first
    with pytest.raises(UsageError, match="the simulator is gone"):
        probe.n_agents(checkout, config("mine:Dying-v0"))
    assert probe.n_agents(checkout, config("mine:Plain-v0", time_limit=1002)) == 2
    assert probe._Answering.running is not first
    monkeypatch.setattr(probe, "SECONDS", 0.2)
    with pytest.raises(UsageError, match="was not there after 0.2 s"):
        probe.n_agents(checkout, config("mine:Hanging-v0"))
