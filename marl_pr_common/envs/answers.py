"""What a user's ParallelEnv answers: the dicts by agent of PettingZoo's API, checked by type and by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from marl_pr_common.envs.values import flag_of

RESET = ("observations", "infos")
STEP = ("observations", "rewards", "terminations", "truncations", "infos")


class Answers:
    """Calls ``reset`` and ``step`` of one environment.

    :param env: a PettingZoo ParallelEnv
    :param agents: its possible agents
    """

    def __init__(self, env: Any, agents: Iterable[Any]) -> None:
        self.env, self.name = env, type(env).__qualname__
        self._index = {agent: i for i, agent in enumerate(agents)}

    def reset(self, **arguments: Any) -> list[Mapping[Any, Any]]:
        """Observations and infos of a first moment.

        :raises ValueError: for anything but two dicts of possible agents, and for an episode without agents
        """
        found = self._dicts("reset", self._called("reset", **arguments), RESET)
        if not self.present():
            raise ValueError(
                f"{self.name}.reset() left no agent in env.agents: an episode without agents never begins. Set "
                "self.agents in reset(), for instance to list(self.possible_agents)."
            )
        return found

    def step(self, actions: Mapping[Any, Any]) -> list[Mapping[Any, Any]]:
        """Observations, rewards, terminations, truncations, infos.

        :raises ValueError: for anything but five dicts of possible agents
        """
        return self._dicts("step", self._called("step", actions), STEP)

    def present(self) -> list[Any]:
        """Who is in ``env.agents`` now.

        :raises ValueError: unless they are possible agents, each once
        """
        try:
            found = list(self.env.agents)
        except (AttributeError, TypeError) as error:
            raise ValueError(
                f"{self.name}.agents is no list: set self.agents to the agents that take part now, in reset() and in "
                "step()."
            ) from error
        for agent in found:
            self.index(agent, "env.agents")
        if len(set(found)) != len(found):
            raise ValueError(f"{self.name}.agents is {found}: each agent once.")
        return found

    def index(self, agent: Any, where: str) -> int:
        """The agent's place among the possible ones.

        :raises ValueError: if it is none of them
        """
        try:
            return self._index[agent]
        except (KeyError, TypeError):
            raise ValueError(
                f"{where} of {self.name} holds {agent!r}: agent {agent!r} is not one of possible_agents "
                f"{list(self._index)}. List all agents that may ever act there, and give each what is its own."
            ) from None

    def _called(self, method: str, *arguments: Any, **named: Any) -> Any:
        try:
            return getattr(self.env, method)(*arguments, **named)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:  # raised within the method
                raise
            raise ValueError(
                f"{error}: PettingZoo's API since 1.23 has reset(self, seed=None, options=None), step(self, actions)."
            ) from error

    def _dicts(self, method: str, answer: Any, names: tuple[str, ...]) -> list[Mapping[Any, Any]]:
        right = isinstance(answer, tuple | list) and len(answer) == len(names)
        if not right or not all(isinstance(part, Mapping) for part in answer):
            kinds = (
                [type(part).__name__ for part in answer] if isinstance(answer, tuple | list) else type(answer).__name__
            )
            raise ValueError(
                f"{self.name}.{method}() returned {kinds}: expected the {len(names)} dicts of PettingZoo's API since "
                f"1.23; it must return ({', '.join(names)})."
            )
        for name, part in zip(names, answer, strict=True):
            for agent in part if name != "infos" else ():
                if agent != "__all__" or name not in ("terminations", "truncations"):  # RLlib's, which says nothing new
                    self.index(agent, name)
        return list(answer)


def ends_of(agent: Any, answer: list[Mapping[Any, Any]]) -> tuple[bool, bool]:
    """Whether the agent was terminated, and whether it was truncated, in a step; no word is no.

    :raises ValueError: for anything but True and False
    """
    _, _, terminations, truncations, _ = answer
    terminated = flag_of(agent, "terminated", terminations.get(agent, False))
    return terminated, flag_of(agent, "truncated", truncations.get(agent, False))


def require_reward(agent: Any, answer: list[Mapping[Any, Any]], terminated: bool) -> None:
    """:raises ValueError: if an agent that acted has none; one that was not shown what came of it goes without"""
    if agent not in answer[1] and (agent in answer[0] or terminated):
        raise ValueError(f"agent {agent!r} acted and has no reward. Give each agent that acts one, 0 if it is none.")


def refuse_late_reward(agent: Any, reward: float) -> None:
    """:raises ValueError: for a reward, other than 0, of an agent that takes no part any more"""
    if reward:
        raise ValueError(
            f"agent {agent!r}: the reward {reward} came after it had left. Pay it in the step in which it acts for "
            "the last time, or keep it in env.agents."
        )


def info_of(agent: Any, infos: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The agent's info, empty if there is none.

    :raises ValueError: if it is no dict
    """
    info = infos.get(agent)
    if info is None or (isinstance(info, (list, tuple)) and not info):
        return {}
    if not isinstance(info, Mapping):
        raise ValueError(f"agent {agent!r}: its info is {info!r} ({type(info).__name__}): expected a dict.")
    return info
