"""Finite checks: a NaN is named where it enters, not found hours later in a network; and a bound for the values."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch as th

LOGGER = logging.getLogger("marl_pr")
SLACK = 2.0
"""The alarm rings at this many times the bound, plus 1: critics overshoot while they learn."""


class NonFiniteError(ValueError):
    """Something that training depends on is NaN or infinite; the message names the agent, the tensor and the step."""

    agent: int = 0
    """Whose it is."""

    @classmethod
    def of(cls, agent: int, message: str) -> NonFiniteError:
        """The error of one agent."""
        error = cls(message)
        error.agent = agent
        return error


def at_hand(tensor: th.Tensor) -> bool:
    """Whether reading a tensor's numbers costs nothing: on an accelerator the host waits for all that is queued."""
    return tensor.device.type == "cpu"


def require_finite(values: Any, what: str, where: str, agent: int | None = None, stored_as: Any = np.float32) -> None:
    """Raise if an array, or any array of a dictionary, holds NaN or infinity: as it is, or in the type it is kept in.

    :param values: (n_agents, ...) array or dictionary of arrays; (...) if ``agent`` is given
    :param what: its name, for the message: "reward", "observation"
    :param where: when it came, for the message: "at step 1200"
    :param stored_as: type of the numbers that are kept, or a dictionary of them. Networks compute in float32, so that
        what is infinite there is refused for every type of real numbers
    :raises NonFiniteError: naming the agent, the position and the value
    """
    if isinstance(values, dict):
        for key, part in values.items():
            kept = stored_as.get(key, np.float32) if isinstance(stored_as, dict) else stored_as
            require_finite(part, f"{what}[{key!r}]", where, agent, kept)
        return
    given = np.asarray(values)
    if given.dtype.kind in "biu":
        return
    bad = ~np.isfinite(_narrowest(given, np.dtype(stored_as)))
    if not bad.any():
        return
    position = tuple(int(index) for index in np.argwhere(bad)[0])
    value = given[position]
    if agent is None and position:
        agent, position = position[0], position[1:]
    place = f", coordinate {position if len(position) > 1 else position[0]}" if position else ""
    too_large = np.isfinite(np.float64(value)) if value is not None else False
    kind = f", which is too large for {_narrowest(given, np.dtype(stored_as)).dtype}" if too_large else ""
    raise NonFiniteError.of(
        agent or 0,
        f"non-finite {what} of agent {agent or 0}{place} {where}: {value}{kind}. The transition was not stored, and "
        "no network was updated with it. Check the environment (VecCheckNan finds the step that causes it); what was "
        "saved before is unchanged.",
    )


def _narrowest(given: np.ndarray, stored_as: np.dtype[Any]) -> np.ndarray:
    """The values in the type with the smallest range that they pass through: as stored, or float32 in the networks."""
    kept = stored_as if stored_as.kind == "f" and stored_as.itemsize < 4 else np.dtype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        return given.astype(kept, copy=False)


def bad_agents(tensor: th.Tensor, n_agents: int) -> list[int]:
    """The agents with NaN or infinity in their part of ``tensor``.

    :param tensor: (n_agents, ...); any shape if there is one agent
    """
    finite = th.isfinite(tensor.detach()).reshape(n_agents, -1).all(1)
    return [agent for agent in range(n_agents) if not finite[agent]]


def all_finite(tensors: list[th.Tensor]) -> bool:
    """Whether no tensor holds NaN or infinity; one pass over the memory."""
    if not tensors:
        return True
    total = th.stack([tensor.detach().sum(dtype=th.float32) for tensor in tensors]).sum()
    # a sum of finite values may overflow: only then they are looked at one by one
    return bool(th.isfinite(total)) or all(bool(th.isfinite(tensor).all()) for tensor in tensors)


class ValueAlarm:
    """Watches |Q| against the largest value that rewards allow, r_max / (1 - gamma).

    :param n_teams: stacked teams, equally large, each with an r_max of its own
    """

    def __init__(self, n_teams: int = 1) -> None:
        self.n_teams = n_teams
        self.largest_reward: Any = 0.0 if n_teams == 1 else np.zeros(n_teams)
        """r_max: the largest |reward| seen; of several teams (n_teams,)."""
        self.ringing: list[int] = []
        """Agents whose values are beyond the bound."""

    def see(self, rewards: np.ndarray) -> None:
        """Take in rewards of any shape; of several teams (n_teams * team_size,)."""
        if self.n_teams == 1:
            self.largest_reward = max(self.largest_reward, float(np.abs(rewards).max()))
        else:
            self.largest_reward = np.maximum(self.largest_reward, np.abs(rewards).reshape(self.n_teams, -1).max(1))

    def bound(self, gamma: float) -> Any:
        """No policy's value is larger; infinite if gamma is 1 or no reward was seen. Of several teams (n_teams,)."""
        largest = np.asarray(self.largest_reward)
        bound = np.where((largest > 0) & (gamma < 1), largest / max(1 - gamma, 1e-300), np.inf)
        return float(bound) if self.n_teams == 1 else bound

    def check(self, values: np.ndarray, gamma: float, update: int) -> None:
        """Warn of every agent whose value is beyond the bound and was not before.

        :param values: mean Q of each agent's batch, (n_agents,)
        """
        bounds, largest = (
            np.repeat(np.atleast_1d(of_team), len(values) // self.n_teams)
            for of_team in (self.bound(gamma), self.largest_reward)
        )
        beyond = [int(agent) for agent in np.flatnonzero(np.abs(values) > SLACK * bounds + 1)]
        for agent in beyond:
            if agent not in self.ringing:
                LOGGER.warning(
                    "agent %d diverges: its mean Q is %.4g at update %d, but rewards up to %.4g with gamma %g allow "
                    "|Q| <= %.4g. A smaller learning_rate, tau or kappa may help; the last checkpoint is unchanged.",
                    *(agent, values[agent], update, largest[agent], gamma, bounds[agent]),
                )
        self.ringing = beyond

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return {"largest_reward": self.largest_reward, "ringing": list(self.ringing)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        largest = state["largest_reward"]  # of all teams together in stacks of before
        self.largest_reward = largest if self.n_teams == 1 else np.zeros(self.n_teams) + largest
        self.ringing = list(state["ringing"])
