"""When a run saves everything, and what a run that goes on reads.

EPyMARL saves when its ``save_model_interval`` has passed, and loads what ``checkpoint_path`` and ``load_step`` name.
Both calls come from its training loop, whose buffer, runner and counters are read there.
"""

from __future__ import annotations

import functools
import logging
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from epymarl_pr.launch.errors import refused
from epymarl_pr.launch.run_dir import clock
from epymarl_pr.resume import counters
from epymarl_pr.resume.settings import differences, require_same, settings
from epymarl_pr.resume.state import (
    buffer_state,
    learner_state,
    logged,
    restore_buffer,
    restore_learner,
    restore_logged,
    restore_runner,
    runner_state,
    tensors,
)
from epymarl_pr.resume.workers import KEY, ResumableFactory, unknown
from marl_pr_common import checkpoint
from marl_pr_common.reciprocity.guards import all_finite

FOLDER = "full"
"""Below the run's folder of models; EPyMARL looks at folders with numbers only."""
KIND = "epymarl_pr"


class Session:
    """One process of a run.

    :param stop: set by SIGTERM and SIGINT
    """

    def __init__(self, stop: checkpoint.StopRequest | None = None):
        self.stop = checkpoint.StopRequest() if stop is None else stop  # an unset one is false
        self.found: checkpoint.Checkpoint | None = None
        self._runner: Any = None

    def counter(self, name: str, value: int) -> int:
        """The first value of one of the loop's counters."""
        if self.found is None:
            return value
        # EPyMARL has just set this to the largest step with a folder, which a killed save may have left empty
        self._runner.t_env = self.found.manifest.step
        return int(self.found.tree["counters"][name])

    def make_runner(self, make: Any, args: Any, logger: Any) -> Any:
        """One of EPyMARL's runners, whose environments can be saved, and go on where they were."""
        if _trains(args) and args.pr_full_checkpoint:
            from envs import REGISTRY

            self.found = find(args)
            states = None if self.found is None else self.found.tree["environments"]
            if args.env in REGISTRY:
                REGISTRY[args.env] = ResumableFactory(REGISTRY[args.env], args.seed, states)
        runner = self._runner = make(args=args, logger=logger)
        runner.run = functools.partial(self._run, runner.run, args)
        return runner

    def _run(self, run: Any, args: Any, test_mode: bool = False) -> Any:
        batch = run(test_mode=test_mode)
        if self.stop:  # the loop then saves at the end of this episode
            args.save_model, args.save_model_interval = True, 0
        return batch

    def save(self, learner: Any, path: str, loop: Mapping[str, Any]) -> None:
        """Write everything beside EPyMARL's files in ``path``; end the process if a signal asked for it.

        :param loop: local variables of EPyMARL's training loop
        """
        args, runner, root, running = loop["args"], loop["runner"], Path(path).parent, clock()
        states = environments(runner)
        reason = unknown(states) if states else f"the random states of {args.env} are not known"
        tree = {
            "learner": learner_state(learner),
            "buffer": buffer_state(loop["buffer"]),
            "runner": runner_state(runner),
            "environments": states,
            "rng": checkpoint.rng_state(),
            "clock": None if running is None else running.state_dict(),
            **_after(loop),
        }
        if not all_finite([tensor for tensor in tensors(tree["learner"]) if tensor.is_floating_point()]):
            raise refused(f"no checkpoint was saved at step {runner.t_env}: the learner holds NaN or infinity")
        checkpoint.save(
            root / FOLDER,
            tree,
            step=runner.t_env,
            exact=not reason,
            reason=reason,
            kind=KIND,
            meta={"settings": settings(args)},
            separate=("buffer",),
        )
        resume = f"Resume with the same command and checkpoint_path={shlex.quote(str(root))}"
        loop["logger"].console_logger.info(f"Saved everything to {root / FOLDER}. {resume}")
        if self.stop:
            self.stop.finish(f"{self.stop.name}: saved at step {runner.t_env}. {resume}")

    def load(self, learner: Any, loop: Mapping[str, Any]) -> None:
        """Go on from the checkpoint that :meth:`make_runner` found."""
        assert self.found is not None
        tree, manifest = self.found.tree, self.found.manifest
        changed = differences(manifest.meta.get("settings", {}), settings(loop["args"]))
        if changed:
            text = f"{self.found.path} is resumed with other settings: {'; '.join(changed)}."
            loop["logger"].console_logger.warning(text)
        try:
            restore_learner(learner, tree["learner"])
            restore_buffer(loop["buffer"], tree["buffer"])
        except (ValueError, RuntimeError) as error:
            text = f"{self.found.path}: {error}".rstrip(".")
            raise refused(f"{text}. Resume with the command that wrote it, and checkpoint_path.") from error
        restore_runner(loop["runner"], tree["runner"])
        restore_logged(loop["logger"], tree["logged"])
        running = clock()
        if running is not None and tree.get("clock"):  # checkpoints of earlier versions have no clock
            running.load_state_dict(tree["clock"])
        if not manifest.exact:
            loop["logger"].console_logger.warning(f"The resumed run is approximate: {manifest.reason}.")
        loop["logger"].console_logger.info(f"Resumed everything from {self.found.path}")
        checkpoint.set_rng_state(tree["rng"])
        del tree["buffer"]  # as large as all the rest of the process


def session() -> Session | None:
    """The session of this process; None unless :func:`install` was called."""
    return _installed[-1] if _installed else None


_installed: list[Session] = []


def install(src: Path, stop: checkpoint.StopRequest | None = None) -> Session:
    """Make EPyMARL's loop resumable in this process. The checkout must be on the import path.

    :raises UsageError: if the checkout's loop is not the one that this was made for
    """
    from runners import REGISTRY

    logging.getLogger("filelock").setLevel(logging.WARNING)  # EPyMARL shows everything down to DEBUG
    made = Session(stop)
    counters.load_run(src, made.counter)
    for name, runner in list(REGISTRY.items()):
        REGISTRY[name] = functools.partial(made.make_runner, runner)
    _installed.append(made)
    return made


def find(args: Any) -> checkpoint.Checkpoint | None:
    """The complete state that ``checkpoint_path`` and ``load_step`` name; None where no path is given.

    :raises SacredError: if there is none; sacred prints it without a stack trace
    """
    if not args.checkpoint_path:
        return None
    root = Path(args.checkpoint_path) / FOLDER
    try:
        steps = {int(path.name.rpartition("-")[2]): path for path in checkpoint.checkpoints(root)}
        if not args.load_step or args.load_step in steps:
            found = checkpoint.load(steps[args.load_step] if args.load_step else root, KIND)
            require_same(found.manifest.meta.get("settings", {}), settings(args))
            return found
        text = f"load_step={args.load_step}: {root} holds the complete state of steps {sorted(steps)}"
    except ValueError as error:
        if isinstance(error, checkpoint.CheckpointError):
            text = str(error)
        else:
            raise refused(f"{root}: {error}") from error
    except OSError as error:
        text = str(error)
    raise refused(
        f"{text}. A run that was saved with pr_full_checkpoint=True and save_model=True can go on; "
        "pr_full_checkpoint=False loads the networks alone, as EPyMARL does."
    )


def loop_variables() -> Mapping[str, Any] | None:
    """The local variables of EPyMARL's training loop, if it is what is calling."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != counters.FUNCTION:
        frame = frame.f_back
    return None if frame is None else frame.f_locals


def environments(runner: Any) -> list[dict[str, Any]]:
    """The random states of a runner's environments, in its workers' order; empty where they are not known."""
    if not hasattr(runner, "parent_conns"):
        stats = [runner.env.get_stats()]
    else:
        for connection in runner.parent_conns:
            connection.send(("get_stats", None))
        stats = [connection.recv() for connection in runner.parent_conns]
    return [found[KEY] for found in stats if KEY in found]


def stage(path: str) -> str:
    """A folder to write EPyMARL's files into, so that ``path`` holds all of them or none."""
    staged = f"{path}.partial"
    os.makedirs(staged, exist_ok=True)
    return staged


def publish(staged: str, path: str) -> None:
    """Let the staged folder take the place of the empty one that EPyMARL made."""
    os.replace(staged, path)


def _trains(args: Any) -> bool:
    return not (args.evaluate or args.save_replay)


def _after(loop: Mapping[str, Any]) -> dict[str, Any]:
    """Counters and logs as they are at the end of the iteration that saves, a few lines further down in the loop."""
    args, t_env = loop["args"], loop["runner"].t_env
    values = {name: int(loop[name]) for name in counters.NAMES}
    values["episode"] += args.batch_size_run
    stats = logged(loop["logger"])
    if t_env - values["last_log_T"] >= args.log_interval:
        values["last_log_T"] = t_env
        stats.setdefault("episode", []).append([t_env, values["episode"]])
    return {"counters": values, "logged": stats}
