"""What EPyMARL can't take of an environment is one message that names it, in runs as upstream's."""

from __future__ import annotations

import logging
import pickle
import re
from typing import Any

import numpy as np
import pytest

from epymarl_pr.envs.guarded import GuardedFactory, Uses
from epymarl_pr.launch.errors import EXIT_CODE, Ended, bare, exit_code
from tests.epymarl import odd_envs

PLACE = "tests.epymarl.odd_envs"


@pytest.fixture
def make(checkout: Any) -> Any:
    """Makes one of them as EPyMARL's runner does."""
    from envs import gymma_fn

    def made(name: str, uses: Uses | None = None, common_reward: bool = True, **more: Any) -> Any:
        key = name if ":" in name or name.startswith("pz-") else f"{PLACE}:{name}-v0"
        arguments = {"key": key, "time_limit": 10, "pretrained_wrapper": None, "seed": 1, **more}
        factory = pickle.loads(pickle.dumps(GuardedFactory(gymma_fn, uses or Uses())))  # as workers get it
        return factory(**arguments, common_reward=common_reward, reward_scalarisation="sum")

    return made


def message(call: Any, *arguments: Any, **named: Any) -> str:
    """What a refusal says; sacred prints it without a stack trace, and the launcher ends with code 2."""
    with pytest.raises(Exception, match="^epymarl_pr: ") as caught:
        call(*arguments, **named)
    assert exit_code(caught.value) == EXIT_CODE, caught.value
    assert not caught.value.print_traceback  # type: ignore[attr-defined]
    return bare(caught.value)


@pytest.mark.parametrize(
    "name, words",
    [
        ("Continuous", "agent 0 of Continuous has the action space Box.*Discrete actions only"),
        ("Several", "MultiDiscrete.*Discrete actions only"),
        ("Binary", "MultiBinary.*Discrete actions only"),
        ("Starts", "starts at 1: EPyMARL sends 0 to 2"),
        ("Single", r"action_space of Single is Discrete\(3\)"),
        ("Fewer", "action_space of Fewer has 2 spaces, n_agents is 3"),
        ("Nobody", "no attribute n_agents"),
    ],
)
def test_spaces_that_epymarl_can_not_act_in(make: Any, name: str, words: str) -> None:
    said = message(make, name)
    assert said.startswith(f"env_args.key={PLACE}:{name}-v0: ")
    assert re.search(words, said), said


def test_what_can_not_be_made(make: Any) -> None:
    assert "Environment `Foo` doesn't exist" in message(make, "gymnasium:Foo-v0")
    assert "PACKAGE:ID" in message(make, "gymnasium:Foo-v0")
    assert "Install the package" in message(make, "nothere:Foo-v0")
    assert "v7" in message(make, "epymarl_pr:pp-3-v7")
    said = message(make, "epymarl_pr:pp-3-v0", prey="fleee")
    assert "can't be built with" in said
    assert "prey=fleee" in said
    assert "expected one of flee" in said
    said = message(make, "epymarl_pr:pp-3-v0", pretrained_wrapper="Nobody")
    assert "pretrained_wrapper=Nobody" in said
    assert "no attribute 'Nobody'" in said


def test_a_setting_that_the_environment_does_not_take(make: Any) -> None:
    pytest.importorskip("mpe2")
    said = message(make, "pz-mpe-simple-spread-v3", num_good=2)
    assert said.startswith("env_args.num_good=2: env_args.key=pz-mpe-simple-spread-v3 takes no such setting")


def test_a_prey_that_is_not_there(make: Any, tmp_path: Any) -> None:
    said = message(make, "epymarl_pr:pp-3-v0", prey="pretrained", checkout=str(tmp_path))
    assert "prey=pretrained" in said
    assert "prey_params.pt" in said


def test_a_state_and_a_reset_that_are_not_what_was_said(make: Any) -> None:
    env = make("StateSize")
    env.reset()
    assert "the state has 6 entries, get_state_size() says 4" in message(env.get_state)
    assert "reset() gave ndarray where info, a dict, is expected" in message(make("OldReset").reset)


def test_observations_that_are_too_long(make: Any) -> None:
    said = message(make("Longer").reset)
    assert "The observations have [4, 4] entries, the longest observation_space 3" in said


def test_the_old_step(make: Any) -> None:
    env = make("OldStep")
    env.reset()
    assert "step() raised ValueError" in (said := message(env.step, [0, 0]))
    assert "observations, rewards, terminated, truncated, info" in said


@pytest.mark.parametrize(
    "name, common, words",
    [
        ("NoReward", True, "step() gave reward=None: expected a number"),
        ("TeamReward", False, "common_reward=False, but step() gave one reward for the team"),
        ("NoInfo", True, "step() gave info=None: expected a dict"),
    ],
)
def test_answers_that_can_not_be_stored(make: Any, name: str, common: bool, words: str) -> None:
    env = make(name, common_reward=common)
    env.reset()
    assert words in message(env.step, [0, 0])


@pytest.mark.parametrize("common", [True, False])
@pytest.mark.parametrize(
    "name, value",
    [
        *(("reward", value) for value in ({0: 5.0, 1: 5.0}, {"a": 1.0, "b": 1.0}, np.ones(3), [1.0, "x"])),
        *(("terminated", value) for value in (None, float("nan"), "False", 2, [False, None], {0: False, 1: False})),
        *(("truncated", value) for value in (None, "False", [False, float("nan")])),
    ],
)
def test_what_upstream_would_take_for_something_else(
    make: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, common: bool
) -> None:
    env, place = make("Plain", common_reward=common), ("reward", "terminated", "truncated").index(name) + 1
    env.reset()
    step = odd_envs.Plain.step

    def said(self: Any, action: Any) -> Any:
        answer = step(self, action)
        return (*answer[:place], value, *answer[place + 1 :])

    monkeypatch.setattr(odd_envs.Plain, "step", said)
    assert re.search(f"step\\(\\) (gave {name}=|raised TypeError)", message(env.step, [0, 0]))


@pytest.mark.parametrize("reward", [3, 3.0, np.float32(3), [3.0], np.array([1, 2]), (1.0, 2.0), [1, True]])
@pytest.mark.parametrize(
    "ends", [(False, 0), (np.False_, [False, False]), ([True, False], np.zeros(2, bool)), (0.0, 0)]
)
def test_numbers_and_ends_in_every_form_are_upstreams(
    make: Any, monkeypatch: pytest.MonkeyPatch, reward: Any, ends: Any
) -> None:
    env = make("Plain")
    env.reset()
    step = odd_envs.Plain.step
    monkeypatch.setattr(odd_envs.Plain, "step", lambda self, action: (step(self, action)[0], reward, *ends, {}))
    answer = env.step([0, 0])
    assert answer[1] == pytest.approx(float(np.sum(reward)))
    assert not answer[2]
    assert answer[3] is False


def test_one_reward_for_each_agent_is_as_many_as_agents(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make("Plain", common_reward=False)
    env.reset()
    step = odd_envs.Plain.step
    monkeypatch.setattr(odd_envs.Plain, "step", lambda self, action: (step(self, action)[0], [1.0], False, False, {}))
    assert "expected 2, one per agent" in message(env.step, [0, 0])


def test_it_says_what_was_raised_and_where(make: Any) -> None:
    env = make("Fails")
    env.reset()
    env.step([0, 0])
    env.step([0, 0])
    said = message(env.step, [0, 0])
    assert "step() raised Unpicklable: lost 1 (odd_envs.py:" in said
    assert "in step)" in said


def test_a_simulator_that_exits_does_not_end_the_run_in_silence(make: Any) -> None:
    env = make("Fails", how="sys.exit")
    env.reset()
    env.step([0, 0])
    env.step([0, 0])
    assert "step() raised SystemExit: 0" in message(env.step, [0, 0])


def test_a_signal_is_no_failure_of_the_environment(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise Ended(143)

    env = make("Plain")
    monkeypatch.setattr(odd_envs.Plain, "reset", interrupted)
    with pytest.raises(Ended):
        env.reset()


def test_what_can_not_be_summed_is_left_out_of_the_logs(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    env = make("Talks")
    with caplog.at_level(logging.WARNING, "epymarl_pr"):
        for _ in range(2):
            env.reset()
            found = [env.step([0, 0]) for _ in range(8)]
    assert found[0][4]["stage"] == "hunt"  # EPyMARL looks at the last step's alone
    info = found[-1][4]
    assert info.keys() == {"hits", "place"}
    assert sum(["info['stage'] is str" in record.getMessage() for record in caplog.records]) == 1


def test_a_close_that_fails_is_a_warning(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    make("CloseFails").close()
    assert "close() raised RuntimeError: no viewer" in caplog.text


def test_what_is_no_exception_is_told_too(make: Any) -> None:
    env = make("Panics")
    env.reset()
    assert "Panic: index out of bounds" in message(env.step, [0, 0])
