"""The error of everything that is wrong with a checkpoint's files."""

from __future__ import annotations


class CheckpointError(ValueError):
    """A checkpoint is damaged, incomplete, foreign, or of a format that this version does not read."""
