"""EPyMARL's replay buffer with two things more: a column for the options, and a way from its scheme back to it.

``run.py`` gives its learner the buffer's scheme, and nothing else of the buffer. MAPTF stores beside every action the
option that was followed; DVM distils on steps that it draws itself.
"""

from __future__ import annotations

from typing import Any

import torch as th
from components.episode_buffer import ReplayBuffer

from epymarl_pr.launch.errors import refused

OPTIONS = "options"


class Scheme(dict[str, Any]):
    """A scheme that knows its buffer; a copy of it is a plain dictionary."""

    replay: TransferReplay


class TransferReplay(ReplayBuffer):
    """``ReplayBuffer``; constructor and methods are the host's."""

    def __init__(self, scheme: dict[str, Any], groups: Any, *args: Any, **kwargs: Any):
        # run.py hands this very scheme to its runner, so that the episodes have the column too
        scheme[OPTIONS] = {"vshape": (1,), "group": "agents", "dtype": th.long}
        super().__init__(scheme, groups, *args, **kwargs)
        own = Scheme(self.scheme)
        own.replay = self
        self.scheme: Scheme = own


def replay_of(scheme: Any) -> TransferReplay:
    """The buffer of a scheme.

    :raises SacredError: if the run was not started by this package's launcher
    """
    if not isinstance(scheme, Scheme):
        raise refused("MAPTF and DVM need the launcher's replay buffer. Start the run with python -m epymarl_pr.")
    return scheme.replay
