"""One training run into one directory: build the model, learn, evaluate every agent, leave tidy results.

1. make the tasks and the model; nothing is written if a setting is refused
2. write ``run.json``; log to ``progress.csv`` as Stable-Baselines3 does
3. learn; before, during and after it evaluate every agent into ``results.parquet``; save checkpoints
4. save ``model.zip``; ``status.json`` says "complete" only now
An interrupted run is resumed from its newest checkpoint: files are cut back to it, and go on.
"""

from __future__ import annotations

import importlib.metadata
import logging
import shlex
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch as th
from stable_baselines3.common.logger import configure

from marl_pr_common.checkpoint import StopRequest, catch_signals, checkpoints, latest
from marl_pr_common.config import from_mapping
from marl_pr_common.envs.factories import close
from marl_pr_common.envs.imports import begun_in
from marl_pr_common.envs.mujoco import log_warnings
from marl_pr_common.runs import played
from marl_pr_common.runs.console import Display
from marl_pr_common.runs.directory import RunDirectory
from marl_pr_common.runs.files import read_json, replacing, require_unused
from marl_pr_common.runs.provenance import RUN, record_resume
from marl_pr_common.runs.status import read_status
from marl_pr_common.runs.table import CHECKPOINTS, ResultsWriter, RunIdentity
from sb3_pr.finite import GuardCallback, require_finite_model
from sb3_pr.saving.resume import CheckpointCallback, load_checkpoint
from sb3_pr.study import tracking
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.model import accepted, without_device, without_effect
from sb3_pr.study.model import build_model as build_model
from sb3_pr.study.recorder import Recorder, say
from sb3_pr.study.tasks import blamed, check_task, copies
from sb3_pr.study.teams import fitted, team_env
from sb3_pr.study.tracking import Track

logger = logging.getLogger("marl_pr")
ENGINE = f"stable-baselines3 {importlib.metadata.version('stable-baselines3')}"


def train(
    config: TrainConfig,
    out: Path,
    arm: str | None = None,
    display: Display | None = None,
    name: str | None = None,
    track: Track | None = None,
) -> None:
    """Run ``config`` and leave model, results, log and provenance in the directory ``out``.

    SIGTERM and SIGINT save a checkpoint and end the process with a message on how to resume.

    :param arm: name under which the run is compared; the algorithm's name by default
    :param display: where to show progress; the logger "marl_pr" by default
    :param name: column ``run`` of the results; arm and seed by default
    :param track: where else its logs and evaluations go
    :raises FileExistsError: if ``out`` is not empty; nothing in it is changed
    :raises ValueError: if the task cannot be made or its actions are not continuous, or the model refuses a setting
    """
    require_unused(out)
    if lacking := without_device(config.device):
        raise ValueError(f"{lacking} Use device=cpu, or auto, which takes what there is.")
    check_task(config.env, config.env_kwargs)
    asked, config = config.n_agents, fitted(config)
    if config.n_agents != asked:
        say(display, f"{config.env}: n_agents={config.n_agents}, the number of its agents.")
    with catch_signals() as stop:
        arm = arm or config.algo
        run = _Run(config, out, arm, name or f"{arm}-seed{config.seed}", display, stop)
        run.track = track
        run.describe()
        if without := without_effect(config):
            say(display, f"without effect in {config.algo}: {', '.join(without)}")
        run.begin()
        run.to_the_end()


def resume(out: Path, display: Display | None = None) -> bool:
    """Go on with the run in ``out`` from its newest checkpoint, with its own settings; nothing if it is complete.

    :return: whether there was anything to do
    :raises FileNotFoundError: if there is no run, or it has no checkpoint
    :raises ValueError: if its files are not what a run leaves
    """
    described, status = _described(out), read_status(out)
    if status is not None and status.state == "complete":
        say(display, f"{out} is complete: {status.total_env_steps} steps. There is nothing left to train.")
        return False
    root = out / CHECKPOINTS
    if latest(root) is None:
        raise FileNotFoundError(
            f"{out} has no complete checkpoint in {CHECKPOINTS}/, so there is nothing to resume from. Start the run "
            "again with another --out; checkpoint_every says how often one is saved."
        )
    config = from_mapping(TrainConfig, described["config"], where=f"{out / RUN}: config")
    if lacking := without_device(config.device):
        say(display, f"{lacking} The run goes on on the CPU.")
    with catch_signals() as stop, begun_in(described.get("directory")):
        _require_same_evaluations(out, config)
        name = described.get("run", f"{described['arm']}-seed{config.seed}")
        run = _Run(config, out, described["arm"], name, display, stop)
        run.track = described.get("track")
        run.begin()
        found = load_checkpoint(root, run.model, run.callbacks)
        run.begins = False
        record_resume(*(out, found.manifest.step, found.path.name, found.manifest.reason), device=str(run.model.device))
        say(display, f"{out}: resumed at step {found.manifest.step} of {run.total} from {found.path.name}.")
        run.to_the_end()
    return True


def _require_same_evaluations(out: Path, config: TrainConfig) -> None:
    """:raises ValueError: if an earlier version evaluated the run so far otherwise"""
    if (before := played.evaluation(out)) and before != config.evaluation_protocol:
        raise ValueError(
            f"{out}: its evaluations are {before!r}, this version's {config.evaluation_protocol!r}, and one curve "
            "can't have both. Nothing was changed; go on with the version that began it, or begin anew elsewhere."
        )


def _described(out: Path) -> dict[str, Any]:
    if not (out / RUN).is_file():
        raise FileNotFoundError(f"{out} holds no {RUN}: it is not the directory of a run. Give the --out of one.")
    described = read_json(out / RUN)
    if not isinstance(described.get("config"), dict) or not isinstance(described.get("arm"), str):
        raise ValueError(f"{out / RUN} has no config or arm: it was not written by `marl-pr train`, or was altered.")
    return described


class _Run:
    """The parts of one run; making them writes nothing."""

    begins = True
    """False where it goes on from a checkpoint, which may be of step 0: the environments have been reset then."""

    def __init__(
        self, config: TrainConfig, out: Path, arm: str, name: str, display: Display | None, stop: StopRequest
    ) -> None:
        th.set_num_threads(config.threads)
        log_warnings()
        self.config, self.out, self.arm, self.name, self.display, self.stop = config, out, arm, name, display, stop
        self.total = config.timesteps_per_agent * config.team_size
        with blamed(config.env):
            if config.multi_agent:
                self.eval_env = team_env(config.env, options=config.env_kwargs)
                columns = team_env(config.env, config.seed, config.env_kwargs)
            else:
                # a column per episode: the episodes are the same as one after the other, and predicted together
                self.eval_env = copies(config, config.eval_episodes, config.evaluation_seed)
                columns = copies(config, config.team_size, config.seed)
        self.model = accepted(config, columns)
        self.directory = RunDirectory(out, self.total)
        self.status = self.directory.status
        self.callbacks: list[Any] = []
        self.track: Track | None = None

    def describe(self) -> None:
        """Write what this run is; the device is the one that it really has."""
        extra = {"run": self.name, "arm": self.arm, "engine": ENGINE, "n_agents": self.config.team_size}
        extra |= {"total_env_steps": self.total, "device": str(self.model.device)}
        extra |= {} if self.track is None else {"track": self.track}
        self.directory.begin(self.config, self.config.seed, **extra)

    def begin(self) -> None:
        """Open the files that the run writes."""
        config = self.config
        logger = configure(str(self.out), ["csv"])
        trackers = tracking.begin(self.track, self.out, self.name, config)
        logger.output_formats += trackers
        self.model.set_logger(logger)
        protocol = config.evaluation_protocol
        identity = RunIdentity(self.name, self.arm, config.env, ENGINE, config.seed, protocol)
        writer = ResultsWriter(self.out, identity)
        saver = CheckpointCallback(
            config.checkpoint_every,
            self.out / CHECKPOINTS,
            stop=self.stop,
            advice=f"resume with: marl-pr train --resume {shlex.quote(str(self.out))}",
            at_end=config.final_checkpoint,
        )
        self.callbacks = [Recorder(config, self.eval_env, writer, self.status, self.display, trackers), saver]
        if not config.reciprocal:
            self.callbacks.insert(0, GuardCallback())

    def to_the_end(self) -> None:
        """Learn what remains, and leave a complete run."""
        model = self.model
        try:
            with self.directory.alive():
                remaining = self.total - model.num_timesteps
                with self.display or nullcontext(), blamed(self.config.env):
                    if remaining > 0:
                        model.learn(remaining, callback=self.callbacks, reset_num_timesteps=self.begins)
                model.dump_logs()  # else progress.csv lacks what came after the last report
                require_finite_model(model, f"What was saved before is unchanged: see {self.out / CHECKPOINTS}.")
                with replacing(self.out / "model.zip") as file:
                    model.save(file)
                self.status.running(model.num_timesteps)
                self.status.complete()
                self._tidy()
        finally:
            model.logger.close()
            for env in (model.get_env(), self.eval_env):
                close(env)

    def _tidy(self) -> None:
        """A complete run needs its last checkpoint at most."""
        found = checkpoints(self.out / CHECKPOINTS)
        for path in found[:-1] if self.config.final_checkpoint else found:
            shutil.rmtree(path, ignore_errors=True)
