"""A small environment of a user's, of which a test changes one thing."""

from __future__ import annotations

from typing import Any

from gymnasium.spaces import Discrete

from marl_pr_common.tabular import TabularConfig, iql, train_parallel


class Line:
    """Agents a and b on five cells; the right end pays 1 and ends for that agent; all is cut after ten steps."""

    def __init__(self) -> None:
        self.possible_agents = ["a", "b"]
        self.agents: list[str] = []
        self.seen: dict[str, Any] = dict.fromkeys(self.possible_agents, Discrete(5))
        self.moves: dict[str, Any] = dict.fromkeys(self.possible_agents, Discrete(2))

    def observation_space(self, agent: str) -> Any:
        return self.seen[agent]

    def action_space(self, agent: str) -> Any:
        return self.moves[agent]

    def observe(self, agent: str) -> Any:
        return self.cells[agent]

    def info(self, agent: str) -> Any:
        return {}

    def reward(self, agent: str) -> Any:
        return float(self.cells[agent] == 4)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.t = list(self.possible_agents), 0
        self.cells = dict.fromkeys(self.agents, 0)
        return {a: self.observe(a) for a in self.agents}, {a: self.info(a) for a in self.agents}

    def step(self, actions: dict[str, int]) -> Any:
        self.t += 1
        moved = list(self.agents)
        for a in moved:
            self.cells[a] = min(max(self.cells[a] + 2 * actions[a] - 1, 0), 4)
        ended = {a: self.cells[a] == 4 for a in moved}
        late = dict.fromkeys(moved, self.t >= 10)
        self.agents = [a for a in moved if not (ended[a] or late[a])]
        answers = [{a: give(a) for a in moved} for give in (self.observe, self.reward, self.info)]
        return answers[0], answers[1], ended, late, answers[2]


class Still(Line):
    """One agent that stays in state 2 and is paid 1 a step: worth 1 / (1 - gamma) in any state that is not left."""

    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = ["a"]

    def observe(self, agent: str) -> Any:
        return 2

    def reward(self, agent: str) -> Any:
        return 1.0

    def step(self, actions: dict[str, int]) -> Any:
        self.t += 1
        moved = list(self.agents)
        return self.cut(moved, self.t >= 3)

    def cut(self, moved: list[str], end: bool) -> Any:
        """The step's answer; ``end``: it is the third step."""
        self.agents = [] if end else moved
        flags = [dict.fromkeys(moved, flag) for flag in (False, end)]
        return dict.fromkeys(moved, 2), dict.fromkeys(moved, 1.0), *flags, {}


def train(env: Any, config: TabularConfig | None = None, steps: int = 200, **options: Any) -> Any:
    """The learner after some steps."""
    return train_parallel(env, config or iql(), steps, steps, 2, **options)[0]


def changed(**parts: Any) -> type[Line]:
    """``Line`` with attributes and methods exchanged."""
    return type("Changed", (Line,), parts)


def with_spaces(seen: Any = None, moves: Any = None) -> type[Line]:
    def init(self: Line) -> None:
        Line.__init__(self)
        self.seen = self.seen if seen is None else dict.fromkeys("ab", seen)
        self.moves = self.moves if moves is None else dict.fromkeys("ab", moves)

    return changed(__init__=init)
