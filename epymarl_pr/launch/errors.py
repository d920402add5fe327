"""The error that a user's mistake ends in: one message, exit code 2, no stack trace."""

from __future__ import annotations

EXIT_CODE = 2
_MARK = "pr_exit_code"


class UsageError(Exception):
    """What the user gave can't be run; the message says what was wrong, what was expected and what to do."""


class Ended(SystemExit):
    """A signal ended the run; nothing on the way may take it for a failure of its own."""


def refused(message: str) -> Exception:
    """What to raise inside a run of EPyMARL: sacred prints the message alone, and the launcher exits with code 2."""
    from sacred.utils import SacredError

    error: Exception = SacredError(f"epymarl_pr: {message}", print_traceback=False)  # type: ignore[no-untyped-call]
    setattr(error, _MARK, EXIT_CODE)
    return error


def exit_code(error: BaseException | None) -> int | None:
    """The code that a run ends with which ``error`` ended; None for anything but what :func:`refused` made."""
    return getattr(error, _MARK, None)


def bare(error: BaseException) -> str:
    """The message of a :class:`UsageError`, or of what :func:`refused` made."""
    return str(error).removeprefix("epymarl_pr: ")
