"""Agent-major batches of observations, and their real-valued coordinates as one vector per row."""

from __future__ import annotations

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.type_aliases import PyTorchObs

from sb3_pr.networks.parameters import UnevenRows


def rows(observation: PyTorchObs) -> int:
    """Number of rows of a batch of observations."""
    if isinstance(observation, dict):
        return len(next(iter(observation.values())))
    return len(observation)


def gather_rows(observation: PyTorchObs, index: th.Tensor) -> Any:
    """Rows ``index`` of an observation, a tensor or a dictionary of them."""
    if isinstance(observation, dict):
        return {key: value.index_select(0, index) for key, value in observation.items()}
    return observation.index_select(0, index)


def repeat(observation: PyTorchObs, times: int) -> Any:
    """All rows, ``times`` times one after the other."""
    if isinstance(observation, dict):
        return {key: th.cat([value] * times) for key, value in observation.items()}
    return th.cat([observation] * times)


class VectorPart:
    """The coordinates of an observation that adjacency may change: its real-valued vectors.

    Images and one-hot or discrete parts have no meaningful single coordinate; they stay as they are.

    :param space: the observation space, ``Box`` or ``Dict``
    """

    def __init__(self, space: spaces.Space[Any]):
        parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
        self.keys = [key for key, part in parts.items() if _is_vector(part)]
        self.is_dict = isinstance(space, spaces.Dict)

    def split(self, observation: PyTorchObs, n_agents: int) -> th.Tensor:
        """(n_agents * batch, ...) -> states (n_agents, batch, dim); dim is 0 if nothing may change."""
        batch = rows(observation)
        if batch % n_agents:
            raise UnevenRows.of(batch, n_agents)
        flat = [self._part(observation, key).reshape(batch, -1) for key in self.keys]
        if not flat:
            device = next(iter(observation.values())).device if isinstance(observation, dict) else observation.device
            return th.zeros(n_agents, batch // n_agents, 0, device=device)
        joined = flat[0] if len(flat) == 1 else th.cat(flat, dim=1)
        return joined.view(n_agents, batch // n_agents, -1)

    def join(self, states: th.Tensor, observation: PyTorchObs) -> Any:
        """The observation with its vectors replaced by ``states``, (rows, dim)."""
        if not self.keys:
            return observation
        if not self.is_dict:
            assert isinstance(observation, th.Tensor)
            return states.reshape(observation.shape)
        assert isinstance(observation, dict)
        result = dict(observation)
        start = 0
        for key in self.keys:
            shape = observation[key].shape
            width = shape[1:].numel()
            result[key] = states[:, start : start + width].reshape(shape).to(observation[key].dtype)
            start += width
        return result

    def _part(self, observation: Any, key: str) -> th.Tensor:
        part: th.Tensor = observation[key] if self.is_dict else observation
        return part


def _is_vector(space: spaces.Space[Any]) -> bool:
    return (
        isinstance(space, spaces.Box)
        and not is_image_space(space)
        and space.dtype is not None
        and space.dtype.kind == "f"
    )
