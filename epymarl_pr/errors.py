"""The error that a user's mistake ends in: one message, exit code 2, no stack trace."""

from __future__ import annotations


class UsageError(Exception):
    """What the user gave can't be run; the message says what was wrong, what was expected and what to do."""


def refused(message: str) -> Exception:
    """What to raise inside a run of EPyMARL: sacred prints the message alone and exits with code 1."""
    from sacred.utils import SacredError

    error: Exception = SacredError(f"epymarl_pr: {message}", print_traceback=False)  # type: ignore[no-untyped-call]
    return error
