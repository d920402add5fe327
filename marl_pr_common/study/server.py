"""A process that runs one cell after the other: both ends of its pipes.

To it: a line of JSON for each cell, its directory. From it: two lines for each cell, BEGUN, and ``[exit code, error]``.
They begin with a mark, since what is imported before :func:`serve` may print as well; other lines are skipped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

_MARK = "@marl-pr-cell "
_BEGUN = "begun"
_SECONDS_TO_END = 30.0
"""How long a process without further cells may take to end."""


class Server:
    """The process, as the study has it.

    :param log: for what it says while no cell runs
    """

    def __init__(self, command: Sequence[str], log: IO[bytes], environment: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=log, env=environment)
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def run(self, directory: Path) -> tuple[int, str] | None:
        """Have it run a cell; the exit code and the error, None if the process ended before the cell began.

        The exit code is the process's own if it ended meanwhile.
        """
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended: no answer will come
            self.process.stdin.write(f"{json.dumps(str(directory))}\n".encode())
        if self._answer() is None:
            return None
        answer = self._answer()
        return (self.process.wait(), "") if answer is None else (int(answer[0]), str(answer[1]))

    def close(self) -> None:
        """There are no further cells: the process ends."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:  # a cell left a thread that goes on
            self.process.kill()
            self.process.wait()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            _, mark, answer = line.decode(errors="replace").partition(_MARK)
            if mark:
                self._answers.put(json.loads(answer))
        self._answers.put(None)

    def _answer(self) -> Any:
        """What it answers next; None once it has ended, even if a child that it left keeps the pipe open."""
        while True:
            ended = self.process.poll() is not None
            with contextlib.suppress(queue.Empty):
                return self._answers.get(timeout=1.0)
            if ended:
                return None


def serve(run: Callable[[Path], None], log_name: str) -> int:
    """Run the cells that the standard input names, and answer on the standard output; exit code 0 when all are run.

    What a cell says goes to its log; it sees an empty standard input. One that is asked to end takes this process with
    it, and so does one that crashes.
    """
    commands = os.fdopen(os.dup(0), encoding="utf-8")  # duplicates aren't inherited by what a cell starts
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    own = os.dup(2)
    for line in commands:
        _tell(answers, _BEGUN)
        error = _error(run, Path(json.loads(line)), log_name)
        for stream in (1, 2):
            os.dup2(own, stream)
        _tell(answers, [int(bool(error)), error])
    return 0


def _tell(answers: IO[str], what: object) -> None:
    print(f"\n{_MARK}{json.dumps(what)}", file=answers, flush=True)


def _error(run: Callable[[Path], None], directory: Path, log_name: str) -> str:
    """Run a cell; its error in a line, which is its own whatever it is, since the next one is to run."""
    sys.orig_argv[-1] = str(directory)  # in run.json: the command that runs this cell by hand
    try:
        with _restored(), (directory / log_name).open("ab") as log:
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
            try:
                run(directory)
            except Exception:
                traceback.print_exc()
                raise
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
    except Exception as error:
        return " ".join(traceback.format_exception_only(error)).strip().replace("\n", " ")
    return ""


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """Put back what a cell may change for the whole process: folder, variables, numpy's errors, warnings, logging."""
    folder, variables, errors, disabled = os.getcwd(), dict(os.environ), np.geterr(), logging.root.manager.disable
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    levels = {logger: logger.level for logger in loggers if isinstance(logger, logging.Logger)}
    try:
        with warnings.catch_warnings():  # each cell is warned anew
            yield
    finally:
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)
        np.seterr(**errors)
        logging.disable(disabled)
        for logger, level in levels.items():
            logger.setLevel(level)
        os.chdir(folder)
