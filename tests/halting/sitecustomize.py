"""Python imports this module when it starts; see ``tests.events.halting``."""

import functools
import importlib
import os
import time
from pathlib import Path

if "HALT_BEFORE" in os.environ:
    name, function, number = os.environ["HALT_BEFORE"].split(":")
    *owners, function = function.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(name))
    original, calls = getattr(owner, function), iter(range(1, 1 << 62))
    mark = Path(os.environ["HALT_MARK"])

    @functools.wraps(original)
    def halting(*args, **kwargs):
        if next(calls) == int(number):
            mark.touch()
            while mark.exists():
                time.sleep(0.01)
        return original(*args, **kwargs)

    setattr(owner, function, halting)
