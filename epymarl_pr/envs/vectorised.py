"""``runner=vectorised``: EPyMARL's parallel runner over one simulator of many episodes instead of many workers.

The loop, the batch and the logs are upstream's own ``ParallelRunner``. It talks to its workers through pipes; here the
far end of every pipe is a row of one simulator, which moves when the first answer is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from runners.parallel_runner import ParallelRunner

from epymarl_pr.envs import smax
from epymarl_pr.envs.ours import task_name
from epymarl_pr.envs.smax import quiet
from epymarl_pr.resume.workers import KEY, environment_state, restore_environment
from marl_pr_common.envs.particles.vector import ParticleVector
from marl_pr_common.envs.smax.vector import SMAXVector
from marl_pr_common.envs.vector import Moment, VectorEnv

HOST_ARGUMENTS = ("key", "time_limit", "pretrained_wrapper", "seed", "engine", "max_cycles")
"""Of ``env_args``: what is not an argument of the environment, or is given otherwise."""


class VectorisedRunner(ParallelRunner):  # type: ignore[misc]
    """All ``batch_size_run`` environments in this process, each with the seed that its worker would have."""

    def __init__(self, args: Any, logger: Any) -> None:
        self.args = args
        self.logger = logger
        self.batch_size = args.batch_size_run
        env = make(args.env, args.env_args, self.batch_size)
        _go_on(env, args.env)
        rows = Rows(env, _aggregate(args))
        self.parent_conns = [Row(rows, index) for index in range(self.batch_size)]
        self.env_info = {
            "state_shape": env.state_dim,
            "obs_shape": env.obs_dim,
            "n_actions": env.n_actions,
            "n_agents": env.n_agents,
            "episode_limit": env.max_cycles,
        }
        self.episode_limit = env.max_cycles
        self.t = self.t_env = 0
        self.train_returns: list[Any] = []
        self.test_returns: list[Any] = []
        self.train_stats: dict[str, Any] = {}
        self.test_stats: dict[str, Any] = {}
        self.log_train_stats_t = -100000


def make(env: str, env_args: Mapping[str, Any], n_rows: int) -> VectorEnv:
    """As many environments as upstream's parallel runner has workers, with the same seeds, in one simulator."""
    quiet()
    seeds = [env_args["seed"] + row for row in range(n_rows)]
    if env == smax.NAME:
        return SMAXVector(env_args["map_name"], seeds, env_args.get("time_limit"))
    name = task_name(env_args.get("key"))
    assert name is not None, "checks.runner() lets nothing else through"
    other = {key: value for key, value in env_args.items() if key not in HOST_ARGUMENTS}
    limits = [env_args[key] for key in ("time_limit", "max_cycles") if env_args.get(key) is not None]
    return ParticleVector(name, seeds, **{**other, "max_cycles": min(limits)})


def _go_on(env: VectorEnv, name: str) -> None:
    """Put the random streams where they were in the run that is resumed, if one is."""
    from envs import REGISTRY

    states = getattr(REGISTRY.get(name), "states", None)  # of a ResumableFactory
    for stream, state in zip(env.streams, states, strict=True) if states else ():
        restore_environment(stream, state)


def _aggregate(args: Any) -> Callable[[NDArray[Any]], Any]:
    """The reward of a step as upstream's environment wrappers give it."""
    if not args.common_reward:
        return lambda rewards: rewards
    if args.env == smax.NAME:
        return lambda rewards: float(rewards[0])
    if args.reward_scalarisation == "mean":
        return lambda rewards: float(rewards.mean())
    return lambda rewards: float(rewards.sum())


class Rows:
    """The simulator behind the pipes: it moves once for all rows, when the first of them asks for an answer."""

    def __init__(self, env: VectorEnv, aggregate: Callable[[NDArray[Any]], Any]) -> None:
        self._env, self._aggregate = env, aggregate
        self._moment: Moment | None = None
        self._actions = np.zeros((env.n_rows, env.n_agents), np.int32)
        self._waiting = ""

    def ask(self, command: str, row: int, actions: Any) -> None:
        """Note what a row is told to do."""
        if command == "step":
            self._actions[row] = actions
        self._waiting, self._moment = command, None

    def stats(self, row: int) -> dict[str, Any]:
        """What a resumed run needs of a row, as workers send it."""
        kind = type(self._env)
        return {KEY: {**environment_state(self._env.streams[row]), "class": f"{kind.__module__}.{kind.__qualname__}"}}

    def answer(self, row: int) -> dict[str, Any]:
        """What upstream's worker would answer."""
        if self._moment is None:
            self._moment = self._env.reset() if self._waiting == "reset" else self._env.step(self._actions)
            self._waiting = ""
        now = self._moment
        answer = {"state": now.states[row], "avail_actions": now.masks[row], "obs": now.observations[row]}
        info = {key: value[row] for key, value in now.facts.items()}
        if now.cut[row]:
            info["episode_limit"] = True
        return {
            **answer,
            "reward": self._aggregate(now.rewards[row]),
            "terminated": bool(now.ended[row] or now.cut[row]),
            "info": info,
        }


class Row:
    """One environment, as upstream's runner sees it: a pipe that answers commands."""

    def __init__(self, rows: Rows, index: int) -> None:
        self._rows, self._index = rows, index
        self._command = ""

    def send(self, message: tuple[str, Any]) -> None:
        """Take a command of ``ParallelRunner``."""
        self._command, data = message
        if self._command in ("reset", "step"):
            self._rows.ask(self._command, self._index, data)

    def recv(self) -> dict[str, Any]:
        """The answer to the last command."""
        return self._rows.stats(self._index) if self._command == "get_stats" else self._rows.answer(self._index)
