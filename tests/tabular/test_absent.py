"""What is absent is no state: agents that wait, come late, leave without a word or are cut without an observation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from marl_pr_common.tabular import ParallelTrainer, TabularConfig, iql
from tests.tabular.line import Line, Still, train

GAMMA = 0.9
CONFIGS = {"iql": iql(), "decision": TabularConfig(), "mean": TabularConfig(weighting="mean", kappa=0.5)}


class Cut(Still):
    """The last observation of a truncated agent is left out."""

    def cut(self, moved: list[str], end: bool) -> Any:
        answer = super().cut(moved, end)
        return ({} if end else answer[0], *answer[1:])


class CutNone(Still):
    """The last observation of a truncated agent is None."""

    def cut(self, moved: list[str], end: bool) -> Any:
        answer = super().cut(moved, end)
        return (dict.fromkeys(moved) if end else answer[0], *answer[1:])


class Gone(Still):
    """All agents vanish: no observation, no flag."""

    def cut(self, moved: list[str], end: bool) -> Any:
        answer = super().cut(moved, end)
        return ({}, answer[1], {}, {}, {}) if end else answer


class Unsaid(Still):
    """All agents are gone, and neither terminated nor truncated."""

    def cut(self, moved: list[str], end: bool) -> Any:
        answer = super().cut(moved, end)
        return answer[0], answer[1], answer[2], dict.fromkeys(moved, False), {}


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("env", [Still, Cut, CutNone, Gone, Unsaid])
@pytest.mark.few(3)
def test_an_endless_chain_that_is_cut_is_worth_1_over_1_minus_gamma(env: type[Still], config: str) -> None:
    learner = train(env, CONFIGS[config], 3_000, gamma=GAMMA)
    np.testing.assert_allclose(learner.q[0, 0, 2], 1 / (1 - GAMMA), rtol=1e-3)
    assert learner.tables.n[0, 0, [0, 1, 3, 4]].sum() == 0


def test_terminated_wins_over_truncated() -> None:
    class Both(Still):
        def cut(self, moved: list[str], end: bool) -> Any:
            answer = super().cut(moved, True)
            return answer[0], answer[1], dict.fromkeys(moved, True), dict.fromkeys(moved, True), {}

    np.testing.assert_allclose(train(Both, steps=500, gamma=GAMMA).q[0, 0, 2], 1.0, rtol=1e-3)


class Waits(Still):
    """After each choice two steps pass without a word about the agent; they pay 1 and 3."""

    leaves = False

    def cut(self, moved: list[str], end: bool) -> Any:
        there, paid = self.t % 3 == 0, (0.0, 1.0, 3.0)[self.t % 3]
        self.agents = ["a"] if there or not self.leaves else []
        self.agents += ["b"]
        seen = {"b": 1} | ({"a": 2} if there else {})
        flags = [dict.fromkeys(seen, False)] * 2
        pays = {"b": 0.0} | ({} if there or self.leaves else {"a": paid})
        return seen, pays, *flags, {}

    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = ["a", "b"]


@pytest.mark.parametrize("leaves", [False, True])
def test_a_choice_lasts_until_the_next_observation(leaves: bool) -> None:
    """Q = r_0 + gamma r_1 + gamma^3 max Q, whether it stays in env.agents (and is paid) or not."""
    env = type("Env", (Waits,), {"leaves": leaves})
    learner = _trained(env)
    paid = 0.0 if leaves else 1 + GAMMA * 3
    np.testing.assert_allclose(learner.q[0, 0, 2], paid / (1 - GAMMA**3), rtol=1e-3, atol=1e-9)
    assert learner.tables.n[0, 0].sum() == 1_000
    assert learner.tables.n[0, 0, 2].sum() == 1_000


def _trained(env: Any) -> Any:
    trainer = ParallelTrainer(env, iql(), gamma=GAMMA)
    trainer.train(3_000)
    assert trainer.total_steps == 4_000
    return trainer.learner


def test_a_waiting_agent_repeats_its_last_action() -> None:
    sent: list[Any] = []

    class Env(Waits):
        def step(self, actions: dict[str, int]) -> Any:
            sent.append(actions["a"])
            return super().step(actions)

    ParallelTrainer(Env, iql(), epsilon=0.9).train(300)
    triples = np.reshape(sent, (100, 3))
    assert (triples == triples[:, :1]).all()
    assert len(set(triples[:, 0])) == 2


def test_agents_that_come_late() -> None:
    """b is not there in the first two steps of an episode, and ends as the others do."""

    class Late(Line):
        def reset(self, seed: Any = None, options: Any = None) -> Any:
            super().reset()
            self.agents = ["a"]
            return {"a": 0}, {}

        def step(self, actions: dict[str, int]) -> Any:
            assert set(actions) == set(self.agents)
            answer = super().step(actions)
            if self.t == 2 and self.agents:
                self.agents = [*self.agents, "b"]
                answer[0]["b"] = self.cells["b"] = 3
            return answer

    learner = train(Late, steps=1_000, gamma=GAMMA)
    assert learner.q[0, 1, 3, 1] == pytest.approx(1.0)
    assert learner.tables.n[0, 1, :3].sum() > 0
    assert learner.tables.n[0, 1].sum() < learner.tables.n[0, 0].sum()


@pytest.mark.parametrize("config", CONFIGS)
def test_peers_do_not_learn_from_what_is_absent(config: str) -> None:
    """b is cut without an observation after each step: it never learns, and a is worth what it is alone."""

    class Blind(Still):
        def __init__(self) -> None:
            super().__init__()
            self.possible_agents = ["a", "b"]

        def cut(self, moved: list[str], end: bool) -> Any:
            observations, rewards, over, late, infos = super().cut(moved, end)
            if "b" in moved:
                observations.pop("b")
                rewards["b"] = -100.0
                late["b"] = True
                self.agents = [a for a in self.agents if a != "b"]
            return observations, rewards, over, late, infos

    learner = train(Blind, CONFIGS[config], 3_000, gamma=GAMMA)
    assert learner.tables.n[0, 1].sum() == 0
    assert not learner.q[0, 1].any()
    if config != "mean":  # uniform means take in tables that have never seen a state
        np.testing.assert_allclose(learner.q[0, 0, 2], 10.0, rtol=1e-3)


def test_nobody_ever_seen_is_a_message() -> None:
    class Silent(Still):
        def reset(self, seed: Any = None, options: Any = None) -> Any:
            super().reset()
            return {}, {}

        def cut(self, moved: list[str], end: bool) -> Any:
            return {}, {}, {}, {}, {}

    with pytest.raises(ValueError, match="no observation of anybody in 1000 steps"):
        ParallelTrainer(Silent, iql()).train(2_000)


def test_an_evaluation_is_bounded() -> None:
    class Endless(Still):
        def cut(self, moved: list[str], end: bool) -> Any:
            return super().cut(moved, False)

    trainer = ParallelTrainer(Endless, iql(), eval_max_steps=30)
    with pytest.warns(RuntimeWarning, match="4 of 4 evaluation episodes had not ended after 30 steps"):
        assert trainer.evaluate(4).returns.tolist() == [[30.0]] * 4
    with pytest.raises(ValueError, match="eval_max_steps=0"):
        ParallelTrainer(Endless, iql(), eval_max_steps=0)
