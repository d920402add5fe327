"""``python -m epymarl_pr.search``: EPyMARL's ``src/search.py``, whose every run goes through this package's launcher.

The grid, its order and the numbering of its combinations are upstream's. Its ``work`` runs ``python main.py``, which
knows no ``X_pr`` and needs the checkout's own folder; that one function is exchanged.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from types import ModuleType

from epymarl_pr import launcher, locate
from epymarl_pr.errors import UsageError

USAGE = """\
python -m epymarl_pr.search run --config=GRID.yaml [--seeds N] [--no-shuffle] locally [--cpus N]
python -m epymarl_pr.search run --config=GRID.yaml [--seeds N] [--no-shuffle] single INDEX

EPyMARL's src/search.py, whose runs know --config=X_pr and pr_KEY; see search.config.example.yaml beside it.
  --epymarl-dir=PATH   the EPyMARL checkout, as for python -m epymarl_pr; may stand anywhere
"""

SECTIONS = ("grid-search", "grid-search-groups")
EXAMPLE = "src/search.config.example.yaml"


def main(argv: Sequence[str]) -> None:
    """Run EPyMARL's search.

    :param argv: the arguments, without the program's name
    :raises SystemExit: with code 2 for a mistake of the user's, after one message
    """
    if not argv or list(argv) in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return
    with launcher.one_message("epymarl_pr.search"):
        arguments = list(argv)
        checkout = launcher.enter(arguments)  # its place reaches the runs as $EPYMARL_HOME
        search = load(checkout)
        search.work = work  # type: ignore[attr-defined]
        try:
            search.cli.main(args=arguments, prog_name="python -m epymarl_pr.search")
        except KeyError as error:
            if error.args[0] not in SECTIONS:
                raise
            raise UsageError(f"the grid has no section {error.args[0]!r}; see {EXAMPLE} of the checkout.") from error
        except IndexError as error:
            raise UsageError("single INDEX: the grid has no combination of that number; they start at 0.") from error


def load(checkout: locate.Checkout) -> ModuleType:
    """The checkout's ``search.py`` as a module.

    :raises UsageError: without the package click, which it needs
    """
    if importlib.util.find_spec("click") is None:
        raise UsageError("the package click is not installed. EPyMARL's search.py needs it: pip install click")
    spec = importlib.util.spec_from_file_location("epymarl_search", checkout.src / "search.py")
    if spec is None or spec.loader is None:
        raise UsageError(f"{checkout.src / 'search.py'} can't be imported.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def work(command: str) -> int:
    """Run one combination in a process of its own; a pool of processes imports this function by its name.

    :param command: "python main.py" and the arguments, as ``search.py`` writes them
    :return: the exit code
    """
    return subprocess.call(command_of(command))


def command_of(command: str) -> list[str]:
    """The launcher's command for one of ``search.py``.

    :raises UsageError: if it does not start with "python main.py"
    """
    program, script, *arguments = command.split(" ")
    if (program, script) != ("python", "main.py"):
        raise UsageError(f"search.py of this checkout runs {command!r}, expected 'python main.py ...'.")
    return [sys.executable, "-m", "epymarl_pr", *(argument for argument in arguments if argument)]


if __name__ == "__main__":
    main(sys.argv[1:])
