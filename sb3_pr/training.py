"""One training run into one directory: build the model, learn, evaluate every agent, leave tidy results.

1. make the tasks and the model; nothing is written if a setting is refused
2. write ``run.json``; log to ``progress.csv`` as Stable-Baselines3 does
3. learn; before, during and after it evaluate every agent into ``results.parquet``
4. save ``model.zip``; ``status.json`` says "complete" only now
"""

from __future__ import annotations

import importlib.metadata
import logging
import re
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3 import DDPG, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.vec_env import VecEnv

from marl_pr_common.display import Display
from marl_pr_common.files import require_unused
from marl_pr_common.provenance import record
from marl_pr_common.runs import TEAM, Clock, ResultsWriter, RunIdentity
from marl_pr_common.status import StatusReporter
from sb3_pr import DDPGPR, TD3PR, evaluate_agents
from sb3_pr.train_config import TrainConfig

EVALUATION_SEED = 10_000
"""Added to the run's seed: evaluation episodes differ from training episodes and are equal in all arms."""

logger = logging.getLogger("marl_pr")
ENGINE = f"stable-baselines3 {importlib.metadata.version('stable-baselines3')}"


def train(config: TrainConfig, out: Path, arm: str | None = None, display: Display | None = None) -> None:
    """Run ``config`` and leave model, results, log and provenance in the directory ``out``.

    :param arm: name under which the run is compared; the algorithm's name by default
    :param display: where to show progress; the logger "marl_pr" by default
    :raises FileExistsError: if ``out`` is not empty; nothing in it is changed
    :raises ValueError: if the task cannot be made or its actions are not continuous, or the model refuses a setting
    """
    require_unused(out)
    th.set_num_threads(config.threads)
    arm = arm or config.algo
    total = config.timesteps_per_agent * config.team_size
    check_task(config.env)
    # a column per episode: the episodes are the same as one after the other, and predicted together
    eval_env = make_vec_env(config.env, n_envs=config.eval_episodes, seed=EVALUATION_SEED + config.seed)
    model = build_model(config, make_vec_env(config.env, n_envs=config.team_size, seed=config.seed))
    out.mkdir(parents=True, exist_ok=True)
    record(out, config, config.seed, arm=arm, engine=ENGINE, n_agents=config.team_size, total_env_steps=total)
    model.set_logger(configure(str(out), ["csv"]))
    identity = RunIdentity(f"{arm}-seed{config.seed}", arm, config.env, ENGINE, config.seed)
    status = StatusReporter(out, total)
    recorder = Recorder(config, eval_env, ResultsWriter(out, identity), status, display)
    try:
        with display or nullcontext():
            model.learn(total, callback=recorder)
        model.dump_logs()  # else progress.csv lacks what came after the last report
        model.save(out / "model.zip")
        status.complete()
    except BaseException as error:
        status.failed(error)
        raise
    finally:
        model.logger.close()
        model.get_env().close()
        eval_env.close()


def check_task(env_id: str) -> None:
    """Raise ValueError if gymnasium cannot make the task, or its actions are not continuous."""
    try:
        env: gym.Env[Any, Any] = gym.make(env_id)
    except (gym.error.Error, ImportError) as error:
        raise ValueError(f"env={env_id!r} cannot be made: {error}") from error
    env.close()
    if not isinstance(env.action_space, spaces.Box):
        raise ValueError(
            f"env={env_id!r} has the action space {env.action_space}; TD3 and DDPG need continuous actions (a Box). "
            "Choose such a task, for instance Pendulum-v1 or Hopper-v5."
        )


def build_model(config: TrainConfig, env: VecEnv) -> Any:
    """The untrained model: upstream's own class, or ours, with equal meaning of every number of steps.

    :param env: one column per agent
    """
    shape = env.action_space.shape or ()
    arguments: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        # Stable-Baselines3 counts these two over all columns of the VecEnv.
        "buffer_size": config.buffer_size * config.team_size,
        "learning_starts": config.learning_starts * config.team_size,
        "batch_size": config.batch_size,
        "tau": config.tau,
        "gamma": config.gamma,
        "train_freq": config.train_freq,
        "gradient_steps": config.gradient_steps,
        "action_noise": NormalActionNoise(np.zeros(shape), np.full(shape, config.action_noise)),
        "policy_kwargs": {"net_arch": list(config.net_arch)},
        "seed": config.seed,
        "device": config.device,
    }
    if config.algo.startswith("td3"):
        names = ("policy_delay", "target_policy_noise", "target_noise_clip")
        arguments |= {name: getattr(config, name) for name in names}
    if config.reciprocal:
        arguments |= {"shared_replay": config.shared_replay, "fast": config.fast, **vars(config.pr)}
    return _CLASSES[config.algo](_policy_name(env.observation_space), env, **arguments)


class Recorder(BaseCallback):
    """Evaluates every agent at step 0, every ``eval_every`` steps per agent and after the last update.

    Rows of agent i: ``eval/return``, the mean return of its episodes. What the algorithm logs under ``train/``
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

    def _on_training_start(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
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
        returns = [
            float(np.mean(episodes))
            for episodes in evaluate_agents(
                self.model, self.eval_env, self.config.eval_episodes, seed=EVALUATION_SEED + self.config.seed
            )
        ]
        for agent, value in enumerate(returns):
            self.writer.append(clock, {"eval/return": value}, agent)
        for agent, values in self._logged().items():
            self.writer.append(clock, values, agent)
        self.writer.flush()
        agents = ", ".join(f"{value:.1f}" for value in returns)
        self._say(
            f"{self.writer.identity.run}: {clock.env_steps_per_agent} of {self.config.timesteps_per_agent} steps per "
            f"agent, return {np.mean(returns):.1f} (agents: {agents})"
        )
        self._wall += time.perf_counter() - wall
        self._cpu += time.process_time() - cpu

    def _say(self, text: str) -> None:
        if self.display is None:
            logger.info(text)
        else:
            self.display.line(text)

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


def _policy_name(space: spaces.Space[Any]) -> str:
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if is_image_space(space) else "MlpPolicy"


_CLASSES: dict[str, Any] = {"td3": TD3, "td3_pr": TD3PR, "ddpg": DDPG, "ddpg_pr": DDPGPR}
