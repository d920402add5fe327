"""SIGTERM and SIGINT as a request: the loop finishes its step, saves once, says how to resume, and ends."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

LOGGER = logging.getLogger("marl_pr")
SAME_REQUEST = 1.0
"""Seconds within which further signals count as the first: a dying parent of several threads sends one for each."""


class Stopped(SystemExit):
    """The process was asked to end, and has saved. The exit code is 128 + the signal's number, as shells count."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(128 + signal_number)
        self.signal_number = signal_number
        self.message = message

    def __str__(self) -> str:
        return self.message


class StopRequest:
    """False until a signal came."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._since = 0.0

    def __bool__(self) -> bool:
        return self.signal_number is not None

    @property
    def name(self) -> str:
        """The signal's name, such as SIGTERM; empty before one came."""
        return "" if self.signal_number is None else signal.Signals(self.signal_number).name

    def finish(self, message: str) -> NoReturn:
        """End the process after everything is saved.

        :param message: what was saved and how to resume
        :raises Stopped: always
        """
        assert self.signal_number is not None
        LOGGER.warning("%s", message)
        raise Stopped(self.signal_number, message)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is None:
            self.signal_number, self._since = number, time.monotonic()
        elif time.monotonic() - self._since > SAME_REQUEST:
            raise KeyboardInterrupt  # asked again: no time for the save, which is whole or absent either way


@contextmanager
def catch_signals() -> Iterator[StopRequest]:
    """Within it SIGTERM and SIGINT set the request that is yielded; one that comes
    more than a second later raises KeyboardInterrupt.

    Outside the main thread, where Python takes no signals, the request stays False.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.signal(number, request._receive) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
