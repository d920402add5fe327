"""What a run writes about itself: evaluations of every agent, and what the algorithm logs, as rows of results."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from marl_pr_common.reciprocity.guards import NonFiniteError
from marl_pr_common.runs.console import Display
from marl_pr_common.runs.status import StatusReporter
from marl_pr_common.runs.table import TEAM, Clock, ResultsWriter
from sb3_pr.evaluation import AgentReturns, evaluate_agents, evaluate_team
from sb3_pr.guards import broken_agents
from sb3_pr.study.config import EVALUATION_SEED, TrainConfig

logger = logging.getLogger("marl_pr")


class Recorder(BaseCallback):
    """Evaluates every agent at step 0, every ``eval_every`` steps per agent and after the last update.

    Rows of agent i: ``eval/return``, the mean return of its episodes. Rows of a team of copies: ``eval/best_member``,
    ``eval/leader`` and ``eval/vote``, the mean return of the agent with the best, of the one that answers for all, and
    of all by vote. What the algorithm logs under ``train/``
    is kept too, by agent where the key names one (``train/agent_0/...``). Time spent here is not training time.
    """

    model: OffPolicyAlgorithm

    def __init__(
        self,
        config: TrainConfig,
        eval_env: VecEnv,
        writer: ResultsWriter,
        status: StatusReporter,
        display: Display | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.eval_env = eval_env
        self.writer = writer
        self.status = status
        self.display = display
        self._due = config.eval_every
        self._wall = self._cpu = 0.0
        self._resumed = False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: times so far, and how many rows of results belong to it."""
        elapsed = [time.perf_counter() - self._wall, time.process_time() - self._cpu]
        return {"n_calls": self.n_calls, "due": self._due, "elapsed": elapsed, "rows": self.writer.n_rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on; results from after the checkpoint are cut off."""
        self.n_calls, self._due = state["n_calls"], state["due"]
        self._wall, self._cpu = (-seconds for seconds in state["elapsed"])
        self.writer.cut(state["rows"])
        self._resumed = True

    def _on_training_start(self) -> None:
        self._wall += time.perf_counter()
        self._cpu += time.process_time()
        if not self._resumed:
            self._evaluate()

    def _on_step(self) -> bool:
        self._tell_progress()
        steps = self.num_timesteps // self.config.team_size
        if self._due <= steps < self.config.timesteps_per_agent:
            self._evaluate()
            self._due += self.config.eval_every
        return True

    def _on_training_end(self) -> None:
        self._tell_progress(last=True)
        self._evaluate()

    def _tell_progress(self, last: bool = False) -> None:
        if (self.status.running(self.num_timesteps) or last) and self.display is not None:
            self.display.update(self.writer.identity.run, self.num_timesteps, self.status.of_total_env_steps)

    def _evaluate(self) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        clock = Clock(
            env_steps_per_agent=self.num_timesteps // self.config.team_size,
            total_env_steps=self.num_timesteps,
            updates=self.model._n_updates,
            wall_time=wall - self._wall,
            cpu_time=cpu - self._cpu,
        )
        episodes = self._play()
        returns = [float(np.mean(found)) for found in episodes]
        self._require_finite(returns)
        for agent, value in enumerate(returns):
            self.writer.append(clock, {"eval/return": value}, agent)
        self.writer.append(clock, _of_the_team(episodes))
        for agent, values in self._logged().items():
            self.writer.append(clock, values, agent)
        self.writer.flush()
        agents = ", ".join(f"{value:.1f}" for value in returns)
        say(
            self.display,
            f"{self.writer.identity.run}: {clock.env_steps_per_agent} of {self.config.timesteps_per_agent} steps per "
            f"agent, return {np.mean(returns):.1f} (agents: {agents})",
        )
        self._wall += time.perf_counter() - wall
        self._cpu += time.process_time() - cpu

    def _play(self) -> list[np.ndarray]:
        seed, number = EVALUATION_SEED + self.config.seed, self.config.eval_episodes
        options: Any = {"seed": seed, "max_steps": self.config.eval_max_steps or None}
        if self.config.multi_agent:
            return evaluate_team(self.model, self.eval_env, number, **options)
        return evaluate_agents(self.model, self.eval_env, number, vote=self.config.eval_vote, **options)

    def _require_finite(self, returns: list[float]) -> None:
        """:raises NonFiniteError: naming an agent whose evaluation is no number: nothing of it is written"""
        for agent, value in enumerate(returns):
            if not np.isfinite(value):
                broken = broken_agents(self.model)
                cause = "Its networks are not finite" if agent in broken else "Check the rewards of the environment"
                raise NonFiniteError(
                    f"non-finite return {value} of agent {agent} in the evaluation at step {self.num_timesteps}. "
                    f"{cause}; what was saved before is unchanged."
                )

    def _logged(self) -> dict[int, dict[str, float]]:
        """What the algorithm logged since its last report: agent, or TEAM -> metric -> value."""
        values: dict[int, dict[str, float]] = {}
        for key, value in self.logger.name_to_value.items():
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
