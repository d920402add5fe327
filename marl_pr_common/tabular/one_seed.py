"""One seed of a tabular learner on any environment of this package, behind one interface."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from marl_pr_common.checkpoint.environments import NotSaveable
from marl_pr_common.checkpoint.rng import generator_state
from marl_pr_common.envs.factories import Look, blamed_on, close, find_factory, look, make_own
from marl_pr_common.envs.grids.specs import GridSpec
from marl_pr_common.envs.imports import UnusableError
from marl_pr_common.envs.registry import find, grid_spec, is_known, known, make, require_pettingzoo
from marl_pr_common.tabular.cell import Budget
from marl_pr_common.tabular.checked import CheckedEnv
from marl_pr_common.tabular.config import TabularConfig
from marl_pr_common.tabular.learner import TabularPR
from marl_pr_common.tabular.parallel import ParallelTrainer
from marl_pr_common.tabular.resume import Evaluation, check_saveable, restore_generators
from marl_pr_common.tabular.worlds import WorldTrainer

COPIES = 3
"""Agents on a task for one, unless ``n_agents`` says otherwise."""


class OneSeed(Protocol):
    """What a run needs of a trainer."""

    @property
    def steps(self) -> int:
        """Environment steps per agent so far."""

    @property
    def learner(self) -> TabularPR:
        """Who learns."""

    def train(self, steps: int) -> None:
        """``steps`` environment steps of every agent."""

    def evaluate(self, episodes: int) -> Evaluation:
        """Greedy episodes; learning is not touched."""

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from it, bit for bit."""

    unsaveable: str
    """Why the environment's state can't be saved; empty if it can."""


def team_size(task: str, n_agents: int | None = None) -> int:
    """The number of agents.

    :param n_agents: what is asked for
    :raises ValueError: if there is no such environment, it is not discrete, or is a team of another number
    """
    found = grid_spec(task).n_agents if _is_grid(task) else _agents_of(task, n_agents, look(task))
    if n_agents not in (None, found):
        raise ValueError(f"n_agents={n_agents}, but {task} has {found} agents. Leave it out, or set {found}.")
    return found


def table_bytes(task: str, n_agents: int) -> int:
    """How much tables take at most: values, counts, and what agents pool."""
    if _is_grid(task):
        spec = grid_spec(task)
        sizes, n_actions = spec.spaces[0].sizes, spec.n_actions
    else:
        sizes, n_actions = _shape_of(task, n_agents, look(task))[1:]
    return 8 * n_agents * math.prod(sizes) * n_actions * (2 + n_actions)


def _agents_of(task: str, n_agents: int | None, seen: Look | None) -> int:
    return _shape_of(task, n_agents, seen)[0]


@functools.lru_cache
def _shape_of(task: str, n_agents: int | None, seen: Look | None) -> tuple[int, tuple[int, ...], int]:
    """Agents, sizes of their features and actions, once the environment has been made and its spaces checked."""
    env = environments(task, n_agents)[0]()
    with blamed_on(task, "its environment"):
        try:
            checked = CheckedEnv(env)
            sizes = checked.shared_spaces()[0].sizes
        except ValueError as error:
            raise UnusableError(f"env={task!r}: {error}") from error
    close(env)
    return len(checked.agents), sizes, checked.n_actions


def environments(
    task: str, n_agents: int | None = None, drawn: bool = False
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """What makes a task's environments for training and for evaluation, each a ParallelEnv.

    A task for one agent, by gymnasium's id or a factory, gets ``n_agents`` copies, 3 by default.

    :param drawn: whether they give pictures; one of the user's own does if its factory makes it so
    :raises ValueError: if there is no such environment
    """
    seen, factory = look(task), find_factory(task)
    options: dict[str, Any] = {"render_mode": "rgb_array"} if drawn else {}
    make_one: Callable[[], Any]
    if factory is not None and seen is not None:
        make_one, alone = functools.partial(make_own, task, factory), seen.agents is None
    elif alone := not is_known(task) and _is_id(task):
        make_one = functools.partial(_gymnasium, task, **options)
    else:
        make_one = functools.partial(make, task, **options)
    if not alone:
        return make_one, make_one
    require_pettingzoo()
    from marl_pr_common.envs.copies import Copies

    copies = functools.partial(Copies, make_one, n_agents or COPIES)
    return functools.partial(copies, restart=True), copies


def _is_id(task: str) -> bool:
    """Whether gymnasium has the task.

    :raises ValueError: if nobody has it
    """
    try:
        import gymnasium

        return bool(gymnasium.spec(task))
    except Exception as error:  # it is not installed, knows no such id, or the module of "module:Id" raises
        raise ValueError(
            f"Unknown environment {task!r}. Known: {known()}, gymnasium's ids, and package.module:factory for one of "
            f"your own. gymnasium says: {' '.join(str(error).split())}"
        ) from error


def _gymnasium(task: str, **options: Any) -> Any:
    import gymnasium

    with blamed_on(task, "gymnasium.make"):
        return gymnasium.make(task, **options)


def make_trainer(task: str, config: TabularConfig, budget: Budget, seed: int) -> OneSeed:
    """An untrained learner in its environment; built-in grid worlds are trained in one compiled loop."""
    if _is_grid(task):
        return _World(grid_spec(task), config, budget, seed)
    return _Parallel(task, config, budget, seed)


def _is_grid(task: str) -> bool:
    named = find(task)
    return named is not None and bool(named.family.spec)


class _World:
    unsaveable = ""

    def __init__(self, spec: GridSpec, config: TabularConfig, budget: Budget, seed: int) -> None:
        learner = TabularPR(config.reciprocity(spec.spaces), spec.n_actions, config, budget.gamma)
        self.trainer = WorldTrainer(spec, learner, [np.random.default_rng([seed, 0])], budget.epsilon)
        self.test_rngs = [np.random.default_rng([seed, 1])]

    @property
    def steps(self) -> int:
        return self.learner.steps

    @property
    def learner(self) -> TabularPR:
        return self.trainer.learner

    def train(self, steps: int) -> None:
        self.trainer.train(steps)

    def evaluate(self, episodes: int) -> Evaluation:
        returns = self.trainer.evaluate(episodes, self.test_rngs)[0]
        return Evaluation(self.steps, int(self.learner.tables.n.sum()), returns)

    def state_dict(self) -> dict[str, Any]:
        return {"trainer": self.trainer.state_dict(), "tests": [generator_state(rng) for rng in self.test_rngs]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.trainer.load_state_dict(state["trainer"])
        restore_generators(self.test_rngs, state["tests"])


class _Parallel(ParallelTrainer):
    def __init__(self, task: str, config: TabularConfig, budget: Budget, seed: int) -> None:
        make_env, make_test = environments(task, budget.n_agents)
        super().__init__(
            make_env,
            config,
            gamma=budget.gamma,
            epsilon=budget.epsilon,
            seed=seed,
            eval_max_steps=budget.eval_max_steps,
            make_test=make_test,
        )
        self.unsaveable = ""
        try:
            check_saveable(self)
        except (NotSaveable, TypeError) as error:
            if is_known(task):
                raise
            self.unsaveable = str(error)

    @property
    def steps(self) -> int:
        return self.learner.steps
