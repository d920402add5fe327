"""Whether EPyMARL can act in an environment, by its spaces and sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

WANTED = "EPyMARL wants n_agents, and action_space and observation_space as a Tuple with one space for each agent"


def is_gymma(env: Any) -> bool:
    """Whether it is EPyMARL's wrapper of a gymnasium environment, and not a ``MultiAgentEnv`` of another kind."""
    return type(env).__name__ in ("GymmaWrapper", "Filmed") and getattr(env, "_env", None) is not None


def unfit(env: Any) -> str:
    """Why EPyMARL's gymma can't act in an environment as its spaces say; "" if it can, or wraps it otherwise.

    :param env: EPyMARL's ``GymmaWrapper``, whole or half made
    """
    from gymnasium.spaces import Dict, Discrete

    if not is_gymma(env):
        return ""
    inner = env._env
    name = type(inner.unwrapped).__name__
    if not hasattr(inner.unwrapped, "n_agents"):
        return f"{name} has no attribute n_agents. {WANTED}."
    found = {}
    for kind in ("action_space", "observation_space"):
        space = getattr(inner, kind, None)
        wrong = f"{kind} of {name} is {space}. {WANTED}."
        if isinstance(space, Dict):  # a list of it are its keys
            return wrong
        try:
            found[kind] = list(space)  # type: ignore[arg-type]
        except TypeError:
            return wrong
        if len(found[kind]) != inner.unwrapped.n_agents:
            return f"{kind} of {name} has {len(found[kind])} spaces, n_agents is {inner.unwrapped.n_agents}. {WANTED}."
    for agent, space in enumerate(found["action_space"]):
        if not isinstance(space, Discrete):
            return f"agent {agent} of {name} has the action space {space}: EPyMARL has Discrete actions only."
        if space.start != 0:
            return (
                f"agent {agent} of {name} has the action space {space}, which starts at {space.start}: EPyMARL sends "
                f"0 to {space.n - 1}. Let it start at 0, and add {space.start} in step()."
            )
    return ""


def observations_missing(env: Any, observations: Any) -> str:
    """Whether observations are not one for each agent; "" if they are.

    :param env: one of EPyMARL's ``MultiAgentEnv``
    """
    if len(observations) != env.n_agents:
        return (
            f"{len(observations)} observations for {env.n_agents} agents. EPyMARL wants one of each agent at every "
            "step: zeros, say, of one that is out of the game."
        )
    return ""


def state_of_another_size(env: Any, state: Any) -> str:
    """Whether a state is not of the size that the environment said; "" if it is."""
    size, state = env.get_state_size(), np.asarray(state)
    if isinstance(size, (int, np.integer)) and state.size != size:
        return (
            f"the state has {state.size} entries, get_state_size() says {size}. (EPyMARL's gymma puts the observations "
            "together, and takes its size from state_size where an environment has that attribute: leave it out.)"
        )
    return ""
