"""Tabular learners as arms of a study: one run of one seed, with results, resume and provenance.

Tasks are the environments of :func:`marl_pr_common.envs.make` by name, ``package.module:factory`` of the user's own,
and gymnasium's ids, of which every agent gets a copy; settings are those of :mod:`marl_pr_common.tabular.cell`.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marl_pr_common import __version__, checkpoint
from marl_pr_common.checkpoint import StopRequest, catch_signals
from marl_pr_common.envs.jit import HAS_NUMBA
from marl_pr_common.envs.registry import is_ours
from marl_pr_common.runs.directory import RunDirectory
from marl_pr_common.runs.provenance import record_resume
from marl_pr_common.runs.table import CHECKPOINTS, Clock, ResultsWriter, RunIdentity, set_aside
from marl_pr_common.study.hosts import Arm, CellRun, Cost, Plan
from marl_pr_common.tabular.cell import PAPER, Budget, parse
from marl_pr_common.tabular.one_seed import OneSeed, make_trainer, table_bytes, team_size
from marl_pr_common.tabular.resume import AT_MOST, KIND_LEARNT, LEARNT

logger = logging.getLogger("marl_pr")
ENGINE = f"marl-pr tabular {__version__}"
KIND = "tabular-study"
PIECE = 1_000
"""Steps between two looks at signals and the clock."""

_IQL = {"mode": "faithful", "kappa": 1.0, "beta": 0.0, "weighting": "mean"}
_EQ5 = {"mode": "faithful", "alpha": {"power": [0.3, 0.65]}, "beta": PAPER, "weighting": "mean", "trust": None}
_DECAY = {"alpha": {"power": [1.0, 0.65]}}

ARMS: Mapping[str, Arm] = {
    "iql": Arm("IQL", {**_IQL, "alpha": 0.5}, "alpha = .5 (paper)"),
    "iql_decay": Arm("IQL", {**_IQL, **_DECAY}, "alpha = (k+1)^-.65"),
    "shared_table": Arm("one shared table", {**_IQL, "alpha": 0.5, "share": True}, "alpha = .5"),
    "shared_table_decay": Arm("one shared table", {**_IQL, **_DECAY, "share": True}, "alpha = (k+1)^-.65"),
    "iql_pr": Arm("IQL+PR eq. 5", {**_EQ5, "kappa": 0.5}, "the paper's numbers"),
    "iql_pr_decision": Arm("IQL+PR decision", {"mode": "decision", "alpha": 0.5}, "alpha = .5"),
    "iql_pr_decision_decay": Arm("IQL+PR decision", {"mode": "decision", **_DECAY}, "alpha = (k+1)^-.65"),
}


def plan(task: str, seed: int, settings: Mapping[str, Any]) -> Plan:
    """What a cell with these settings will do; see :class:`marl_pr_common.study.hosts.Host`."""
    budget, _ = parse(settings, task)
    n_agents = team_size(task, budget.n_agents)
    return Plan(
        settings=dict(settings),
        n_agents=n_agents,
        env_steps_per_agent=budget.steps_per_agent,
        total_env_steps=budget.steps_per_agent * n_agents,
        evaluation=(
            f"undiscounted return of {budget.eval_episodes} greedy episodes in an environment of their own, before the "
            f"first step, every {budget.eval_every} steps per agent and after the last"
        ),
    )


def cost(task: str, plan: Plan) -> Cost:
    """Of our own environments, if their loop is compiled: 1,080 cells of fig4 took 1.5 h on one core; see ``Host``."""
    seconds = 1.0 + 1.1e-5 * plan.total_env_steps if HAS_NUMBA and is_ours(task) else None
    return Cost(seconds, kept=1_000_000 + min(AT_MOST, table_bytes(task, plan.n_agents)))


def completed(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was given is all that a plan holds. See ``Host``."""
    return settings


def may_share(task: str, plan: Plan) -> bool:
    """Whether the task is one of our own environments; of others it isn't known what they keep. See ``Host``."""
    return is_ours(task)


def run(cell: CellRun, directory: Path) -> None:
    """Run the cell to its end, from its newest checkpoint if there is one; see ``Host.run``."""
    found = RunDirectory(directory, cell.plan.total_env_steps)
    if found.state == "complete":
        return
    same = found.is_of(config=cell.plan, seed=cell.seed, task=cell.task)
    going_on = same and checkpoint.latest(directory / CHECKPOINTS) is not None
    if not going_on:
        set_aside(directory)
    with catch_signals() as stop:
        _Run(cell, found, stop).to_the_end(going_on)


class _Run:
    def __init__(self, cell: CellRun, run: RunDirectory, stop: StopRequest) -> None:
        self.cell, self.run, self.stop = cell, run, stop
        self.directory, self.status = run.path, run.status
        self.budget: Budget
        self.budget, config = parse(cell.plan.settings, cell.task)
        self.trainer: OneSeed = make_trainer(cell.task, config, self.budget, cell.seed)
        if self.trainer.unsaveable:
            logger.warning("%s: if it is killed it begins anew: %s", cell.name, self.trainer.unsaveable)
        self.wall = self.cpu = 0.0
        self.saved = 0
        """Steps per agent at the last checkpoint."""

    def to_the_end(self, going_on: bool) -> None:
        """Learn what remains, and leave a complete run."""
        cell = self.cell
        if not going_on:
            self.run.begin(cell.plan, cell.seed, arm=cell.arm, task=cell.task, engine=ENGINE)
        identity = RunIdentity(cell.name, cell.arm, cell.task, ENGINE, cell.seed, cell.plan.evaluation)
        self.writer = ResultsWriter(self.directory, identity)
        with self.run.alive():
            if going_on:
                self._restore()
            self._learn()

    def _learn(self) -> None:
        last, every = self.budget.steps_per_agent, self.budget.eval_every
        self.trainer.train(0)  # compiles the loop, which is no training time
        if self.writer.n_rows == 0:
            self._evaluate()
        while self.trainer.steps < last:
            due = min(last, (self.trainer.steps // every + 1) * every)
            while self.trainer.steps < due:
                self._train(min(PIECE, due - self.trainer.steps))
            self._evaluate()
            if self.stop or self.trainer.steps - self.saved >= self.budget.checkpoint_every:
                self._save()
        self.writer.flush()
        self._keep()
        self.status.running(self.cell.plan.total_env_steps)
        self.status.complete()
        shutil.rmtree(self.directory / CHECKPOINTS, ignore_errors=True)

    def _keep(self) -> None:
        """The tables, to be played again."""
        learner = self.trainer.learner
        if sum(table.nbytes for table in learner.state_dict()["tables"].values()) <= AT_MOST:
            tree, root = {"learner": learner.state_dict()}, self.directory / LEARNT
            checkpoint.save(root, tree, step=self.trainer.steps, kind=KIND_LEARNT, keep=1)

    def _train(self, steps: int) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.trainer.train(steps)
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu
        self.status.running(self.trainer.steps * self.cell.plan.n_agents)
        if self.stop and self.trainer.steps % self.budget.eval_every:  # else the evaluation comes first
            self._save()

    def _evaluate(self) -> None:
        found = self.trainer.evaluate(self.budget.eval_episodes)
        clock = Clock(found.steps, found.total_steps, found.steps, self.wall, self.cpu)
        for agent, value in enumerate(found.returns.mean(axis=0)):
            self.writer.append(clock, {"eval/return": float(value)}, agent)

    def _save(self) -> None:
        """Results first: a checkpoint knows how many rows are its own."""
        if self.trainer.unsaveable:
            if self.stop:
                self.stop.finish(f"{self.stop.name}: {self.cell.name} saved nothing; the same command begins it anew.")
            return
        self.writer.flush()
        tree = {"trainer": self.trainer.state_dict(), "rows": self.writer.n_rows, "elapsed": [self.wall, self.cpu]}
        path = checkpoint.save(self.directory / CHECKPOINTS, tree, step=self.trainer.steps, kind=KIND)
        self.saved = self.trainer.steps
        if self.stop:
            self.stop.finish(f"{self.stop.name}: {self.cell.name} saved {path}; the same command goes on from it.")

    def _restore(self) -> None:
        found = checkpoint.load(self.directory / CHECKPOINTS, KIND)
        self.trainer.load_state_dict(found.tree["trainer"])
        self.writer.cut(found.tree["rows"])
        self.wall, self.cpu = found.tree["elapsed"]
        self.saved = self.trainer.steps
        record_resume(self.directory, found.manifest.step, found.path.name)
