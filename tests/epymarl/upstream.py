"""EPyMARL's own ``main.py`` with nothing of this package but the stand-ins: python upstream.py CHECKOUT ARGUMENTS."""

import runpy
import sys
from pathlib import Path

from epymarl_pr.launch import compat

if __name__ == "__main__":
    source = Path(sys.argv.pop(1)).resolve() / "src"
    compat.install(source)
    sys.argv[0] = str(source / "main.py")
    runpy.run_path(sys.argv[0], run_name="__main__")
