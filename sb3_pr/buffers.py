"""SB3's replay buffers, sampled agent by agent.

An SB3 buffer already keeps one column per env. ``agent_major`` changes what one sample is: ``batch_size`` rows *per
agent*, drawn from that agent's column, block after block. Each block is drawn by the buffer's own ``sample`` on a view
of one column, so n-step returns, ``Dict`` observations, HER and the memory-optimised layout stay SB3's.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize


class AgentMajor(ReplayBuffer):
    """Mixin in front of a replay buffer class; see :func:`agent_major`."""

    shared_replay: bool = False
    """Every agent draws from all columns instead of its own: the control of METHOD, sharing data without PR."""

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> Any:
        """``batch_size`` rows per agent, agent-major: row block i belongs to agent i.

        :param env: the VecNormalize that scales observations and rewards, as in SB3
        :return: SB3's sample tuple with n_envs * batch_size rows
        """
        if self.shared_replay:
            draws = [super(AgentMajor, self).sample(batch_size, env) for _ in range(self.n_envs)]
        else:
            draws = [self.column(agent).sample(batch_size, env) for agent in range(self.n_envs)]
        return type(draws[0])(*(_concatenate(field) for field in zip(*draws, strict=True)))

    def column(self, agent: int) -> ReplayBuffer:
        """Agent's column as an upstream buffer with one env; it shares memory with this one."""
        view: ReplayBuffer = object.__new__(self.upstream_class())
        view.__dict__.update({name: self._column(value, agent) for name, value in self.__dict__.items()})
        view.n_envs = 1
        return view

    def _column(self, value: Any, agent: int) -> Any:
        if isinstance(value, dict):
            return {key: self._column(item, agent) for key, item in value.items()}
        if isinstance(value, np.ndarray) and value.shape[:2] == (self.buffer_size, self.n_envs):
            return value[:, agent : agent + 1]
        if isinstance(value, np.ndarray) and value.shape == (self.n_envs,):  # HER: the running episode's start
            return value[agent : agent + 1]
        return value

    @classmethod
    def upstream_class(cls) -> type[ReplayBuffer]:
        """The class behind the mixin."""
        bases = [base for base in cls.__mro__ if issubclass(base, ReplayBuffer) and not issubclass(base, AgentMajor)]
        return bases[0]

    def __reduce__(self) -> Any:
        """Pickle as (upstream class, state): the combined class is made anew when loading."""
        state = self.__getstate__() if hasattr(self.upstream_class(), "__getstate__") else self.__dict__
        return _empty, (self.upstream_class(),), state


@functools.cache
def agent_major(buffer_class: type[ReplayBuffer]) -> type[AgentMajor]:
    """The agent-major version of any SB3 replay buffer class, a user's own included."""
    if issubclass(buffer_class, AgentMajor):
        return buffer_class
    return type(f"Agent{buffer_class.__name__}", (AgentMajor, buffer_class), {"__doc__": AgentMajor.__doc__})


def as_agent_major(buffer: ReplayBuffer, shared_replay: bool) -> AgentMajor:
    """Turn an upstream buffer, fresh or loaded, into an agent-major one, in place: its arrays are the same."""
    buffer.__class__ = agent_major(type(buffer))
    assert isinstance(buffer, AgentMajor)
    buffer.shared_replay = shared_replay
    return buffer


def _empty(buffer_class: type[ReplayBuffer]) -> AgentMajor:
    cls = agent_major(buffer_class)
    return cls.__new__(cls)


def _concatenate(blocks: tuple[Any, ...]) -> Any:
    """One field of N samples: tensors, dictionaries of tensors, or None."""
    if isinstance(blocks[0], dict):
        return {key: th.cat([block[key] for block in blocks]) for key in blocks[0]}
    return th.cat(blocks) if isinstance(blocks[0], th.Tensor) else blocks[0]
