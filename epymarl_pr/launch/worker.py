"""The main module of worker processes that are not forked: it puts the stand-ins in place, and does nothing else.

A worker that is spawned, or comes from a fork server, imports the main module of its parent anew. EPyMARL's ``main.py``
would train in it, and multiprocessing leaves modules named ``__main__`` out; so the launcher names this one.
"""

import os
from pathlib import Path

from epymarl_pr.launch import compat, locate

if __name__ == "__mp_main__":  # the name that multiprocessing gives it
    compat.install(Path(os.environ[locate.ENVIRONMENT_VARIABLE]) / "src")
