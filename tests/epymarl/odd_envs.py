"""Environments for EPyMARL's gymma as people write them: most with something odd about them."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Plain(gymnasium.Env[Any, Any]):
    """Two agents with three actions; action 0 pays 1; eight steps."""

    n_agents = 2
    length = 8
    actions: Any = spaces.Discrete(3)
    made = 0

    def __init__(self, **_: Any) -> None:
        type(self).made += 1
        self.observation_space = spaces.Tuple([spaces.Box(-1, 1, (3,), np.float32)] * 2)
        self.action_space = spaces.Tuple([self.actions] * 2)

    def observations(self) -> Any:
        return tuple(self.np_random.random(3).astype(np.float32) for _ in range(2))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.observations(), {}

    def rewards(self, action: Any) -> Any:
        return [float(one == 0) for one in action]

    def info(self) -> Any:
        return {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return self.observations(), self.rewards(action), self.t >= self.length, False, self.info()


class Continuous(Plain):
    actions = spaces.Box(-1, 1, (2,), np.float32)


class Several(Plain):
    actions = spaces.MultiDiscrete([2, 3])


class Binary(Plain):
    """MultiBinary has an ``n`` too, which is all that EPyMARL asks for."""

    actions = spaces.MultiBinary(3)


class Starts(Plain):
    actions = spaces.Discrete(3, start=1)


class Single(Plain):
    """Spaces of one agent."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.action_space = spaces.Discrete(3)  # type: ignore[assignment]


class Fewer(Plain):
    n_agents = 3


class Nobody(Plain):
    n_agents = property()  # type: ignore[assignment]


class Longer(Plain):
    """Observations that are longer than their space."""

    def observations(self) -> Any:
        return (np.zeros(4, np.float32),) * 2


class StateSize(Plain):
    state_size = 4


class OldReset(Plain):
    def reset(self, **named: Any) -> Any:
        return super().reset(**named)[0]


class OldStep(Plain):
    def step(self, action: Any) -> Any:
        observations, rewards, done, _, info = super().step(action)
        return observations, rewards, done, info


class Talks(Plain):
    def info(self) -> Any:
        place = np.zeros(1 + self.length + self.made)
        return {"stage": "hunt", "winner": None, "by_agent": {"a": 1}, "ids": [1], 3: 4, "hits": 2, "place": place[:2]}


class NoInfo(Plain):
    def info(self) -> Any:
        return None


class Lists(Plain):
    """A truncation for each agent, as PettingZoo has it."""

    def step(self, action: Any) -> Any:
        observations, rewards, done, _, info = super().step(action)
        return observations, rewards, [False, False], [done, done], info


class TeamReward(Plain):
    def rewards(self, action: Any) -> Any:
        return float(sum(action))


class NoReward(Plain):
    def rewards(self, action: Any) -> Any:
        return None


class CloseFails(Plain):
    def close(self) -> None:
        raise RuntimeError("no viewer")


class Unpicklable(Exception):
    def __init__(self, one: int, two: int):
        super().__init__(f"lost {one}")


class Fails(Plain):
    """Ends as ``how`` says in the third step."""

    def __init__(self, how: str = "raise", **more: Any) -> None:
        super().__init__(**more)
        self.how = how

    def step(self, action: Any) -> Any:
        if self.t == 2:
            if self.how == "raise":
                raise Unpicklable(1, 2)
            if self.how == "sys.exit":
                sys.exit(0)
            if self.how == "os._exit":
                os._exit(3)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action)


class Tidy(Plain):
    """Has a handler of SIGTERM that tidies up and does not exit; the third step fails."""

    def step(self, action: Any) -> Any:
        signal.signal(signal.SIGTERM, lambda *_: None)
        if self.t == 2:
            raise RuntimeError("lost")
        return super().step(action)


class Panic(BaseException):
    """As simulators in Rust raise it."""


class Panics(Plain):
    def step(self, action: Any) -> Any:
        raise Panic("index out of bounds")


class CutAsArray(Plain):
    """Says that the time is over with an array of no dimensions."""

    def step(self, action: Any) -> Any:
        observations, reward, done, _, info = super().step(action)
        return observations, reward, False, np.array(done), info


class CutByName(Plain):
    def step(self, action: Any) -> Any:
        observations, reward, done, _, info = super().step(action)
        return observations, reward, False, {"agent_0": done, "agent_1": done}, info


class Teams(Plain):
    possible_agents = ("adversary_0", "agent_0")


class Sizes(Plain):
    """Agents with different observations and actions."""

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.observation_space = spaces.Tuple([spaces.Box(-1, 1, (size,), np.float32) for size in (3, 4)])
        self.action_space = spaces.Tuple([spaces.Discrete(n) for n in (3, 2)])


class Friends(Plain):
    possible_agents = ("speaker_0", "listener_0")


class Once(Plain):
    """A simulator that can be started once per process."""

    def __init__(self, **more: Any) -> None:
        if type(self).made:
            raise RuntimeError("started already")
        super().__init__(**more)


_of_the_module = np.random.default_rng(0)


class Stateful(Plain):
    """Draws from a generator of the module, of NumPy itself, and counts in the class."""

    def observations(self) -> Any:
        return tuple((_of_the_module.random(3) * self.made + np.random.random()).astype(np.float32) for _ in range(2))


for _name, _made in list(globals().items()):
    if isinstance(_made, type) and issubclass(_made, Plain):
        gymnasium.register(f"{_name}-v0", entry_point=_made, disable_env_checker=True)
