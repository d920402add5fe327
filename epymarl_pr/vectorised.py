"""``runner=vectorised``: EPyMARL's parallel runner over one simulator of many episodes instead of many workers.

The loop, the batch and the logs are upstream's own ``ParallelRunner``. It talks to its workers through pipes; here the
far end of every pipe is a row of one simulator, which moves when the first answer is asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from runners.parallel_runner import ParallelRunner

from epymarl_pr import smax
from epymarl_pr.errors import refused
from marl_pr_common.envs.vector import Moment, VectorEnv


class VectorisedRunner(ParallelRunner):  # type: ignore[misc]
    """All ``batch_size_run`` environments in this process, each with the seed that its worker would have."""

    def __init__(self, args: Any, logger: Any) -> None:
        if args.env != smax.NAME:
            raise refused(f"runner=vectorised runs env={smax.NAME}, not env={args.env}. Use runner=parallel.")
        self.args = args
        self.logger = logger
        self.batch_size = args.batch_size_run
        env = smax.vector(args.env_args, self.batch_size)
        rows = Rows(env, args.common_reward)
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


class Rows:
    """The simulator behind the pipes: it moves once for all rows, when the first of them asks for an answer."""

    def __init__(self, env: VectorEnv, common_reward: bool) -> None:
        self._env, self._common = env, common_reward
        self._moment: Moment | None = None
        self._actions = np.zeros((env.n_rows, env.n_agents), np.int32)
        self._waiting = ""

    def ask(self, command: str, row: int, actions: Any) -> None:
        """Note what a row is told to do."""
        if command == "step":
            self._actions[row] = actions
        self._waiting, self._moment = command, None

    def answer(self, row: int) -> dict[str, Any]:
        """What upstream's worker would answer."""
        if self._moment is None:
            self._moment = self._env.reset() if self._waiting == "reset" else self._env.step(self._actions)
            self._waiting = ""
        now = self._moment
        answer = {"state": now.states[row], "avail_actions": now.masks[row], "obs": now.observations[row]}
        rewards = now.rewards[row]
        info = {key: value[row] for key, value in now.facts.items()}
        if now.cut[row]:
            info["episode_limit"] = True
        return {
            **answer,
            "reward": float(rewards[0]) if self._common else rewards,
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
        return {} if self._command == "get_stats" else self._rows.answer(self._index)
