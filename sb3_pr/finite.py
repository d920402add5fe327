"""NaN and infinity where they enter: what an environment returned and an actor chose, as the replay buffer keeps it.

``TD3PR`` and its like look by themselves; :class:`GuardCallback` does the same for upstream's own classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from marl_pr_common.reciprocity.guards import NonFiniteError, require_finite
from sb3_pr.guards import Watch, broken_parts


class OutsideSpaceError(NonFiniteError):
    """An observation that its discrete space doesn't have; of several teams the one that it concerns ends alone."""


def require_inside(
    values: Any, space: spaces.Space[Any], where: str, whose: str = "agent", agent: int | None = None
) -> None:
    """Networks take a ``Discrete`` or ``MultiDiscrete`` observation as one of so many classes: there must be one.

    :param values: (n_agents, ...) array or dictionary of arrays; (...) if ``agent`` is given
    :param where: when it came, for the message
    :raises OutsideSpaceError: naming agent, value and space
    """
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            require_inside(values[key], part, f"in {key!r} {where}", whose, agent)
    if not isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
        return
    offset = np.asarray(values) - getattr(space, "start", 0)
    bad = (offset < 0) | (offset >= (space.n if isinstance(space, spaces.Discrete) else space.nvec))
    if bad.any():
        place = tuple(np.argwhere(bad)[0])
        owner = int(place[0]) if agent is None else agent
        raise OutsideSpaceError.of(
            owner,
            f"the observation {np.asarray(values)[place]} of {whose} {owner} {where} is not in its space {space}. No "
            "network was updated with it. Make the space wide enough, or the environment keep to it.",
        )


def first_observation(model: Any) -> None:
    """:raises NonFiniteError: if an environment was reset to an observation that is not finite

    :raises ValueError: if it was no reset of gymnasium's; numpy would unpack an observation of two numbers
    """
    for column, info in enumerate(getattr(model.env, "reset_infos", ())):
        if not isinstance(info, dict):
            raise ValueError(
                f"environment {column}: reset() must return (observation, info), info a dictionary, as gymnasium's API "
                f"says; what came for it is {info!r}, a {type(info).__name__}."
            )
    kept = _types(model, "observations")
    for observation in (model._last_original_obs, model._last_obs):  # the former with VecNormalize only
        if observation is not None:
            require_finite(observation, "observation", "after reset", stored_as=kept)
            require_inside(observation, model.observation_space, "after reset")


def transition(model: Any, action: Any, observations: Any, rewards: Any, dones: Any, infos: Any) -> None:
    """Look at one step of the environment before it is stored; it changes nothing.

    :raises NonFiniteError: naming what is not finite, of which agent; with VecNormalize, before or after it
    :raises OutsideSpaceError: for an observation that no network takes
    """
    where = f"at step {model.num_timesteps}"
    require_finite(action, "action", where, stored_as=_types(model, "actions"))
    given = [(rewards, observations, "")]
    if (normalize := model._vec_normalize_env) is not None:
        given[:] = [
            (normalize.get_original_reward(), normalize.get_original_obs(), ""),
            (rewards, observations, " after VecNormalize"),
        ]
    for reward, observation, after in given:
        require_finite(reward, f"reward{after}", where, stored_as=_types(model, "rewards"))
        require_finite(observation, f"observation{after}", where, stored_as=_types(model, "observations"))
    require_inside(observations, model.observation_space, where)
    for agent, info in enumerate(infos):
        if dones[agent] and (last := info.get("terminal_observation")) is not None:
            require_finite(last, "terminal observation", where, agent, _types(model, "observations"))
            require_inside(last, model.observation_space, where, agent=agent)


def require_finite_model(model: Any, instead: str) -> None:
    """Raise before a model is saved that holds NaN or infinity.

    :param instead: what there is in its place, for the message
    :raises NonFiniteError: naming every agent that is broken, and a tensor
    """
    if broken := broken_parts(model):
        raise NonFiniteError(f"the model was not saved: {broken[0]} is not finite. {instead}")


def _types(model: Any, name: str) -> Any:
    """Types in which a replay buffer keeps something; float32 if it is a user's that keeps it elsewhere."""
    kept = getattr(model.replay_buffer, name, None)
    if isinstance(kept, dict):
        return {key: part.dtype for key, part in kept.items()}
    return kept.dtype if isinstance(kept, np.ndarray) else np.dtype(np.float32)


class GuardCallback(BaseCallback):
    """Gives upstream's algorithms the guards of ours; results stay bit for bit what they are.

    It comes first among the callbacks: SB3 calls them after a step and before the transition is stored. It keeps
    nothing that a checkpoint would need.
    """

    model: OffPolicyAlgorithm

    def _on_training_start(self) -> None:
        self._watch = Watch(1)
        buffer: Any = self.model.replay_buffer
        if seen := (len(buffer.rewards) if buffer.full else buffer.pos):  # a resumed run knows its rewards
            self._watch.alarm.see(buffer.rewards[:seen])
        self._watch.attach(self.model)
        first_observation(self.model)

    def _on_step(self) -> bool:
        rewards = self.locals["rewards"]
        transition(
            *(self.model, self.locals["buffer_actions"], self.locals["new_obs"], rewards),
            *(self.locals["dones"], self.locals["infos"]),
        )
        self._watch.alarm.see(rewards)
        return True

    def _on_rollout_start(self) -> None:
        self._watch.after_updates(self.model)

    def _on_training_end(self) -> None:
        self._watch.after_updates(self.model)
