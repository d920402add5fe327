"""Whether what a user gives is a PettingZoo ParallelEnv with discrete actions; asked once, before the first step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable
from typing import Any

METHODS = ("reset", "step", "observation_space", "action_space")


def make_two(make_env: Callable[[], Any], make_test: Callable[[], Any] | None = None) -> tuple[Any, Any]:
    """An environment for training and one for evaluation.

    :param make_test: makes that for evaluation, if it is another
    :raises ValueError: if ``make_env`` is no function, or returns one environment twice
    """
    if not callable(make_env):
        raise ValueError(
            f"make_env={make_env!r}: expected a function that returns a fresh ParallelEnv, such as a class, or lambda: "
            "MyEnv(...)."
        )
    first, second = make_env(), (make_test or make_env)()
    agents_of(first)
    if first is second or getattr(first, "unwrapped", first) is getattr(second, "unwrapped", second):
        raise ValueError(
            f"make_env returned the same {type(first).__qualname__} twice: evaluation would move the training "
            "environment. Make a new one in each call, lambda: MyEnv(...)."
        )
    return first, second


def agents_of(env: Any) -> tuple[Hashable, ...]:
    """The possible agents of a ParallelEnv.

    :raises ValueError: if it is none; the message says what it looks like, and what to give
    """
    name = type(env).__qualname__
    if hasattr(env, "agent_iter") and hasattr(env, "last"):
        raise ValueError(
            f"{name} is an AEC environment, in which agents act in turn: expected a ParallelEnv. Use the module's "
            "parallel_env(), or pettingzoo.utils.aec_to_parallel(env)."
        )
    missing = [method for method in METHODS if not callable(getattr(env, method, None))]
    if missing:
        single = hasattr(env, "action_space") and not hasattr(env, "possible_agents")
        what = "an environment of a single agent" if single else "no ParallelEnv"
        raise ValueError(
            f"make_env returned {name}, {what}: it has no method {', '.join(missing)}. Return a PettingZoo "
            "ParallelEnv; for one agent of gymnasium use sb3_pr, or wrap it as a ParallelEnv of one agent."
        )
    found = getattr(env, "possible_agents", None)
    if not isinstance(found, Iterable) or isinstance(found, str):
        raise ValueError(
            f"{name}.possible_agents is {found!r}: set it to the list of all agents that may take part, in __init__."
        )
    agents = list(found)
    if not agents or not all(isinstance(agent, Hashable) for agent in agents) or len(set(agents)) != len(agents):
        raise ValueError(f"{name}.possible_agents is {agents}: expected at least one agent, and each name once.")
    _check_seed(env, name)
    return tuple(agents)


def actions_of(env: Any, agents: Iterable[Any]) -> tuple[int, list[int]]:
    """The number of actions, which must be the same for all agents, and the first action of each agent.

    :raises ValueError: if an action space is not Discrete, or sizes differ
    """
    from gymnasium.spaces import Discrete

    spaces = {agent: env.action_space(agent) for agent in agents}
    for agent, space in spaces.items():
        if not isinstance(space, Discrete):
            raise ValueError(
                f"{agent} has the action space {space} ({type(space).__module__}): tabular learning needs Discrete "
                "actions of gymnasium.spaces. Number the actions with a wrapper, or use the deep learners."
            )
    sizes = {int(space.n) for space in spaces.values()}
    if len(sizes) > 1:
        listed = ", ".join(f"{agent}: {space}" for agent, space in spaces.items())
        raise ValueError(
            f"Action spaces of sizes {sorted(sizes)} ({listed}): values of peers are shared per action, so give all "
            "the same, and forbid the actions that an agent lacks with an action_mask in its infos."
        )
    return sizes.pop(), [int(space.start) for space in spaces.values()]


def _check_seed(env: Any, name: str) -> None:
    try:
        signature = inspect.signature(env.reset)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(seed=0)
    except TypeError:
        raise ValueError(
            f"{name}.reset{signature} takes no seed: expected reset(self, seed=None, options=None)."
        ) from None
