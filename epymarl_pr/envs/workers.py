"""EPyMARL's parallel runner as it is, with workers that say why they end and that no run leaves behind.

The runner makes pipes and processes, and waits for answers. It is given a pipe that also looks at its worker, and a
worker that sends its last words:

    it raises, or calls sys.exit        the run ends with what it raised and where
    it is killed, or calls os._exit     the run ends with its exit code or signal
    the run ends, however it does       it is interrupted (Linux), and finds its pipe closed (everywhere)
"""

from __future__ import annotations

import atexit
import multiprocessing
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection
from typing import Any, NamedTuple

from epymarl_pr.launch.errors import bare, exit_code, refused
from epymarl_pr.launch.last_words import named, where
from marl_pr_common.reciprocity.stand_in import Delegate
from marl_pr_common.runs.lock import sigterm_at_parents_death

_JOIN_SECONDS = 10.0


class LastWords(NamedTuple):
    """What a worker sends instead of an answer before it ends."""

    text: str


class Watched(Delegate):
    """The run's end of a pipe, which knows who is at the other one.

    :param near: the run's end
    :param far: the worker's
    """

    def __init__(self, near: Any, far: Any):
        super().__init__(near)
        self.far = far
        self.process: Any = None
        self.what = ""

    def send(self, message: Any) -> None:
        """:raises SacredError: if the worker is gone"""
        try:
            self.wrapped.send(message)
        except OSError as error:
            raise _over(self._end()) from error

    def recv(self) -> Any:
        """:raises SacredError: if the worker has ended, or is ending, with its last words"""
        if self.process is not None and not self.wrapped.poll():
            connection.wait([self.wrapped, self.process.sentinel])
            if not self.wrapped.poll():
                raise _over(self._end())
        try:
            answer = self.wrapped.recv()
        except (EOFError, OSError) as error:
            raise _over(self._end()) from error
        if isinstance(answer, LastWords):
            raise _over(answer.text)
        return answer

    def _end(self) -> str:
        self.process.join(_JOIN_SECONDS)
        code = self.process.exitcode
        how = f"exit code {code}" if code is None or code >= 0 else f"signal {_signal_name(-code)}"
        return f"{self.what}: the worker process that runs it ended with {how}, and could say no more."


_pipes: list[Watched] = []
"""Of this process; in a forked worker those of its parent."""


def install() -> None:
    """Have EPyMARL's parallel runner use these pipes and processes. The checkout must be importable."""
    from runners import parallel_runner

    parallel_runner.Pipe = _pipe
    parallel_runner.Process = _process
    atexit.register(end)  # before multiprocessing's own, which waits for workers without a limit


def _pipe() -> tuple[Watched, Any]:
    near, far = multiprocessing.Pipe()
    _pipes.append(Watched(near, far))
    return _pipes[-1], far


def _process(target: Callable[..., None], args: tuple[Any, Any]) -> Any:
    """A process that runs :func:`work` in the place of ``env_worker``."""
    far, make = args
    (watched,) = (pipe for pipe in _pipes if pipe.far is far)
    watched.what = named(make.x.keywords)
    watched.process = multiprocessing.Process(target=work, args=(far, make, watched.what))
    return watched.process


def work(remote: Any, make: Any, what: str) -> None:
    """A worker: EPyMARL's own, until it fails or the run is gone.

    :param remote: the worker's end of the pipe
    :param make: makes the environment, in EPyMARL's wrapper for pickling
    :param what: how messages name it
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the run decides when to end; it may have to save first
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for pipe in _pipes:  # the run's ends, inherited by a fork: with them open no worker would see the run's end
        pipe.wrapped.close()
    sigterm_at_parents_death()
    parent = multiprocessing.parent_process()
    if parent is None or not parent.is_alive():
        return
    from runners.parallel_runner import env_worker

    try:
        env_worker(remote, make)
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the run is gone
        return
    except BaseException as error:
        text = bare(error) if exit_code(error) else f"{what}: {type(error).__name__}: {error}{where(error)}"
        with suppress(OSError):
            remote.send(LastWords(text))
        raise SystemExit(1) from None


def _over(text: str) -> Exception:
    """The end of a run: its other workers end too, since sacred waits for whoever can write to its output."""
    end()
    return refused(text)


def end() -> None:
    """End this process's workers: those that do not end when asked to, having tidied up, are killed."""
    left = [pipe for pipe in _pipes if pipe.process is not None and pipe.process.is_alive()]
    for pipe in left:
        pipe.process.terminate()
    for pipe in left:
        pipe.wrapped.close()
    until = time.monotonic() + _JOIN_SECONDS
    for pipe in left:
        pipe.process.join(max(0.0, until - time.monotonic()))
        if pipe.process.is_alive():
            pipe.process.kill()
            pipe.process.join()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
