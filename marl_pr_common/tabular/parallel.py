"""IQL+PR on any discrete PettingZoo ParallelEnv: one compiled update per environment step."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from marl_pr_common.checkpoint.environments import env_state, restore_env
from marl_pr_common.checkpoint.rng import generator_state
from marl_pr_common.config.arrays import Ints
from marl_pr_common.config.mapping import check_count
from marl_pr_common.tabular.checked import CheckedEnv
from marl_pr_common.tabular.config import TabularConfig
from marl_pr_common.tabular.foreign import make_two
from marl_pr_common.tabular.learner import TabularPR
from marl_pr_common.tabular.moment import Moment
from marl_pr_common.tabular.pending import Pending
from marl_pr_common.tabular.resume import Evaluation, copy_arrays, restore_generators, resumable

EVAL_MAX_STEPS = 1_000


class ParallelTrainer:
    """Trains one seed of ``TabularPR`` on a user's environment.

    :param make_env: returns a fresh ParallelEnv; called twice, for training and for evaluation
    :param config: how to learn; the default is the recommended decision mode
    :param gamma: discount
    :param epsilon: exploration, in [0, 1)
    :param seed: seed of the environment, the exploration and the evaluation
    :param graph: peer graph, (n_agents, n_agents); None is the complete graph
    :param ordinal: whether features of plain ``Discrete`` and ``MultiDiscrete`` spaces are ordered
    :param eval_max_steps: steps after which an evaluation episode is cut, with a warning
    :param make_test: returns the environment for evaluation, if that is another than ``make_env``'s
    :raises ValueError: if ``make_env`` makes no discrete ParallelEnv, or a number is out of its range
    """

    def __init__(
        self,
        make_env: Callable[[], Any],
        config: TabularConfig | None = None,
        gamma: float = 0.99,
        epsilon: float = 0.1,
        seed: int = 0,
        graph: ArrayLike | None = None,
        ordinal: bool = False,
        eval_max_steps: int = EVAL_MAX_STEPS,
        make_test: Callable[[], Any] | None = None,
    ) -> None:
        if not 0.0 <= epsilon < 1.0:
            raise ValueError(f"epsilon={epsilon}: expected a probability in [0, 1).")
        check_count("eval_max_steps", eval_max_steps)
        if not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"seed={seed!r}: expected an integer >= 0.")
        self.env, test_env = make_two(make_env, make_test)
        self._checked, self._tests = CheckedEnv(self.env, ordinal), CheckedEnv(test_env, ordinal)
        _check_twins(self._checked, self._tests)
        config = config or TabularConfig()
        spaces = self._checked.shared_spaces()
        self.learner = TabularPR(config.reciprocity(spaces, graph), self._checked.n_actions, config, gamma)
        self.epsilon, self.eval_max_steps = epsilon, eval_max_steps
        self.total_steps = 0
        """Environment steps of all agents together."""
        self._rng, self._test_rng = (np.random.default_rng([seed, stream]) for stream in (0, 1))
        self._now = self._checked.reset(seed=seed)
        self._pending = Pending(len(spaces))
        self._tests.reset(seed=int(self._test_rng.integers(2**31)))

    def train(self, steps: int) -> None:
        """``steps`` environment steps of every agent; episodes go on where the last call stopped.

        :raises ValueError: for ``steps`` below 0, or if the environment says anything that its spaces or PettingZoo's
            API do not allow
        """
        check_count("steps", steps, least=0)
        learner, pending = self.learner, self._pending
        for _ in range(steps):
            now, acting = self._now, self._now.acting
            actions = self._act(now, self.epsilon, self._rng)
            after = self._checked.step(now, actions)
            pending.begin(acting, now.states, actions)
            whole = pending.collect(after, learner.rules.gamma)
            if self._checked.masked:
                learner.expect_masks()
            learner.update(
                pending.states[None], pending.actions[None], pending.rewards[None], after.states[None],
                after.terminated[None], whole[None], after.masks[None], pending.discounts[None],
            )  # fmt: skip
            self.total_steps += int(acting.sum())
            self._now = after
            if not after.present.any():
                pending.drop()
                self._now = self._checked.reset()

    def evaluate(self, episodes: int = 20) -> Evaluation:
        """Greedy episodes in an environment of its own; learning is not touched.

        Episodes that do not end within ``eval_max_steps`` are cut there, with a warning.
        """
        returns = np.zeros((episodes, len(self._tests.agents)))
        cut = 0
        for episode in range(episodes):
            for now in self.episode():
                returns[episode] += now.rewards
            cut += int(now.present.any())
        if cut:
            warnings.warn(
                f"{cut} of {episodes} evaluation episodes had not ended after {self.eval_max_steps} steps and were "
                "cut: their returns lack what would have followed. Give it a time limit, or set eval_max_steps.",
                RuntimeWarning,
                stacklevel=2,
            )
        return Evaluation(self.learner.steps, self.total_steps, returns)

    def episode(self) -> Iterator[Moment]:
        """A greedy episode in the environment for evaluation: its beginning, and what came of each step."""
        now = self._tests.reset()
        yield now
        for _ in range(self.eval_max_steps):
            if not now.present.any():
                break
            now = self._tests.step(now, self._act(now, 0.0, self._test_rng))
            yield now

    @property
    def test_env(self) -> Any:
        """The environment for evaluation."""
        return self._tests.env

    def state_dict(self) -> dict[str, Any]:
        """Learner, both environments and generators, for :func:`marl_pr_common.checkpoint.save`.

        :raises NotSaveable: if the state of the environment is not known; with ``state_dict()`` and
            ``load_state_dict(state)`` of its own it is
        """
        return {
            "learner": self.learner.state_dict(),
            "total_steps": self.total_steps,
            "envs": [env_state(checked.env) for checked in (self._checked, self._tests)],
            "rngs": [generator_state(self._rng), generator_state(self._test_rng)],
            "agents": self._arrays(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on, bit for bit, from :meth:`state_dict` of a trainer that was constructed the same way.

        :raises CheckpointError: if environment, shapes or generators differ
        """
        self.learner.load_state_dict(state["learner"])
        for checked, saved in zip((self._checked, self._tests), state["envs"], strict=True):
            restore_env(checked.env, saved)
        restore_generators((self._rng, self._test_rng), state["rngs"])
        self.total_steps = state["total_steps"]
        self._now = self._checked.recall(state.get("observations", {}), {})
        if "agents" in state:
            for name, arrays in self._arrays().items():
                copy_arrays(arrays, state["agents"][name])

    def _act(self, now: Moment, epsilon: float, rng: np.random.Generator) -> Ints:
        uniforms = rng.random((1, len(now.seen)))
        actions = self.learner.act(now.states[None], epsilon, uniforms, now.acting[None], now.masks[None])
        return np.asarray(actions[0])

    def _arrays(self) -> dict[str, Any]:
        now = self._now.arrays() | {"last": self._checked.last}
        return {"now": now, "pending": self._pending.arrays()}


def _check_twins(env: CheckedEnv, other: CheckedEnv) -> None:
    for name, one, two in (
        ("agents", env.agents, other.agents),
        ("observation spaces", [v.described for v in env.views], [v.described for v in other.views]),
        ("numbers of actions", env.n_actions, other.n_actions),
    ):
        if one != two:
            raise ValueError(f"make_env made two environments of different {name}: {one} and {two}. Make them alike.")


def train_parallel(
    make_env: Callable[[], Any],
    config: TabularConfig | None = None,
    steps: int = 20_000,
    every: int = 1_000,
    episodes: int = 20,
    checkpoints: Path | str | None = None,
    **options: Any,
) -> tuple[TabularPR, list[Evaluation]]:
    """Train on a ParallelEnv and evaluate before, every ``every`` steps per agent, and at the end.

    :param checkpoints: directory for a checkpoint after every evaluation; if it holds one, training goes on from it,
        bit for bit. SIGTERM and SIGINT then save once and end the process
    :param options: further arguments of :class:`ParallelTrainer`, such as ``seed`` and ``gamma``
    :returns: the learner, and the evaluations in order
    :raises ValueError: as :class:`ParallelTrainer` does, for ``steps`` below 0, or ``every`` or ``episodes`` below 1
    :raises NotSaveable: before the first step, if ``checkpoints`` is given and the environment's state is not known
    """
    check_count("steps", steps, least=0)
    check_count("every", every)
    check_count("episodes", episodes)
    trainer = ParallelTrainer(make_env, config, **options)
    with resumable(trainer, checkpoints) as (evaluations, save):
        if not evaluations:
            evaluations.append(trainer.evaluate(episodes))
        while trainer.learner.steps < steps:
            trainer.train(min(every, steps - trainer.learner.steps))
            evaluations.append(trainer.evaluate(episodes))
            save()
    return trainer.learner, evaluations
