"""One seed of a tabular learner on any environment of this package, behind one interface."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np

from marl_pr_common.checkpoint.rng import generator_state
from marl_pr_common.envs import GRIDS, grid_spec, make
from marl_pr_common.envs.registry import GridSpec
from marl_pr_common.tabular.cell import Budget
from marl_pr_common.tabular.checked import CheckedEnv
from marl_pr_common.tabular.config import TabularConfig
from marl_pr_common.tabular.learner import TabularPR
from marl_pr_common.tabular.parallel import ParallelTrainer
from marl_pr_common.tabular.resume import Evaluation, check_saveable, restore_generators
from marl_pr_common.tabular.worlds import WorldTrainer


class OneSeed(Protocol):
    """What a run needs of a trainer."""

    @property
    def steps(self) -> int:
        """Environment steps per agent so far."""

    def train(self, steps: int) -> None:
        """``steps`` environment steps of every agent."""

    def evaluate(self, episodes: int) -> Evaluation:
        """Greedy episodes; learning is not touched."""

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from it, bit for bit."""


def team_size(task: str) -> int:
    """The number of agents.

    :raises ValueError: if there is no such environment, or it is not discrete
    """
    if _is_grid(task):
        return grid_spec(task).n_agents
    env = make(task)
    n_agents = len(CheckedEnv(env).agents)
    try:
        env.close()
    except Exception as error:  # what was asked is known by now
        warnings.warn(f"{task}: close() raised {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)
    return n_agents


def make_trainer(task: str, config: TabularConfig, budget: Budget, seed: int) -> OneSeed:
    """An untrained learner in its environment; built-in grid worlds are trained in one compiled loop."""
    if _is_grid(task):
        return _World(grid_spec(task), config, budget, seed)
    return _Parallel(task, config, budget, seed)


def _is_grid(task: str) -> bool:
    return task.partition("-")[0] in GRIDS


class _World:
    def __init__(self, spec: GridSpec, config: TabularConfig, budget: Budget, seed: int) -> None:
        learner = TabularPR(config.reciprocity(spec.spaces), spec.n_actions, config, budget.gamma)
        self.trainer = WorldTrainer(spec, learner, [np.random.default_rng([seed, 0])], budget.epsilon)
        self.test_rngs = [np.random.default_rng([seed, 1])]

    @property
    def steps(self) -> int:
        return self.trainer.learner.steps

    def train(self, steps: int) -> None:
        self.trainer.train(steps)

    def evaluate(self, episodes: int) -> Evaluation:
        returns = self.trainer.evaluate(episodes, self.test_rngs)[0]
        return Evaluation(self.steps, int(self.trainer.learner.tables.n.sum()), returns)

    def state_dict(self) -> dict[str, Any]:
        return {"trainer": self.trainer.state_dict(), "tests": [generator_state(rng) for rng in self.test_rngs]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.trainer.load_state_dict(state["trainer"])
        restore_generators(self.test_rngs, state["tests"])


class _Parallel:
    def __init__(self, task: str, config: TabularConfig, budget: Budget, seed: int) -> None:
        self.trainer = ParallelTrainer(
            lambda: make(task),
            config,
            gamma=budget.gamma,
            epsilon=budget.epsilon,
            seed=seed,
            eval_max_steps=budget.eval_max_steps,
        )
        check_saveable(self.trainer)

    @property
    def steps(self) -> int:
        return self.trainer.learner.steps

    def train(self, steps: int) -> None:
        self.trainer.train(steps)

    def evaluate(self, episodes: int) -> Evaluation:
        return self.trainer.evaluate(episodes)

    def state_dict(self) -> dict[str, Any]:
        return self.trainer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.trainer.load_state_dict(state)
