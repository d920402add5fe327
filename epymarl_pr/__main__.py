"""``python -m epymarl_pr``; see :mod:`epymarl_pr.launcher`.

A worker process that is spawned imports this module again, as ``__mp_main__``: it then only needs the stand-ins.
"""

import os
from pathlib import Path

from epymarl_pr import compat, locate

if __name__ == "__main__":
    import sys

    from epymarl_pr import launcher

    launcher.main(sys.argv[1:], globals())
elif locate.ENVIRONMENT_VARIABLE in os.environ:
    compat.install(Path(os.environ[locate.ENVIRONMENT_VARIABLE]) / "src")
