"""``--run-dir=DIR``: a run whose results lie below DIR, that says how far it is, and logs what time it took.

    DIR/sacred        sacred's record, else in the checkout's folder results
    DIR/models        saved networks, else in ./results
    DIR/status.json   how far the run is
    wall_time, cpu_time, updates    logged with every evaluation, beside EPyMARL's own statistics

The checkout's ``main.py`` names its folder of results in one line; it is compiled with another value there.
"""

from __future__ import annotations

import ast
import functools
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

from epymarl_pr.launch.errors import UsageError
from marl_pr_common.runs.status import StatusReporter

VARIABLE = "results_path"
SERIES = ("wall_time", "cpu_time", "updates")
"""Names under which times are logged: seconds, seconds, gradient steps of each agent; evaluations not counted."""


def compile_main(file: Path, results: Path | None, required: bool = True) -> CodeType:
    """The checkout's ``main.py``, with another folder of results if one is given.

    :param required: whether a ``main.py`` that does not name its folder in one line is refused, or left as it is
    :raises UsageError: if it is refused
    """
    tree = ast.parse(file.read_text(), str(file))
    if results is not None:
        found = [node for node in tree.body if isinstance(node, ast.Assign) and _name(node) == VARIABLE]
        if len(found) != 1 and not required:
            return compile(tree, str(file), "exec")
        if len(found) != 1:
            raise UsageError(
                f"--run-dir: {file} sets {VARIABLE} {len(found)} times, expected once. Use the tested commit of "
                "EPyMARL, or leave --run-dir out."
            )
        found[0].value = ast.copy_location(ast.Constant(str(results)), found[0].value)
    return compile(tree, str(file), "exec")


def tell(namespace: Mapping[str, Any]) -> None:
    """Say at the end of a run that sacred kept a record of where it is, where its networks are, and what comes next.

    :param namespace: of the checkout's ``main.py``
    """
    for observer in getattr(namespace.get("ex"), "observers", ()):
        record = getattr(observer, "dir", None)
        if record is None:  # with --unobserved
            continue
        folder = Path(record).absolute()
        where, home = shlex.quote(str(folder)), next(above.parent for above in folder.parents if above.name == "sacred")
        sys.stderr.write(
            f"epymarl_pr: results in {home}: curves in sacred, networks (with "
            f"save_model=True) in models. Next:\n  marl-pr report {where} --out report\n  marl-pr enjoy {where}\n"
        )


def _name(node: ast.Assign) -> str:
    return node.targets[0].id if isinstance(node.targets[0], ast.Name) else ""


class Clock:
    """Times of one run, in this process: they run while it trains, and stand still while it evaluates or saves.

    :param directory: where ``status.json`` is kept up to date
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.updates = 0
        self._before = (0.0, 0.0)  # wall and CPU seconds up to the last stop
        self._since: tuple[float, float] | None = None  # None while it stands still
        self._workers: list[int] = []
        self._status: StatusReporter | None = None

    def state_dict(self) -> dict[str, float | int]:
        """What :data:`SERIES` are now, and for a checkpoint."""
        return dict(zip(SERIES, (*self._elapsed(), self.updates), strict=True))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on."""
        self._before, self.updates = (state["wall_time"], state["cpu_time"]), state["updates"]

    def make_runner(self, make: Any, args: Any, logger: Any) -> Any:
        """One of EPyMARL's runners."""
        runner = make(args=args, logger=logger)
        runner.run = functools.partial(self._run, runner.run, runner, logger)
        self._workers = [process.pid for process in getattr(runner, "ps", ())]
        return runner

    def make_learner(self, make: Any, mac: Any, scheme: Any, logger: Any, args: Any) -> Any:
        """One of EPyMARL's learners, whose updates are counted."""
        learner = make(mac, scheme, logger, args)
        each = int(args.epochs) if "ppo" in args.learner else 1
        learner.train = functools.partial(self._train, learner.train, each)
        learner.save_models = functools.partial(self._save, learner.save_models)
        return learner

    def _run(self, run: Any, runner: Any, logger: Any, test_mode: bool = False) -> Any:
        if not test_mode:
            self._since = self._since or self._now()
            batch = run(test_mode=False)
            self._tell(runner)
            return batch
        with self._standing():
            batch = run(test_mode=True)
            if not runner.test_returns:  # it has logged them, so the evaluation is over
                for name, value in self.state_dict().items():
                    logger.log_stat(name, value, runner.t_env)
        return batch

    def _train(self, train: Any, each: int, *arguments: Any, **named: Any) -> None:
        train(*arguments, **named)
        self.updates += each

    def _save(self, save: Any, path: str) -> None:
        with self._standing():
            save(path)

    @contextmanager
    def _standing(self) -> Iterator[None]:
        self._before, self._since = self._elapsed(), None
        try:
            yield
        finally:
            self._since = self._now()

    def _elapsed(self) -> tuple[float, float]:
        if self._since is None:
            return self._before
        (wall, cpu), (wall_then, cpu_then) = self._now(), self._since
        return self._before[0] + wall - wall_then, self._before[1] + cpu - cpu_then

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time() + sum(map(cpu_seconds, self._workers))

    def _tell(self, runner: Any) -> None:
        args = runner.args
        if self._status is None:
            self._status = StatusReporter(self.directory, args.t_max * args.n_agents)
        self._status.running(min(runner.t_env, args.t_max) * args.n_agents)


_installed: list[Clock] = []


def clock() -> Clock | None:
    """The clock of this process; None without ``--run-dir``."""
    return _installed[-1] if _installed else None


def install(directory: Path) -> Clock:
    """Time every run of this process.

    The checkout must be on the import path, and its learners registered.
    """
    from learners import REGISTRY as LEARNERS
    from runners import REGISTRY as RUNNERS

    made = Clock(directory)
    for registry, wrap in ((RUNNERS, made.make_runner), (LEARNERS, made.make_learner)):
        for name, make in list(registry.items()):
            registry[name] = functools.partial(wrap, make)
    _installed.append(made)
    return made


def cpu_seconds(process: int) -> float:
    """CPU time of another process; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
