"""Cells of a study that differ in their seeds alone as one process: one model, of which each is a team.

Every cell leaves what it would leave alone (:mod:`sb3_pr.study.run`), but for losses, of which a stack has only means.
Checkpoints are of the stack, and a resumed one is bit for bit what it would have been.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch as th
from stable_baselines3.common.logger import Logger

from marl_pr_common.checkpoint import StopRequest, catch_signals
from marl_pr_common.config import from_mapping
from marl_pr_common.envs.factories import close
from marl_pr_common.reciprocity.guards import NonFiniteError
from marl_pr_common.runs.directory import RunDirectory
from marl_pr_common.runs.files import replacing
from marl_pr_common.runs.provenance import record_resume
from marl_pr_common.runs.signals import Stopped
from marl_pr_common.runs.table import CHECKPOINTS, ResultsWriter, RunIdentity
from marl_pr_common.study.hosts import CellRun
from sb3_pr.finite import require_finite_model
from sb3_pr.saving.resume import CheckpointCallback, load_checkpoint
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.model import accepted, without_effect
from sb3_pr.study.recorder import Stopwatch, say
from sb3_pr.study.run import ENGINE
from sb3_pr.study.tasks import blamed, copies
from sb3_pr.study.team_records import Evaluations, TeamLog, TeamRecorder

PLAYERS = 150
"""Environments that evaluations are played in, if there are not more agents."""
STACKED = "stacked"
"""Entry of ``run.json``: the seeds of all cells of the stack."""


def train(cells: Sequence[CellRun], directories: Sequence[Path], root: Path, go_on: bool) -> None:
    """Run the cells to their end. A team that is not finite any more ends alone: its cell has failed.

    SIGTERM and SIGINT save a checkpoint and end the process.

    :param cells: of equal settings but for their seeds
    :param directories: one for each, absent, or with ``go_on`` what the interrupted stack left
    :param root: for its checkpoints
    :param go_on: from the newest checkpoint
    """
    with catch_signals() as stop:
        stack = _Stack(cells, directories, root, stop)
        if not go_on:
            stack.begin()
        stack.open()
        if go_on:
            stack.resume()
        stack.to_the_end()


class _Stack:
    """The parts of it; making them writes nothing."""

    begins = True

    def __init__(self, cells: Sequence[CellRun], directories: Sequence[Path], root: Path, stop: StopRequest) -> None:
        self.cells, self.paths, self.root, self.stop = cells, directories, root, stop
        self.configs = [from_mapping(TrainConfig, cell.plan.settings, where=cell.name) for cell in cells]
        self.config = config = self.configs[0]
        self.seeds = [one.seed for one in self.configs]
        th.set_num_threads(config.threads)
        n_columns = config.team_size * len(cells)
        if without := without_effect(config):
            say(None, f"without effect in {config.algo}: {', '.join(without)}")
        with blamed(config.env):
            at_once = min(config.eval_episodes, max(1, PLAYERS // n_columns))
            players = copies(config, at_once * n_columns)
            self.evaluations = Evaluations(self.configs, players, copies(config, config.eval_episodes))
            columns = copies(config, n_columns)
        self.model: Any = accepted(config, columns, self.seeds)
        self.directories = [
            RunDirectory(path, cell.plan.total_env_steps) for path, cell in zip(directories, cells, strict=True)
        ]
        self.recorders: list[TeamRecorder] = []
        self.callbacks: list[Any] = []

    def begin(self) -> None:
        """Make the cells' directories, with ``run.json``."""
        for cell, config, directory in zip(self.cells, self.configs, self.directories, strict=True):
            extra = {"run": cell.name, "arm": cell.arm, "engine": ENGINE, "n_agents": config.team_size}
            total = cell.plan.total_env_steps
            directory.begin(config, config.seed, **extra, total_env_steps=total, **{STACKED: self.seeds})

    def open(self) -> None:
        """Open the files that the cells write."""
        number, alone, stopwatch = len(self.cells), self.config.team_size == 1, Stopwatch()
        logs = [TeamLog(path / "progress.csv", team, number, alone) for team, path in enumerate(self.paths)]
        self.model.set_logger(Logger(str(self.root), list(logs)))
        for team, (cell, config, log) in enumerate(zip(self.cells, self.configs, logs, strict=True)):
            identity = RunIdentity(cell.name, cell.arm, config.env, ENGINE, config.seed, config.evaluation_protocol)
            given = (config, self.evaluations, ResultsWriter(self.paths[team], identity), self.directories[team].status)
            self.recorders.append(TeamRecorder(team, number, log, *given, stopwatch=stopwatch))
        saver = CheckpointCallback(
            self.config.checkpoint_every,
            self.root / CHECKPOINTS,
            stop=self.stop,
            advice="the study's command goes on",
            at_end=False,
        )
        self.callbacks = [*self.recorders, saver]

    def resume(self) -> None:
        """Go on from the newest checkpoint."""
        found = load_checkpoint(self.root / CHECKPOINTS, self.model, self.callbacks)
        self.begins = False
        for path, cell in zip(self.paths, self.cells, strict=True):
            step = found.manifest.step // len(self.cells)
            record_resume(path, step, found.path.name, found.manifest.reason)
            say(None, f"{cell.name}: resumed at step {step} of {cell.plan.total_env_steps} from {found.path.name}.")

    def to_the_end(self) -> None:
        """Learn what remains, and leave complete runs."""
        model, number = self.model, len(self.cells)
        remaining = sum(cell.plan.total_env_steps for cell in self.cells) - model.num_timesteps
        try:
            with blamed(self.config.env):
                if remaining > 0:
                    model.learn(remaining, self.callbacks, log_interval=4 * number, reset_num_timesteps=self.begins)
            model.dump_logs()
            for recorder in self._left():
                self._save(recorder)
            for recorder in self._left():
                recorder.status.running(recorder.total_env_steps)
                recorder.status.complete()
            shutil.rmtree(self.root / CHECKPOINTS, ignore_errors=True)
        except BaseException as error:
            for recorder in self._left():
                recorder.status.stopped() if isinstance(error, Stopped) else recorder.status.failed(error)
            raise
        finally:
            model.logger.close()
            for env in (model.get_env(), self.evaluations.env, self.evaluations.single):
                close(env)

    def _left(self) -> list[TeamRecorder]:
        return [recorder for recorder in self.recorders if not recorder.ended]

    def _save(self, recorder: TeamRecorder) -> None:
        """Save what a cell's run alone would: a model of the arm's own class."""
        alone = self.model.team(recorder.team, replay=False)
        alone = alone if self.config.reciprocal else alone.agent(0)
        try:
            require_finite_model(alone, "Its evaluations are there.")
        except NonFiniteError as error:
            recorder.fail(str(error))
            return
        with replacing(self.paths[recorder.team] / "model.zip") as file:
            alone.save(file)
