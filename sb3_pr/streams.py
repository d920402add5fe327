"""Random numbers of stacked teams: every team draws from generators of its own seed what it would draw alone.

Alone, a model of Stable-Baselines3 draws from NumPy's and torch's global generators and from its action space, all of
one seed. Here each team has these three for itself, and stands where the global ones are while it draws:

its networks' first weights       torch's, on the CPU
warm-up actions                   its action space
action noise, replay rows         NumPy's
target noise, SAC's actions       torch's, on the model's device, block by block
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.noise import VectorizedActionNoise

from marl_pr_common.checkpoint.attributes import restore_space, space_states

_GLOBAL = {
    name: method
    for name, method in vars(np.random).items()
    if isinstance(getattr(method, "__self__", None), np.random.RandomState)
}
"""NumPy's functions that draw from the global generator. A generator's state is exchanged by exchanging them: reading
and writing the state itself takes a hundred times longer."""
_current: ContextVar[Streams | None] = ContextVar("streams", default=None)
MadeT = TypeVar("MadeT")


class Streams:
    """The generators of all teams.

    :param seeds: each team's
    :param team_size: agents in a team
    :param device: of the model
    :param action_space: of the model
    """

    def __init__(self, seeds: Sequence[int], team_size: int, device: th.device, action_space: spaces.Space[Any]):
        self.team_size = team_size
        self.numpy = [np.random.RandomState() for _ in seeds]
        self.on_cpu = [th.Generator() for _ in seeds]
        self.on_device = self.on_cpu if device.type == "cpu" else [th.Generator(device) for _ in seeds]
        self.spaces = [copy.deepcopy(action_space) for _ in seeds]
        self.seed(seeds)

    def seed(self, seeds: Sequence[int]) -> None:
        """Begin anew, with each team's seed."""
        for own in zip(seeds, self.numpy, self.on_cpu, self.on_device, self.spaces, strict=True):
            seed, state, on_cpu, on_device, space = own
            state.seed(seed)
            on_cpu.manual_seed(seed)
            on_device.manual_seed(seed)
            space.seed(seed)

    def __len__(self) -> int:
        return len(self.numpy)

    @property
    def n_agents(self) -> int:
        """Of all teams."""
        return len(self) * self.team_size

    def __getstate__(self) -> dict[str, Any]:
        """Without the functions, which a copy would draw from the original's generators with."""
        return {name: value for name, value in vars(self).items() if name != "_functions"}

    @functools.cached_property
    def _functions(self) -> list[dict[str, Any]]:
        return [{name: getattr(state, name) for name in _GLOBAL} for state in self.numpy]

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within it networks are made, rows drawn and actions explored with the teams' generators."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    @contextmanager
    def numpy_of(self, team: int) -> Iterator[None]:
        """Within it NumPy's global generator is the team's."""
        module = vars(np.random)
        before = {name: module[name] for name in _GLOBAL}
        module.update(self._functions[team])
        try:
            yield
        finally:
            module.update(before)

    @contextmanager
    def torch_of(self, team: int) -> Iterator[None]:
        """Within it torch's global generator, on the CPU, is the team's."""
        before, own = th.get_rng_state(), self.on_cpu[team]
        th.set_rng_state(own.get_state())
        try:
            yield
        finally:
            own.set_state(th.get_rng_state())
            th.set_rng_state(before)

    def require_cpu(self, actor: Any) -> None:
        """:raises ValueError: on another device, whose global generator can't be a team's"""
        if self.on_device is not self.on_cpu:
            raise ValueError(
                f"n_teams={len(self)} with {type(actor).__name__} on device={self.on_device[0].device}: an actor with "
                "a forward of its own draws from the device's global generator, for all teams in turn. Use "
                "device='cpu', or train the teams one by one."
            )

    def normal_(self, rows: th.Tensor, mean: float = 0.0, std: float = 1.0) -> th.Tensor:
        """Fill rows, team after team, with normal numbers, each team's from its own generator."""
        for block, generator in zip(rows.chunk(len(self)), self.on_device, strict=True):
            block.normal_(mean, std, generator=generator)
        return rows

    def warm_up_space(self, action_space: spaces.Space[Any]) -> spaces.Space[Any]:
        """The action space, for one sample of each agent, drawn from its team's."""
        draws = (space.sample() for space in self.spaces for _ in range(self.team_size))
        result = copy.copy(action_space)
        vars(result)["sample"] = functools.partial(next, draws)
        return result

    def noise(self, noise: VectorizedActionNoise) -> np.ndarray:
        """Action noise of all agents."""
        rows = []
        for team in range(len(self)):
            with self.numpy_of(team):
                rows += [noise.noises[team * self.team_size + agent]() for agent in range(self.team_size)]
        return np.stack(rows)

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return {
            "numpy": [state.get_state(legacy=False) for state in self.numpy],
            "on_cpu": [generator.get_state() for generator in self.on_cpu],
            "on_device": [generator.get_state() for generator in self.on_device],
            "spaces": [space_states(space) for space in self.spaces],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        for own, saved in zip(self.numpy, state["numpy"], strict=True):
            own.set_state(saved)
        for name in ("on_cpu", "on_device"):
            for generator, saved in zip(getattr(self, name), state[name], strict=True):
                generator.set_state(saved)
        for space, saved in zip(self.spaces, state["spaces"], strict=True):
            restore_space(space, saved)


def current() -> Streams | None:
    """Those that are active; None with one team, which draws from the global generators as upstream does."""
    return _current.get()


def made(make: Callable[[], MadeT], n_agents: int) -> list[MadeT]:
    """What is made for every agent, with its team's generator."""
    streams = current()
    if streams is None or streams.n_agents != n_agents:
        return [make() for _ in range(n_agents)]
    found: list[MadeT] = []
    for team in range(len(streams)):
        with streams.torch_of(team):
            found += [make() for _ in range(streams.team_size)]
    return found


def team_by_team(call: Callable[..., Any], n_agents: int) -> Callable[..., Any]:
    """``call``, which comes for one agent after the other, with torch's global generator as each agent's team's."""
    streams = current()
    if streams is None or streams.n_agents != n_agents:
        return call
    teams = (agent // streams.team_size for agent in range(n_agents))

    def own(*args: Any) -> Any:
        with streams.torch_of(next(teams)):
            return call(*args)

    return own


class Drawn(th.Tensor):
    """Actions from the replay buffer. Upstream fills a copy of them with the target policy's noise, in one draw: here
    each team's rows come from the team's generator. In every other respect a plain tensor."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with th._C.DisableTorchFunctionSubclass():
            streams = current()
            if func is th.Tensor.normal_ and streams is not None and len(args[0]) % len(streams) == 0:
                return streams.normal_(plain(args[0]), *args[1:], **(kwargs or {}))
            result = func(*plain(args), **(kwargs or {}))
        kept = func in (th.Tensor.clone, th.Tensor.data.__get__)  # type: ignore[attr-defined]
        return result.as_subclass(Drawn) if kept else result


def plain(value: Any) -> Any:
    """Without the subclass, in lists and tuples, too."""
    if isinstance(value, Drawn):
        return value.as_subclass(th.Tensor)
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return value
