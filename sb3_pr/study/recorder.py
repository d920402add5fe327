"""What a run writes about itself: evaluations of every agent, and what the algorithm logs, as rows of results."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from marl_pr_common.reciprocity.guards import NonFiniteError
from marl_pr_common.runs.console import Display
from marl_pr_common.runs.status import StatusReporter
from marl_pr_common.runs.table import TEAM, Clock, ResultsWriter
from sb3_pr.evaluation import AgentReturns, evaluate_agents, evaluate_team
from sb3_pr.guards import broken_agents
from sb3_pr.study.config import TrainConfig

logger = logging.getLogger("marl_pr")


class Stopwatch:
    """Wall and CPU seconds of training: it stands still while the agents are evaluated."""

    def __init__(self) -> None:
        self._wall = self._cpu = 0.0
        self._running = False

    def start(self) -> None:
        """Begin, or go on; a second call does nothing."""
        if not self._running:
            self._running = True
            self._wall += time.perf_counter()
            self._cpu += time.process_time()

    def read(self) -> list[float]:
        """Wall and CPU seconds so far."""
        return [time.perf_counter() - self._wall, time.process_time() - self._cpu]

    def set(self, elapsed: list[float]) -> None:
        """What there is when it starts."""
        self._wall, self._cpu = (-seconds for seconds in elapsed)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within it no time passes."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self._wall += time.perf_counter() - wall
        self._cpu += time.process_time() - cpu


class Recorder(BaseCallback):
    """Evaluates every agent at step 0, every ``evaluation_interval`` steps per agent and after the last update.

    Rows of agent i: ``eval/return``, the mean return of its episodes. Rows of a team of copies: ``eval/best_member``,
    ``eval/leader`` and ``eval/vote``, the mean return of the agent with the best, of the one that answers for all, and
    of all by vote. What the algorithm logs under ``train/``
    is kept too, by agent where the key names one (``train/agent_0/...``). Time spent here is not training time.
    """

    model: OffPolicyAlgorithm
    n_teams = 1
    """Runs that share the model."""
    first_agent = 0
    """Of this run among all agents of the model."""

    def __init__(
        self,
        config: TrainConfig,
        eval_env: Any,
        writer: ResultsWriter,
        status: StatusReporter,
        display: Display | None = None,
        trackers: Sequence[KVWriter] = (),
        stopwatch: Stopwatch | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.eval_env = eval_env
        self.writer = writer
        self.status = status
        self.display = display
        self.trackers = trackers
        self.stopwatch = stopwatch or Stopwatch()
        self._due = config.evaluation_interval
        self._resumed = False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: times so far, and how many rows of results belong to it."""
        rows = self.writer.n_rows
        return {"n_calls": self.n_calls, "due": self._due, "elapsed": self.stopwatch.read(), "rows": rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on; results from after the checkpoint are cut off."""
        self.n_calls, self._due = state["n_calls"], state["due"]
        self.stopwatch.set(state["elapsed"])
        self.writer.cut(state["rows"])
        self._resumed = True

    def _on_training_start(self) -> None:
        self.stopwatch.start()
        if not self._resumed:
            self._evaluate()

    def _on_step(self) -> bool:
        self._tell_progress()
        steps = self.total_env_steps // self.config.team_size
        if self._due <= steps < self.config.timesteps_per_agent:
            self._evaluate()
            self._due += self.config.evaluation_interval
        return True

    def _on_training_end(self) -> None:
        self._tell_progress(last=True)
        self._evaluate()

    @property
    def total_env_steps(self) -> int:
        """Of the agents of this run."""
        return self.num_timesteps // self.n_teams

    def _tell_progress(self, last: bool = False) -> None:
        if (self.status.running(self.total_env_steps) or last) and self.display is not None:
            self.display.update(self.writer.identity.run, self.total_env_steps, self.status.of_total_env_steps)

    def _evaluate(self) -> None:
        wall, cpu = self.stopwatch.read()
        clock = Clock(
            env_steps_per_agent=self.total_env_steps // self.config.team_size,
            total_env_steps=self.total_env_steps,
            updates=self.model._n_updates,
            wall_time=wall / self.n_teams,
            cpu_time=cpu / self.n_teams,
        )
        with self.stopwatch.paused():
            self._record(clock, self._play())

    def _record(self, clock: Clock, episodes: list[np.ndarray]) -> None:
        returns = [float(np.mean(found)) for found in episodes]
        self._require_finite(returns)
        for agent, value in enumerate(returns):
            self.writer.append(clock, {"eval/return": value}, agent)
        of_the_team = _of_the_team(episodes)
        self.writer.append(clock, of_the_team)
        self._follow(returns, of_the_team)
        for agent, values in self._logged().items():
            self.writer.append(clock, values, agent)
        self.writer.flush()
        agents = ", ".join(f"{value:.1f}" for value in returns)
        say(
            self.display,
            f"{self.writer.identity.run}: {clock.env_steps_per_agent} of {self.config.timesteps_per_agent} steps per "
            f"agent, return {np.mean(returns):.1f} (agents: {agents})",
        )

    def _follow(self, returns: list[float], of_the_team: dict[str, float]) -> None:
        """Evaluations do not go through the logger, whose csv has none."""
        values: dict[str, Any] = {f"eval/agent_{agent}/return": value for agent, value in enumerate(returns)}
        values |= {"eval/return": float(np.mean(returns)), **of_the_team}
        for tracker in self.trackers:
            tracker.write(values, dict.fromkeys(values, ()), self.num_timesteps)

    def _play(self) -> list[np.ndarray]:
        seed, number = self.config.evaluation_seed, self.config.eval_episodes
        options: Any = {"seed": seed, "max_steps": self.config.eval_max_steps or None}
        if self.config.multi_agent:
            return evaluate_team(self.model, self.eval_env, number, **options)
        return evaluate_agents(self.model, self.eval_env, number, vote=self.config.eval_vote, **options)

    def _require_finite(self, returns: list[float]) -> None:
        """:raises NonFiniteError: naming an agent whose evaluation is no number: nothing of it is written"""
        for agent, value in enumerate(returns):
            if not np.isfinite(value):
                broken = broken_agents(self.model)
                cause = (
                    "Its networks are not finite"
                    if self.first_agent + agent in broken
                    else "Check the rewards of the environment"
                )
                raise NonFiniteError(
                    f"non-finite return {value} of agent {agent} in the evaluation at step {self.num_timesteps}. "
                    f"{cause}; what was saved before is unchanged."
                )

    def _log(self) -> Iterable[tuple[str, Any]]:
        """What is logged of this run since the logger's last report."""
        return self.logger.name_to_value.items()

    def _logged(self) -> dict[int, dict[str, float]]:
        """What the algorithm logged since its last report: agent, or TEAM -> metric -> value."""
        values: dict[int, dict[str, float]] = {}
        for key, value in self._log():
            if (
                not key.startswith("train/")
                or key == "train/n_updates"
                or not isinstance(value, (int, float, np.number))
            ):
                continue
            agent = re.match(r"train/agent_(\d+)/", key)
            metric = f"train/{key[agent.end() :]}" if agent else key
            values.setdefault(int(agent[1]) if agent else TEAM, {})[metric] = float(value)
        return values


def say(display: Display | None, text: str) -> None:
    """A line for whoever looks on."""
    if display is None:
        logger.info(text)
    else:
        display.line(text)


def _of_the_team(episodes: list[np.ndarray]) -> dict[str, float]:
    """What a group of copies of one task would be deployed as; nothing for one agent, or agents in one world."""
    if not isinstance(episodes, AgentReturns) or len(episodes) == 1:
        return {}
    deployed = {"best_member": episodes.best_member, "leader": episodes.leader, "vote": episodes.vote}
    return {f"eval/{name}": float(np.mean(found)) for name, found in deployed.items() if found is not None}
