"""SB3's replay buffers, sampled agent by agent.

An SB3 buffer already keeps one column per env. ``agent_major`` changes what one sample is: ``batch_size`` rows *per
agent*, drawn from that agent's column, block after block. Each block is drawn by the buffer's own ``sample`` on a view
of one column, so n-step returns, ``Dict`` observations, HER and the memory-optimised layout stay SB3's; what a user's
``sample`` writes into the buffer is kept (:mod:`sb3_pr.replay.views`). SB3's plain buffers are read in one gather for
all agents, with the same rows (:mod:`sb3_pr.replay.gather`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from stable_baselines3.common import buffers
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from sb3_pr.replay import gather, views
from sb3_pr.returns import nothing_to_learn
from sb3_pr.streams import Drawn, Streams


class AgentMajor(ReplayBuffer):
    """Mixin in front of a replay buffer class; see :func:`agent_major`."""

    shared_replay: bool = False
    """Every agent draws from all columns instead of its own: the control of METHOD, sharing data without PR."""
    present: np.ndarray | None = None
    """(buffer_size, n_envs) booleans: rows that are a transition of the agent's. None while all are."""
    _by_env: tuple[str, ...] = ()
    """Attributes of a user's class that hold a container for each env."""
    _rows_are_own: bool = False
    """Whether it has been looked at that what a user's ``sample`` draws is each agent's own."""
    streams: Streams | None = None
    """Whose generators rows are drawn with, team by team. None with one team: the global one."""

    def add(self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: list[dict[str, Any]]) -> None:
        """SB3's or the user's, which also remembers who was not there.

        :raises ValueError: if an agent was not there, and the buffer's class draws rows in a way of its own
        """
        missing = nothing_to_learn(infos)
        if missing is not None and self.present is None:
            self._require_known_draws(missing)
            self.present = np.ones((self.buffer_size, self.n_envs), dtype=bool, order="F")
        if self.present is not None:
            self.present[self.pos] = True if missing is None else ~missing
        super().add(obs, next_obs, action, reward, done, infos)

    def sample(self, batch_size: int, env: VecNormalize | None = None, **options: Any) -> Any:
        """``batch_size`` rows per agent, agent-major: row block i belongs to agent i.

        :param env: the VecNormalize that scales observations and rewards, as in SB3
        :param options: of a user's own ``sample``
        :return: SB3's sample tuple with n_envs * batch_size rows
        """
        agents = range(self.n_envs)
        whose = [self._whose(agent) for agent in agents]
        if self.present is None and not options and gather.possible(self, self.upstream_class(), env):
            randints = [self._randint_of(agent) for agent in agents]
            return self._drawn(gather.sample(self, self.upstream_class(), whose, randints, batch_size, env))
        if self.present is not None:
            parts = [self.column(agent) for agent in agents]
        else:
            parts = [views.view(self, self.upstream_class(), some) for some in whose]
        before = [dict(vars(part)) for part in parts]
        draws = []
        for agent, part in enumerate(parts):
            with self._generator_of(agent):
                if self.present is None:
                    draws.append(part.sample(batch_size, env, **options))
                else:
                    draws.append(self._draw(parts, list(agents)[whose[agent]], batch_size, env))
        if not self._rows_are_own:
            if self.upstream_class().sample.__module__ != buffers.__name__:
                views.require_own(self, parts, draws)
            self._rows_are_own = True
        views.keep(self, parts, before, batch_size)
        return self._drawn(views.concatenated(draws))

    def _drawn(self, samples: Any) -> Any:
        if self.streams is not None and hasattr(samples, "_replace"):
            return samples._replace(actions=samples.actions.as_subclass(Drawn))
        return samples

    def _whose(self, agent: int) -> slice:
        """The columns that an agent draws from: its own, or its team's."""
        if not self.shared_replay:
            return slice(agent, agent + 1)
        size = self.n_envs if self.streams is None else self.streams.team_size
        return slice(agent // size * size, (agent // size + 1) * size)

    def _generator_of(self, agent: int) -> AbstractContextManager[None]:
        return nullcontext() if self.streams is None else self.streams.numpy_of(agent // self.streams.team_size)

    def _randint_of(self, agent: int) -> Callable[..., Any]:
        if self.streams is None:
            return np.random.randint
        return self.streams.numpy[agent // self.streams.team_size].randint

    def column(self, agent: int) -> ReplayBuffer:
        """Agent's column as an upstream buffer with one env; it shares memory with this one."""
        return views.view(self, self.upstream_class(), slice(agent, agent + 1))

    def _draw(self, parts: list[ReplayBuffer], agents: list[int], batch_size: int, env: VecNormalize | None) -> Any:
        """Rows of some agents, each as likely as the others, of those in which they were there."""
        rows = [self._rows(agent) for agent in agents]
        ends = np.cumsum([len(of_one) for of_one in rows])
        if ends[-1] == 0:
            raise ValueError(
                f"the agent of column {agents[0]} has not acted in any of the {self.size()} steps in the replay "
                "buffer, so there is nothing that it could learn from. Raise learning_starts or buffer_size."
            )
        drawn = np.random.randint(0, ends[-1], size=batch_size)  # noqa: NPY002  the generator that SB3 draws rows from
        chosen, whose = np.concatenate(rows)[drawn], np.searchsorted(ends, drawn, side="right")
        blocks = [parts[agents[one]]._get_samples(chosen[whose == one], env) for one in np.unique(whose)]
        return views.concatenated(blocks)

    def _rows(self, agent: int) -> np.ndarray:
        """Those of an agent among the rows that SB3's ``sample`` draws from."""
        assert self.present is not None
        rows = np.flatnonzero(self.present[: self.size(), agent])
        return rows[rows != self.pos] if self.optimize_memory_usage and self.full else rows

    def _require_known_draws(self, missing: np.ndarray) -> None:
        kind = self.upstream_class()
        if kind.sample.__module__ != buffers.__name__:
            raise ValueError(
                f"the agent of column {int(missing.argmax())} took no part in a step: it ended before the other agents "
                f"did. {kind.__name__} draws its rows in a way of its own, so rows in which an agent was not "
                "there cannot be left out. Use one of Stable-Baselines3's ReplayBuffer, DictReplayBuffer and "
                "NStepReplayBuffer, or a class that inherits their sample(); or end all agents' episodes together."
            )

    @classmethod
    def upstream_class(cls) -> type[ReplayBuffer]:
        """The class behind the mixin."""
        bases = [base for base in cls.__mro__ if issubclass(base, ReplayBuffer) and not issubclass(base, AgentMajor)]
        return bases[0]

    def __reduce__(self) -> Any:
        """Pickle as (upstream class, state): the combined class is made anew when loading."""
        state: Any = self.__getstate__() if hasattr(self.upstream_class(), "__getstate__") else self.__dict__
        return _empty, (self.upstream_class(),), {name: value for name, value in state.items() if name != "streams"}


@functools.cache
def agent_major(buffer_class: type[ReplayBuffer]) -> type[AgentMajor]:
    """The agent-major version of any SB3 replay buffer class, a user's own included."""
    if issubclass(buffer_class, AgentMajor):
        return buffer_class
    return type(f"Agent{buffer_class.__name__}", (AgentMajor, buffer_class), {"__doc__": AgentMajor.__doc__})


def as_agent_major(buffer: ReplayBuffer, shared_replay: bool, streams: Streams | None = None) -> AgentMajor:
    """Turn an upstream buffer, fresh or loaded, into an agent-major one, in place: its arrays are the same.

    :raises ValueError: if the buffer keeps something that cannot be told apart by agents
    """
    views.require_columns(buffer)
    buffer.__class__ = agent_major(type(buffer))
    assert isinstance(buffer, AgentMajor)
    buffer.shared_replay = shared_replay
    if streams is not None:
        buffer.streams = streams
    return buffer


def _empty(buffer_class: type[ReplayBuffer]) -> AgentMajor:
    cls = agent_major(buffer_class)
    return cls.__new__(cls)
