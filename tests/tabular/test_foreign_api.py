"""What an environment answers, and which environments are none: PettingZoo's API, checked and named."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo.classic import rps_v2

from marl_pr_common.envs import registry
from marl_pr_common.tabular.one_seed import team_size
from tests.tabular.line import Line, changed, train, with_spaces


def answering(change: Any) -> type[Line]:
    """``Line`` whose fourth step's answer is changed in place, or exchanged for what ``change`` returns."""

    def step(self: Line, actions: Any) -> Any:
        answer = list(Line.step(self, actions))
        if self.t != 4:
            return tuple(answer)
        other = change(self, *answer)
        return tuple(answer) if other is None else other

    return changed(step=step)


STEPS = {
    r"step\(\) returned .*: expected the 5 dicts": lambda e, o, r, te, tr, i: (o, r, te, i),
    r"step\(\) returned .*NoneType.*: expected the 5 dicts": lambda e, *_: (None,) * 5,
    r"rewards of \w+ holds 'z'": lambda e, o, r, *_: r.update(z=1.0),
    r"observations of \w+ holds '__all__'": lambda e, o, *_: o.update(__all__=0),
    r"agents of \w+ holds 'z'": lambda e, *_: e.agents.append("z"),
    "each agent once": lambda e, *_: e.agents.extend(e.agents),
    "agents is no list": lambda e, *_: setattr(e, "agents", None),
    "acted and has no reward": lambda e, o, r, *_: r.clear(),
    "terminated='no'": lambda e, o, r, te, *_: te.update(a="no"),
    "truncated=None": lambda e, o, r, te, tr, i: tr.update(a=None),
    "still in env.agents": lambda e, o, r, te, *_: te.update({e.agents[0]: True}),
    r"its info is 'no' \(str\)": lambda e, o, r, te, tr, i: i.update({e.agents[0]: "no"}),
}


@pytest.mark.parametrize("message", STEPS)
def test_answers_of_step(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(answering(STEPS[message]), steps=2_000)


def test_a_reward_after_leaving_is_named_and_zero_is_none() -> None:
    def paying(amount: float) -> type[Line]:
        def step(self: Line, actions: Any) -> Any:
            answer = Line.step(self, actions)
            for a in self.possible_agents:
                answer[1].setdefault(a, amount)
            return answer

        return changed(step=step)

    np.testing.assert_array_equal(train(paying(0.0)).q, train(Line).q)
    with pytest.raises(ValueError, match=r"agent '[ab]': the reward 2\.0 came after it had left"):
        train(paying(2.0), steps=2_000)


def test_answers_of_reset() -> None:
    for reset, message in (
        (lambda self, seed=None: Line.reset(self)[0], r"reset\(\) returned dict: expected the 2 dicts"),
        (lambda self, seed=None: None, r"reset\(\) returned NoneType"),
        (lambda self: Line.reset(self), "takes no seed"),
        (lambda self, seed=None: ({"a": 0}, {}), r"reset\(\) left no agent in env.agents"),
    ):
        with pytest.raises(ValueError, match=message):
            train(changed(reset=reset))


@pytest.mark.parametrize("agents", [None, [], ["a", "a"], "ab", [["a"]], 3])
def test_possible_agents(agents: Any) -> None:
    def init(self: Line) -> None:
        Line.__init__(self)
        self.possible_agents = agents

    with pytest.raises(ValueError, match="possible_agents"):
        train(changed(__init__=init))


def test_environments_of_another_kind() -> None:
    with pytest.raises(ValueError, match=r"AEC environment.*parallel_env\(\)"):
        train(lambda: rps_v2.env(max_cycles=5))
    with pytest.raises(ValueError, match="an environment of a single agent"):
        train(lambda: gym.make("FrozenLake-v1"))
    with pytest.raises(ValueError, match="NoneType, no ParallelEnv"):
        train(lambda: None)
    with pytest.raises(ValueError, match="expected a function that returns a fresh ParallelEnv"):
        train(Line())
    assert train(lambda: rps_v2.parallel_env(max_cycles=5), steps=30).steps == 30


def test_one_environment_twice_and_two_that_differ() -> None:
    env = Line()
    with pytest.raises(ValueError, match="the same Line twice"):
        train(lambda: env)
    made = iter([Line(), with_spaces(spaces.Discrete(7))()])
    with pytest.raises(ValueError, match="different observation spaces"):
        train(lambda: next(made))


def test_spaces_that_change_are_named() -> None:
    def reset(self: Line, seed: Any = None) -> Any:
        if hasattr(self, "t"):
            self.moves = {a: spaces.Discrete(3) for a in "ab"}
        return Line.reset(self)

    with pytest.raises(ValueError, match=r"agent 'a': its space was Discrete\(2\) and is now Discrete\(3\)"):
        train(changed(reset=reset))


def test_a_close_that_raises_is_a_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def close(self: Line) -> None:
        raise RuntimeError("no viewer")

    monkeypatch.setitem(registry._FACTORIES, "Mine", changed(close=close))
    with caplog.at_level("WARNING", "marl_pr"):
        assert team_size("Mine") == 2
    assert "RuntimeError: no viewer" in caplog.text
