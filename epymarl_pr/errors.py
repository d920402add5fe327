"""The error that a user's mistake ends in: one message, exit code 2, no stack trace."""

from __future__ import annotations


class UsageError(Exception):
    """What the user gave can't be run; the message says what was wrong, what was expected and what to do."""
